"""What a channel label means: its modality, electrode and reference, decided by a small grammar.

A label is brought to plain words (`spelling`), these are cut into known parts (`parts`), and the
first meaning in the order of `vocabulary.MEANINGS` that any part carries decides.
"""

import functools
import re
from dataclasses import dataclass

from sleepfm_jax.input_pipeline.electrodes import MASTOIDS, REFERENCES
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.parts import Part, parts
from sleepfm_jax.input_pipeline.spelling import repaired, words
from sleepfm_jax.input_pipeline.vocabulary import EYE, MEANINGS, SCALP, Meaning

__all__ = ["Channel", "Modality", "identify"]

_SIGNAL = {
    Modality.BAS: "brain activity (EEG and EOG)",
    Modality.RESP: "respiration",
    Modality.EKG: "the heart's electricity",
    Modality.EMG: "muscle tone",
}
_EYE_RANK, _SCALP_RANK = MEANINGS.index(EYE), MEANINGS.index(SCALP)

# Labels that mean something only as a whole.
_WHOLE = (
    (re.compile(r"([12] [f2])"), "a chin derivation of Nox recorders", Modality.EMG, "chin"),
    (re.compile(r"(dx|sx) ?1 \1 ?2"), "a leg of Italian recordings", Modality.EMG, "leg"),
    (re.compile(r"[lr][al] (ref )?[lr][al]"), "two electrodes at the limbs", Modality.EKG, None),
    (re.compile(r"hb \d+"), "an EEG channel of a headband", Modality.BAS, None),
)


@dataclass(frozen=True)
class Channel:
    """A label and what it was taken for.

    Args:
        label: the label, its encoding repaired and the space around it gone.
        modality: the modality, or None where the signal is none of the four or not known.
        site: electrode or place, in its usual writing (`Fp1`, `E1`, `chin`, `thorax`), if named.
        reference: what an electrode was recorded against (`M2`, `M1+M2`, `average`), if named.
        reason: in words, why.
    """

    label: str
    modality: Modality | None
    site: str | None
    reference: str | None
    reason: str


@functools.lru_cache(maxsize=4096)
def identify(label: str) -> Channel:
    """Reads a channel label as people in sleep laboratories write them.

    Args:
        label: any text; never raises.

    >>> channel = identify("EEG_C3-A2")
    >>> channel.modality.name, channel.site, channel.reference
    ('BAS', 'C3', 'A2')
    >>> identify("C3 Impédance").modality is None
    True
    """
    label = repaired(label).strip()
    plain = " ".join(words(label))
    for pattern, says, modality, site in _WHOLE:
        if pattern.fullmatch(plain):
            return _channel(label, modality, site, None, f"“{label}” is {says}")
    found = parts(label)
    rank, deciding = _deciding(found)
    if rank is None or deciding is None:
        return _unknown(label)
    meaning = MEANINGS[rank]
    if meaning.modality is Modality.BAS:
        return _brain(label, found, meaning, deciding)
    site = _site(meaning, found)
    return _channel(label, meaning.modality, site, None, f"“{deciding.text}” is {meaning.says}")


def _channel(
    label: str, modality: Modality | None, site: str | None, reference: str | None, why: str
) -> Channel:
    taken_for = "none of the four modalities" if modality is None else _SIGNAL[modality]
    return Channel(label, modality, site, reference, f"{why}: {taken_for}")


def _unknown(label: str) -> Channel:
    reason = (
        "no part of the label is known; if it is one of the four modalities, say so with "
        f'--channel "{label}=RESP" (or BAS, EKG, EMG)'
    )
    return Channel(label, None, None, None, reason)


def _deciding(found: list[Part]) -> tuple[int | None, Part | None]:
    """The first meaning in the vocabulary's order that any part carries, and that part."""
    ranks = [(_rank(part), position) for position, part in enumerate(found)]
    ranks = [(rank, position) for rank, position in ranks if rank is not None]
    if not ranks:
        return None, None
    rank, position = min(ranks)
    if rank == _SCALP_RANK and not _electrode_counts(found):
        return None, None
    return rank, found[position]


def _rank(part: Part) -> int | None:
    if part.electrode is None:
        return part.rank
    return _EYE_RANK if part.electrode in ("E1", "E2") else _SCALP_RANK


def _electrode_counts(found: list[Part]) -> bool:
    """An electrode counts unless it is alone behind an unknown word: "Valve P3" is no EEG."""
    electrodes = [position for position, part in enumerate(found) if part.electrode]
    before = found[: electrodes[0]]
    strangers = [p for p in before if len(p.text) > 2 and not p.neutral and p.rank is None]
    return len(electrodes) > 1 or not strangers


def _brain(label: str, found: list[Part], meaning: Meaning, deciding: Part) -> Channel:
    electrodes = list(dict.fromkeys(part.electrode for part in found if part.electrode))
    eye = _eye(meaning, found)
    active = [name for name in electrodes if name not in MASTOIDS] or electrodes
    site = eye or (active[0] if active else meaning.site)
    others = [name for name in electrodes if name != site]
    named = [REFERENCES[part.text] for part in found if part.text in REFERENCES]
    reference = "+".join(others) or (named[0] if named and (electrodes or eye) else None)
    what = f"{deciding.electrode or '“' + deciding.text + '”'} is {meaning.says}"
    against = f", recorded against {reference}" if reference else ""
    return _channel(label, Modality.BAS, site, reference, what + against)


def _eye(meaning: Meaning, found: list[Part]) -> str | None:
    """E1, E2, HEOG or VEOG where the label is about the eyes and says which."""
    electrodes = [part.electrode for part in found if part.electrode in ("E1", "E2")]
    if electrodes:
        return electrodes[0]
    if meaning.site in ("E1", "E2", "HEOG", "VEOG"):
        return meaning.site
    if "oculogram" not in meaning.says and meaning.says != "the eyes":
        return None
    texts = [part.text for part in found]
    sides = {part.side for part in found if part.side} or (
        {"1": {"left"}, "2": {"right"}}.get(next((t for t in texts if t.isdigit()), ""), set())
    )
    if len(sides) == 1:
        return "E1" if sides == {"left"} else "E2"
    if any(text.startswith("hor") for text in texts):
        return "HEOG"
    return "VEOG" if any(text.startswith("vert") for text in texts) else "EOG"


def _site(meaning: Meaning, found: list[Part]) -> str | None:
    if meaning.modality is Modality.EKG:
        leads = [part.text for part in found if re.fullmatch("i{1,3}|av[rlf]|v[1-6]", part.text)]
        return leads[0].upper() if leads else None
    if meaning.modality is not Modality.EMG:
        return meaning.site
    muscles = [MEANINGS[p.rank] for p in found if p.rank is not None]
    place = next((m.site for m in muscles if m.site and m.modality is Modality.EMG), None)
    sides = {part.side for part in found if part.side}
    side = next(iter(sides)) if len(sides) == 1 else None
    return " ".join(word for word in (side, place) if word) or None
