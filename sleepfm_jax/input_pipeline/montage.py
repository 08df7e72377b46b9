"""Which channels of a recording are used: the AASM's derivations first, up to a number a modality.

The order of choice is told in docs/channels.md; it does not depend on the order in the file.
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
"""The largest number of channels of each modality that the published model was trained with."""


@dataclass(frozen=True)
class Chosen:
    """A channel that is used.

    Args:
        index: its place in the recording.
        label: the name to store it under, unique among the chosen.
        modality: what it is used as.
        reason: why, in words.
    """

    index: int
    label: str
    modality: Modality
    reason: str


@dataclass(frozen=True)
class Choice:
    """What a montage makes of a recording's labels.

    Args:
        chosen: the channels to use, modality by modality, the most important first.
        left_out: index, label and the reason in words of every other channel, in the file's order.
        unmatched: labels the user named that the recording does not have.
    """

    chosen: tuple[Chosen, ...]
    left_out: tuple[tuple[int, str, str], ...]
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Montage:
    """The rules by which a recording's channels are chosen.

    Args:
        caps: the largest number of channels of each modality; one not named keeps the published.
        groups: labels by modality, as published; they are matched as written and nothing else is
            used. None: the labels are read by `channels.identify`.
        named: single labels and what each is used as (None: not at all). They outweigh all else
            and come first.

    >>> choice = Montage().choose(["C3", "C3-M2", "Chin1-Chin2", "Position"])
    >>> [channel.label for channel in choice.chosen]
    ['C3-M2', 'Chin1-Chin2']
    """

    caps: Mapping[Modality, int] = field(default_factory=lambda: CAPS)
    groups: Mapping[Modality, Sequence[str]] | None = None
    named: Mapping[str, Modality | None] = field(default_factory=dict)

    def choose(self, labels: Sequence[str]) -> Choice:
        """Chooses the channels to use from a recording.

        Args:
            labels: every label of the recording, in its order; duplicates are allowed.
        """
        candidates = [self._candidate(index, label) for index, label in enumerate(labels)]
        left_out = {c.index: c.reason for c in candidates if c.modality is None}
        chosen: list[_Candidate] = []
        for modality in Modality:
            kept, dropped = self._cut(modality, [c for c in candidates if c.modality is modality])
            chosen += kept
            left_out |= dropped
        names = _unique([candidate.channel.label for candidate in chosen])
        found = {candidate.channel.label for candidate in candidates}
        return Choice(
            chosen=tuple(
                Chosen(c.index, name, c.modality, c.reason)
                for c, name in zip(chosen, names, strict=True)
                if c.modality is not None
            ),
            left_out=tuple((index, labels[index], left_out[index]) for index in sorted(left_out)),
            unmatched=tuple(label for label in self.named if _plain(label) not in found),
        )

    def _candidate(self, index: int, label: str) -> "_Candidate":
        """What the user, or else the label itself, wants a channel to be."""
        channel = identify(label)
        for name, modality in self.named.items():
            if _plain(name) == channel.label:
                wanted = "left it out" if modality is None else f"named it {modality.name}"
                return _Candidate(index, channel, modality, f"you {wanted}", place=-1)
        if self.groups is None:
            return _Candidate(index, channel, channel.modality, channel.reason)
        for modality, listed in self.groups.items():
            if label in listed:
                reason = f"listed under {modality.name} in the channel groups"
                return _Candidate(index, channel, modality, reason, place=listed.index(label))
        return _Candidate(index, channel, None, "not listed in the channel groups")

    def _cut(
        self, modality: Modality, wanted: list["_Candidate"]
    ) -> tuple[list["_Candidate"], dict[int, str]]:
        """The channels of one modality that are used, in order, and why the others are not."""
        read = [candidate for candidate in wanted if candidate.place is None]
        better = superseded([candidate.channel for candidate in read])
        dropped = {read[place].index: reason for place, reason in better.items()}
        kept = [candidate for candidate in wanted if candidate.index not in dropped]
        keys = urgency(modality, [candidate.channel for candidate in kept])
        ranked = sorted(zip(kept, keys, strict=True), key=lambda pair: pair[0].key(pair[1]))
        cap = self.caps.get(modality, CAPS[modality])
        for candidate, _ in ranked[cap:]:
            dropped[candidate.index] = (
                f"{modality.name}, but {cap} more important channels of it are used already"
            )
        return [candidate for candidate, _ in ranked[:cap]], dropped


@dataclass(frozen=True)
class _Candidate:
    index: int
    channel: Channel
    modality: Modality | None
    reason: str
    place: int | None = None  # in the user's list; None where the label was read

    def key(self, urgency: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int], str, int]:
        """Sorts the user's own channels first, in the user's order, then by urgency."""
        place = (1, 0) if self.place is None else (0, self.place)
        return (place, urgency, self.channel.label, self.index)


def _plain(label: str) -> str:
    return repaired(label).strip()


def _unique(labels: Sequence[str]) -> list[str]:
    """The labels, the second `Leg` as `Leg-2`, without taking a name that another channel has."""
    names: list[str] = []
    for label in labels:
        name, count = label, 1
        while name in names or (count > 1 and name in labels):
            count += 1
            name = f"{label}-{count}"
        names.append(name)
    return names


def read_channel_groups(path: str | os.PathLike[str]) -> dict[Modality, tuple[str, ...]]:
    """Reads channel groups in the published format, `{"BAS": ["C3-M2", …], "RESP": […], …}`.

    Args:
        path: the JSON file.

    Raises:
        InputError: the file cannot be read, is no such JSON or names an unknown modality.
    """
    example = 'write {"BAS": ["C3-M2", "E1-M2"], "RESP": ["Airflow"]}'
    try:
        groups = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); {example}") from error
    if not isinstance(groups, dict) or not all(map(_is_list_of_labels, groups.values())):
        raise InputError(f"{path}: channel groups are lists of labels by modality; {example}")
    return {_modality(name, str(path)): tuple(listed) for name, listed in groups.items()}


def _is_list_of_labels(listed: object) -> bool:
    return isinstance(listed, list) and all(isinstance(label, str) for label in listed)


def parse_named(texts: Sequence[str]) -> dict[str, Modality | None]:
    """Reads `LABEL=MODALITY` from the command line.

    Args:
        texts: each a label, `=`, and BAS, RESP, EKG, EMG or `none` (the channel is left out).

    >>> parse_named(["Foo=RESP"])
    {'Foo': <Modality.RESP: 1>}

    Raises:
        InputError: there is no `=`, no label, or the modality is unknown.
    """
    named: dict[str, Modality | None] = {}
    for text in texts:
        label, equals, name = text.rpartition("=")
        if not equals or not label.strip():
            raise InputError(f'--channel "{text}": write LABEL=MODALITY, as in "Foo=RESP"')
        where = f'--channel "{text}"'
        unwanted = name.strip().casefold() == "none"
        named[label.strip()] = None if unwanted else _modality(name, where)
    return named


def _modality(name: str, where: str) -> Modality:
    try:
        return Modality[name.strip().upper()]
    except KeyError:
        known = ", ".join(modality.name for modality in Modality)
        raise InputError(f"{where}: no modality is called {name!r}; use {known}") from None
