"""What a channel label means: its modality, electrode and reference, decided by a small grammar.

A label is brought to plain words (`spelling`), these are cut into known parts (`parts`), and the
first meaning in the order of `vocabulary.MEANINGS` that any part carries decides.
"""

import functools
import re
from dataclasses import dataclass

from sleepfm_jax.input_pipeline.electrodes import EYES, unmistakable
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.parts import Part, parts
from sleepfm_jax.input_pipeline.sites import place
from sleepfm_jax.input_pipeline.spelling import repaired, words
from sleepfm_jax.input_pipeline.vocabulary import EYE_ELECTRODE, MEANINGS, SCALP_ELECTRODE

__all__ = ["Channel", "Modality", "identify"]

_SIGNAL = {
    None: "none of the four modalities",
    Modality.BAS: "brain activity (EEG and EOG)",
    Modality.RESP: "respiration",
    Modality.EKG: "the heart's electricity",
    Modality.EMG: "muscle tone",
}
_EYE_RANK, _SCALP_RANK = MEANINGS.index(EYE_ELECTRODE), MEANINGS.index(SCALP_ELECTRODE)

# Labels that mean something only as a whole.
_WHOLE = (
    (re.compile("[12] [f2]"), "a chin derivation of Nox recorders", Modality.EMG, "chin"),
    (re.compile(r"(dx|sx) ?1 \1 ?2"), "a leg in Italian recordings", Modality.EMG, "leg"),
    (re.compile("[lr][al] (ref )?[lr][al]"), "two electrodes at the limbs", Modality.EKG, None),
    (re.compile(r"hb \d+"), "an EEG channel of a headband", Modality.BAS, None),
)


@dataclass(frozen=True)
class Channel:
    """A label and what it was taken for.

    Args:
        label: the label, its encoding repaired and the space around it gone.
        modality: the modality, or None where the signal is none of the four or not known.
        site: electrode or place, in its usual writing (`Fp1`, `E1`, `chin`, `thorax`), if named.
        reference: what it was recorded against (`M2`, `M1+M2`, `average`, `chin2`), if named.
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
        label: any text; nothing is ever raised.

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
            return Channel(label, modality, site, None, f"“{label}” is {says}: {_SIGNAL[modality]}")
    found = parts(label)
    deciding = _deciding(found)
    if deciding is None:
        return Channel(label, None, None, None, _unknown(label))
    meaning = MEANINGS[_rank(deciding)]
    site, reference = place(meaning, found)
    what = f"{site} is" if deciding.electrode else f"“{deciding.text}” means"
    against = f" recorded against {reference}" if reference else ""
    reason = f"{what} {meaning.says}{against}: {_SIGNAL[meaning.modality]}"
    return Channel(label, meaning.modality, site, reference, reason)


def _unknown(label: str) -> str:
    return (
        "nothing in the label is known; if it is one of the four modalities, say so with "
        f'--channel "{label}=RESP" (or BAS, EKG, EMG)'
    )


def _rank(part: Part) -> int:
    """The part's place in the order of meanings; past its end if it has none."""
    if part.electrode:
        return _EYE_RANK if part.electrode in EYES else _SCALP_RANK
    return len(MEANINGS) if part.rank is None else part.rank


def _deciding(found: list[Part]) -> Part | None:
    """The part whose meaning comes first in the vocabulary's order."""
    first = min(found, key=_rank, default=None)
    if first is None or _rank(first) == len(MEANINGS):
        return None
    return None if first.electrode and _stray(found) else first


def _stray(found: list[Part]) -> bool:
    """Whether the only electrode may be none, as it follows an unknown word: "Valve P3"."""
    electrodes = [position for position, part in enumerate(found) if part.electrode]
    if len(electrodes) > 1 or unmistakable(found[electrodes[0]].electrode or ""):
        return False
    before = found[: electrodes[0]]
    return any(len(part.text) > 2 and part.rank is None and not part.neutral for part in before)
