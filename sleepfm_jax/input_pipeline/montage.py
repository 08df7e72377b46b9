"""Which channels of a recording are used: the AASM's derivations first, up to a number a modality.

The order of choice is documented in docs/channels.md and does not depend on the file's order.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.channels import Channel, Modality, identify
from sleepfm_jax.input_pipeline.priority import superseded, urgency
from sleepfm_jax.input_pipeline.spelling import repaired

CAPS: Mapping[Modality, int] = MappingProxyType(
    {Modality.BAS: 10, Modality.RESP: 7, Modality.EKG: 2, Modality.EMG: 4}
)
"""The published model's largest number of channels of each modality."""


@dataclass(frozen=True)
class Chosen:
    """A channel that is used.

    Args:
        index: its place in the recording.
        label: the name to store it under, unique within the recording.
        modality: what it was taken for.
        reason: why, in words.
    """

    index: int
    label: str
    modality: Modality
    reason: str


@dataclass(frozen=True)
class Choice:
    """The channels that are used, by modality and importance, and those that are not, and why."""

    chosen: tuple[Chosen, ...]
    left_out: tuple[tuple[int, str, str], ...]  # (index, label, reason), in the file's order


@dataclass(frozen=True)
class Montage:
    """The rules by which a recording's channels are chosen.

    Args:
        caps: the largest number of channels of each modality; a modality that is not named keeps
            the published one.
        groups: labels by modality, as published; they are matched as written and nothing else is
            used. None: labels are read by `channels.identify`.
        named: single labels and their modality (None: leave the channel out); they outweigh
            everything and come first.

    >>> choice = Montage().choose(["C3", "C3-M2", "Chin1-Chin2", "Position"])
    >>> [channel.label for channel in choice.chosen]
    ['C3-M2', 'Chin1-Chin2']
    """

    caps: Mapping[Modality, int] = field(default_factory=lambda: CAPS)
    groups: Mapping[Modality, Sequence[str]] | None = None
    named: Mapping[str, Modality | None] = field(default_factory=dict)

    def choose(self, labels: Sequence[str]) -> Choice:
        """The channels of a recording to use, and the others with the reason each is left out.

        Args:
            labels: every label of the recording, in its order; duplicates are allowed.
        """
        wanted: list[_Candidate] = []
        left_out: dict[int, str] = {}
        for index, label in enumerate(labels):
            candidate = self._candidate(index, label)
            if isinstance(candidate, str):
                left_out[index] = candidate
            else:
                wanted.append(candidate)
        chosen: list[_Candidate] = []
        for modality in Modality:
            kept, dropped = self._cut(modality, [c for c in wanted if c.modality is modality])
            chosen += kept
            left_out |= dropped
        names = _unique([labels[candidate.index] for candidate in chosen])
        return Choice(
            chosen=tuple(
                Chosen(c.index, name, c.modality, c.reason)
                for c, name in zip(chosen, names, strict=True)
            ),
            left_out=tuple((index, labels[index], left_out[index]) for index in sorted(left_out)),
        )

    def _candidate(self, index: int, label: str) -> "_Candidate | str":
        """What a label is wanted as, or the reason why it is not."""
        channel = identify(label)
        named = {repaired(name).strip(): modality for name, modality in self.named.items()}
        if channel.label in named:
            modality = named[channel.label]
            if modality is None:
                return "you named it as not wanted"
            return _Candidate(index, channel, modality, f"you named it {modality.name}", place=-1)
        if self.groups is not None:
            for modality, listed in self.groups.items():
                if label in listed:
                    place = list(listed).index(label)
                    reason = f"listed under {modality.name} in the channel groups"
                    return _Candidate(index, channel, modality, reason, place)
            return "not listed in the channel groups"
        if channel.modality is None:
            return channel.reason
        return _Candidate(index, channel, channel.modality, channel.reason)

    def _cut(
        self, modality: Modality, wanted: list["_Candidate"]
    ) -> tuple[list["_Candidate"], dict[int, str]]:
        """The channels of one modality in their order, and those that are dropped."""
        readable = [c for c in wanted if c.place is None]
        better = superseded([c.channel for c in readable])
        dropped = {readable[i].index: reason for i, reason in better.items()}
        kept = [c for c in wanted if c.index not in dropped]
        order = urgency(modality, [c.channel for c in kept])
        ranked = sorted(zip(kept, order, strict=True), key=lambda pair: pair[0].key(pair[1]))
        cap = self.caps.get(modality, CAPS[modality])
        for candidate, _ in ranked[cap:]:
            dropped[candidate.index] = (
                f"{modality.name}, but beyond the {cap} channels of it that are used"
            )
        return [candidate for candidate, _ in ranked[:cap]], dropped


@dataclass(frozen=True)
class _Candidate:
    index: int
    channel: Channel
    modality: Modality
    reason: str
    place: int | None = None  # in the user's list; None where the label was read

    def key(self, urgency: tuple) -> tuple:
        """Sorts the user's own channels first, in their order, then by urgency."""
        place = (1, 0) if self.place is None else (0, self.place)
        return (*place, urgency, self.channel.label.casefold(), self.index)


def _unique(labels: Sequence[str]) -> list[str]:
    """The labels, the second `Leg` as `Leg-2`; a name that the recording has is never taken."""
    taken, names = set(labels), []
    for label in labels:
        name, count = label, 1
        while name in names:
            count += 1
            name = f"{label}-{count}" if f"{label}-{count}" not in taken else label
        names.append(name)
    return names


def read_channel_groups(path: str | os.PathLike[str]) -> dict[Modality, tuple[str, ...]]:
    """Reads channel groups in the published format, `{"BAS": ["C3-M2", …], "RESP": […], …}`.

    Args:
        path: the JSON file.

    Raises:
        InputError: the file cannot be read, is no such JSON or names an unknown modality.
    """
    try:
        groups = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f'{path}: no JSON of channel groups ({error}); give one like {{"BAS": ["C3-M2"]}}'
        ) from error
    if not isinstance(groups, dict) or not all(
        isinstance(listed, list) and all(isinstance(label, str) for label in listed)
        for listed in groups.values()
    ):
        raise InputError(
            f'{path}: channel groups must be lists of labels by modality, like {{"BAS": ["C3-M2"]}}'
        )
    return {_modality(name, str(path)): tuple(listed) for name, listed in groups.items()}


def parse_named(texts: Sequence[str]) -> dict[str, Modality | None]:
    """Reads `LABEL=MODALITY` (BAS, RESP, EKG, EMG, or none to leave a channel out).

    >>> parse_named(["Foo=RESP"])
    {'Foo': <Modality.RESP: 1>}

    Raises:
        InputError: there is no `=`, no label, or the modality is unknown.
    """
    named: dict[str, Modality | None] = {}
    for text in texts:
        label, equals, name = text.rpartition("=")
        if not equals or not label.strip():
            raise InputError(f'--channel {text!r}: write LABEL=MODALITY, like "Foo=RESP"')
        name = name.strip()
        named[label.strip()] = (
            None if name.casefold() == "none" else _modality(name, f"--channel {text!r}")
        )
    return named


def _modality(name: str, where: str) -> Modality:
    try:
        return Modality[name.strip().upper()]
    except KeyError:
        known = ", ".join(modality.name for modality in Modality)
        raise InputError(f"{where}: no modality {name!r}; known are {known}") from None
