"""Which channel of a recording fills which of a clip's nine places, whatever a laboratory calls it.

The electrode decides; of several channels of one electrode, the reference does. docs/clips.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.channels import Channel, Modality, identify
from sleepfm_jax.input_pipeline.clips import CHANNELS
from sleepfm_jax.input_pipeline.parts import parts
from sleepfm_jax.input_pipeline.priority import superseded, urgency
from sleepfm_jax.input_pipeline.spelling import repaired
from sleepfm_jax.input_pipeline.vocabulary import MEANINGS

_DERIVATIONS = {
    "C3-M2": ("C3", "M2"),
    "C4-M1": ("C4", "M1"),
    "O1-M2": ("O1", "M2"),
    "O2-M1": ("O2", "M1"),
    "E1-M2": ("E1", "M2"),
}
_BREATHING = {"CHEST": "thorax", "ABD": "abdomen", "SaO2": "oxygen saturation"}
_HEART = "ECG"
_AS_MASTOIDS = {"A1": "M1", "A2": "M2"}  # an electrode at the ear stands for the one behind it
_MASTOIDS = {"M1", "M2"}
_BOTH = {"linked ears", "linked mastoids", "mastoids", "average"}
_UNNAMED = {None, "Ref", "x", "G2"}
_MIDLINE = {"Fpz", "Fz", "FCz", "Cz", "CPz", "Pz", "Oz"}
NONE = "none"

Rank = tuple[int, int, str, int]


@dataclass(frozen=True)
class Filled:
    """What fills the places of a clip.

    Attributes:
        channels: (9,) index into the recording's channels, in the order of `clips.CHANNELS`;
            None where nothing fits.
        left_out: index, label and reason in words of every other channel, in the file's order.
        unmatched: labels that the user named and the recording does not have.
    """

    channels: tuple[int | None, ...]
    left_out: tuple[tuple[int, str, str], ...]
    unmatched: tuple[str, ...] = field(default=())


def fill(labels: Sequence[str], named: Mapping[str, str | None] | None = None) -> Filled:
    """Chooses a channel for each place.

    Args:
        labels: every label of a recording, in its order; duplicates are allowed.
        named: what single labels are to fill (None: nothing), as of `parse_named`; it outweighs
            what the labels say.

    >>> filled = fill(["EEG C3", "EEG C3-A2", "THOR RES", "SpO2", "Pulse"])
    >>> [place for place, index in zip(CHANNELS, filled.channels) if index is not None]
    ['CHEST', 'SaO2', 'C3-M2']
    >>> filled.channels[3]
    1
    """
    asked = {_plain(label): place for label, place in (named or {}).items()}
    channels = [identify(label) for label in labels]
    free = [index for index, channel in enumerate(channels) if channel.label not in asked]
    chosen: dict[str, int] = {}
    for place in CHANNELS:
        told = [i for i, c in enumerate(channels) if asked.get(c.label) == place]
        ranks = told and {i: (-1, [*asked].index(channels[i].label), "", i) for i in told}
        ranks = ranks or _ranks(place, channels, free)
        if ranks:
            chosen[place] = min(ranks, key=ranks.__getitem__)
    used = set(chosen.values())
    found = {channel.label for channel in channels}
    return Filled(
        channels=tuple(chosen.get(place) for place in CHANNELS),
        left_out=tuple(
            (index, labels[index], _why_not(channel, asked))
            for index, channel in enumerate(channels)
            if index not in used
        ),
        unmatched=tuple(label for label in named or {} if _plain(label) not in found),
    )


def parse_named(texts: Sequence[str]) -> dict[str, str | None]:
    """Reads `LABEL=PLACE` from the command line.

    Args:
        texts: each a label, `=`, and one of the nine places or `none` (the channel is not used).

    >>> parse_named(["EEG(sec)=c3-m2", "SpO2 B=none"])
    {'EEG(sec)': 'C3-M2', 'SpO2 B': None}

    Raises:
        InputError: there is no `=`, no label, or no such place.
    """
    places = {place.casefold(): place for place in CHANNELS}
    named: dict[str, str | None] = {}
    for text in texts:
        label, equals, name = text.rpartition("=")
        if not equals or not label.strip():
            raise InputError(f'--place "{text}": write LABEL=PLACE, as in "EEG(sec)=C3-M2"')
        place = name.strip().casefold()
        if place not in places and place != NONE:
            raise InputError(
                f'--place "{text}": no place is called {name!r}; use {", ".join(CHANNELS)} or none'
            )
        named[label.strip()] = places.get(place)
    return named


def _ranks(place: str, channels: Sequence[Channel], free: Sequence[int]) -> dict[int, Rank]:
    """The channels that may fill a place, the best with the smallest rank."""
    exact = {i: (0, 0, "", i) for i in free if channels[i].label == place}
    if exact:
        return exact
    if place == _HEART:
        return _hearts(channels, free)
    ranks: dict[int, Rank] = {}
    for index in free:
        channel = channels[index]
        fit = _fit(place, channel)
        if fit is not None:
            ranks[index] = (1, fit, channel.label, index)
    return ranks


def _fit(place: str, channel: Channel) -> int | None:
    """How well a channel fits, 0 the best; None: it does not."""
    if place in _BREATHING:
        named = {MEANINGS[part.rank].site for part in parts(channel.label) if part.rank is not None}
        return (
            0 if named & {*_BREATHING.values()} == {_BREATHING[place]} == {channel.site} else None
        )
    site, reference = _DERIVATIONS[place]
    if channel.modality is not Modality.BAS or channel.site != site:
        return None
    against = {_AS_MASTOIDS.get(name, name) for name in (channel.reference or "").split("+")}
    if against == {reference}:
        return 0
    if against <= _MASTOIDS:
        return 1
    if channel.reference in _BOTH:
        return 2
    if channel.reference in _UNNAMED:
        return 3
    return 4 if channel.reference in _MIDLINE else None  # else as much the other electrode's


def _hearts(channels: Sequence[Channel], free: Sequence[int]) -> dict[int, Rank]:
    """The electrocardiograms, by what the montage of the foundation model takes first."""
    hearts = [index for index in free if channels[index].modality is Modality.EKG]
    better = superseded([channels[index] for index in hearts])
    kept = [index for number, index in enumerate(hearts) if number not in better]
    keys = urgency(Modality.EKG, [channels[index] for index in kept])
    return {
        index: (1 + turn, order, channels[index].label, index)
        for index, (turn, order) in zip(kept, keys, strict=True)
    }


def _why_not(channel: Channel, asked: Mapping[str, str | None]) -> str:
    if channel.label in asked:
        place = asked[channel.label]
        return f"you gave {place} to another channel too" if place else "you left it out"
    fits = [p for p in _DERIVATIONS | _BREATHING if _fit(p, channel) is not None]
    if channel.modality is Modality.EKG:
        fits = [_HEART]
    if fits:
        return f"another channel fits {fits[0]} better"
    reason = channel.reason.partition("; if it is one of")[0]  # ends in advice for other commands
    return f"no place of a clip takes it: {reason}"


def _plain(label: str) -> str:
    return repaired(label).strip()
