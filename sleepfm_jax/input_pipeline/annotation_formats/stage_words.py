"""Words and codes for sleep stages, of Rechtschaffen and Kales and of the AASM, in any spelling."""

import re

from sleepfm_jax.input_pipeline.hypnogram import UNSCORED

# Stage 4 joins N3. What is no stage of its own (movement, NREM without its depth) is unscored.
_PLAIN = {
    **dict.fromkeys(("w", "wake", "awake", "wk", "s0", "n0", "wakefulness"), 0),
    **dict.fromkeys(("n1", "s1", "nrem1", "nonrem1"), 1),
    **dict.fromkeys(("n2", "s2", "nrem2", "nonrem2"), 2),
    **dict.fromkeys(("n3", "s3", "nrem3", "nonrem3", "n4", "s4", "nrem4", "nonrem4", "n34"), 3),
    **dict.fromkeys(("r", "rem"), 4),
    **dict.fromkeys(("?", "mt", "movementtime", "unscored", "notscored", "uns"), UNSCORED),
}
# These say a stage only where it is plain that a stage is meant.
_AFTER_PREFIX = {
    **dict(zip("01234", (0, 1, 2, 3, 3), strict=True)),
    **dict.fromkeys(("n", "nrem", "m", "movement", "unknown", "undefined", "u", "na"), UNSCORED),
    **dict.fromkeys(("l", "lightson", "art", "artifact", "artefact", "x", "none"), UNSCORED),
}
_LETTERS = re.compile(r"[^a-z0-9?]")
_AROUND = re.compile(r"^(?:sleepstage|stagesleep|stage|sleep)|(?:sleep|stage)$")

PROFUSION = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: UNSCORED, 9: UNSCORED}


def stage(word: str) -> int | None:
    """The stage that a word means where it must mean one, as in a column of stages.

    Returns:
        0 Wake to 4 REM, −1 unscored; None: the word means no stage.
    """
    key = _AROUND.sub("", _LETTERS.sub("", word.casefold()))
    return _PLAIN.get(key, _AFTER_PREFIX.get(key))


def stage_among_events(text: str) -> int | None:
    """The stage that a text means where it may as well be an event.

    Returns:
        0 Wake to 4 REM, −1 unscored; None: an event.

    Raises:
        ValueError: the text says that it is a sleep stage, but not one that is known.
    """
    key = _LETTERS.sub("", text.casefold())
    if key in _PLAIN:
        return _PLAIN[key]
    short = _AROUND.sub("", key)
    if short == key:
        return None
    found = _PLAIN.get(short, _AFTER_PREFIX.get(short))
    if found is None and re.match(r"sleepstage|stage.{0,2}$", key):
        raise ValueError(text)
    return found
