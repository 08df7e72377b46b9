"""Where a channel was recorded: its site and its reference, from the parts of its label."""

import re

from sleepfm_jax.input_pipeline.electrodes import EYES, MASTOIDS, REFERENCES
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.parts import Part
from sleepfm_jax.input_pipeline.vocabulary import (
    EOG_TYPE,
    EYE_WORDS,
    MEANINGS,
    PAP_DEVICE,
    PAP_FLOW,
    Meaning,
)

_LIMBS = frozenset({"la", "ra", "ll", "rl"})


def place(meaning: Meaning, found: list[Part]) -> tuple[str | None, str | None]:
    """Site and reference of a channel, each None where the label names none.

    Args:
        meaning: what the channel was taken for.
        found: the parts of its label.
    """
    match meaning.modality:
        case Modality.BAS:
            return _derivation(meaning, found)
        case Modality.EKG:
            second = _second(meaning, found)
            return _lead(found), second and second.replace("ekg", "ecg").upper()
        case Modality.EMG:
            muscle = _muscle(meaning, found)
            return _sided(muscle.site, found), _second(muscle, found)
    if meaning.site == "airflow" and any(part.text in PAP_DEVICE.words for part in found):
        return PAP_FLOW.site, None
    return meaning.site, None


def _derivation(meaning: Meaning, found: list[Part]) -> tuple[str | None, str | None]:
    """The active electrode and what it was recorded against, whichever is written first."""
    electrodes = list(dict.fromkeys(part.electrode for part in found if part.electrode))
    active = [name for name in electrodes if name not in MASTOIDS] or electrodes
    site = _eye(meaning, found) or (active[0] if active else meaning.site)
    others = [name for name in electrodes if name != site]
    return site, "+".join(others) or (_named_reference(found) if site else None)


def _named_reference(found: list[Part]) -> str | None:
    return next((REFERENCES[part.text] for part in found[1:] if part.text in REFERENCES), None)


def _eye(meaning: Meaning, found: list[Part]) -> str | None:
    """E1, E2, HEOG, VEOG or EOG, where the label is about the eyes."""
    electrode = next((part.electrode for part in found if part.electrode in EYES), None)
    if electrode:
        return electrode
    named = [MEANINGS[part.rank].site for part in found if part.rank is not None]
    if "E1" in named or "E2" in named:
        return "E1" if "E1" in named else "E2"
    if meaning not in (EOG_TYPE, EYE_WORDS):
        return None
    texts = [part.text for part in found]
    sides = {part.side for part in found if part.side}
    if sides == {"left"} or (not sides and "1" in texts and "2" not in texts):
        return "E1"
    if sides == {"right"} or (not sides and "2" in texts and "1" not in texts):
        return "E2"
    if any(text == "h" or text.startswith("hor") for text in texts):
        return "HEOG"
    return "VEOG" if any(text == "v" or text.startswith("ver") for text in texts) else "EOG"


def _lead(found: list[Part]) -> str | None:
    """The lead of an ECG (`II`, `AVF`, `V2`), or its electrode (`LA`, `ECG1`, `ECGL`)."""
    texts = [part.text for part in found]
    for text in texts:
        if re.fullmatch("i{1,3}|av[rlf]|v[1-6]", text) or text in _LIMBS:
            return text.upper()
    number = next((part.text for part in found if part.text.isdigit() or part.side), None)
    return f"ECG{number[0].upper()}" if number else None


def _muscle(meaning: Meaning, found: list[Part]) -> Meaning:
    """The first muscle named, or the bare electromyogram."""
    named = [MEANINGS[part.rank] for part in found if part.rank is not None]
    return next((m for m in named if m.modality is Modality.EMG and m.site), meaning)


def _sided(site: str | None, found: list[Part]) -> str | None:
    sides = [part.side for part in found if part.side]
    side = sides[0] if len(set(sides)) == 1 else None
    return " ".join(filter(None, (side, site))) or None


def _second(meaning: Meaning, found: list[Part]) -> str | None:
    """What the first electrode was recorded against: `chin2` of `Chin1-Chin2`, or a reference."""
    same = [position for position, part in enumerate(found) if part.text in meaning.words]
    if len(same) > 1 and not _prefixed(meaning, same):
        return "".join(part.text for part in found[same[-1] :])
    limbs = [part.text.upper() for part in found if part.text in _LIMBS]
    if len(limbs) > 1:
        return limbs[1]
    electrode = next((part.electrode for part in found if part.electrode), None)
    return electrode or _named_reference(found)


def _prefixed(meaning: Meaning, same: list[int]) -> bool:
    """Whether the word only stands twice as the label begins with the type: `ECG ECG1`."""
    return meaning.site is None and len(same) == 2 and same[1] == same[0] + 1
