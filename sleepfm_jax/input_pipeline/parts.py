"""The parts of a label: known words, electrodes, sides and numbers, also when run together."""

import functools
import string
from collections.abc import Callable
from dataclasses import dataclass

from sleepfm_jax.input_pipeline.electrodes import ELECTRODE, REFERENCES, canonical
from sleepfm_jax.input_pipeline.spelling import words
from sleepfm_jax.input_pipeline.vocabulary import MEANINGS, NEUTRAL, SIDE_OF

_RANK = {word: rank for rank, meaning in reversed([*enumerate(MEANINGS)]) for word in meaning.words}
_LONGEST = 40  # letters; nobody runs more together, and cutting takes the cube of it
_TYPES = frozenset({"eeg", "eog", "emg", "ecg", "ekg"})
_LONG_WORDS = tuple(word for word in _RANK if len(word) >= 5)
# Short texts that may stand at a word's beginning or end: sides, leads, couplings (`NasalDC`).
_LEADING = frozenset({"l", "r", "c", "lt", "rt"})
_SHORT = "l r c d g a b p x z i ii iii li re sx dx la ra ll rl dc ac hr pr ic v1 v2 v3 v4 v5 v6"
_TRAILING = frozenset(_SHORT.split())


@dataclass(frozen=True)
class Part:
    """One part of a label; unknown if it has no rank, is no electrode and not neutral.

    Args:
        text: as it stands in the plain label.
        rank: its place in `vocabulary.MEANINGS`, if it is a word of the vocabulary.
        electrode: canonical name, if it is an electrode of the EEG.
        neutral: a side, a number, a reference or another word that decides nothing.
    """

    text: str
    rank: int | None = None
    electrode: str | None = None
    neutral: bool = False

    @property
    def side(self) -> str | None:
        """'left', 'right' or None."""
        return SIDE_OF.get(self.text)


def parts(label: str) -> list[Part]:
    """The parts of a label from left to right.

    >>> [part.text for part in parts("EEG_C3M2")], [part.text for part in parts("LLegEMG2")]
    (['eeg', 'c3', 'm2'], ['l', 'leg', 'emg', '2'])
    """
    return [part for word in words(label) for part in _parts_of_word(word)]


@functools.lru_cache(maxsize=4096)
def _parts_of_word(word: str) -> tuple[Part, ...]:
    whole = _known(word)
    if whole:
        return (whole,)
    numbered, number = _known(word.rstrip(string.digits)), word.lstrip(string.ascii_lowercase)
    if numbered and number.isdigit():
        return (numbered, Part(number, neutral=True))
    if len(word) > _LONGEST:
        return (Part(word),)
    run_together = _segmented(word, _joinable)
    if run_together:
        return run_together
    mended = _mended(word)
    if mended:
        return (mended,)
    return _segmented(word, _joinable_or_mended) or _led_by_known(word)


def _known(text: str) -> Part | None:
    if text in _RANK:
        return Part(text, rank=_RANK[text])
    if ELECTRODE.fullmatch(text):
        return Part(text, electrode=canonical(text))
    if text in NEUTRAL or text in SIDE_OF or text in REFERENCES or text.isdigit():
        return Part(text, neutral=True)
    return None


def _segmented(
    word: str, read: Callable[[str, tuple[Part, ...]], Part | None]
) -> tuple[Part, ...] | None:
    """The fewest parts that make up the whole word."""
    best: list[tuple[Part, ...] | None] = [()] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            before = best[start]
            if before is None:
                continue
            part = read(word[start:end], before)
            if part is None:
                continue
            found, kept = (*before, part), best[end]
            if kept is None or _cost(found) < _cost(kept):
                best[end] = found
    return best[-1]


def _cost(found: tuple[Part, ...]) -> float:
    return sum(1.5 if part.neutral and part.text.isalpha() else 1.0 for part in found)


def _joinable(text: str, before: tuple[Part, ...]) -> Part | None:
    """The part that `text` is inside a longer word, where short texts mean little."""
    last = before[-1] if before else None
    if text.isdigit():  # no numbers behind an electrode: "c34" is no C3
        allowed = last is None or not (last.electrode or last.text.isdigit())
        return Part(text, neutral=True) if allowed else None
    part = _known(text)
    if part and (part.electrode or len(text) > 2):
        refers = text not in REFERENCES or any(other.electrode for other in before)
        return part if refers else None
    if text in (_LEADING if last is None else _TRAILING):
        follows_short = last is not None and last.text.isalpha() and len(last.text) < 3
        return None if follows_short else part or Part(text, neutral=True)
    return None


def _joinable_or_mended(text: str, before: tuple[Part, ...]) -> Part | None:
    return _mended(text) or (_joinable(text, before) if len(text) > 2 else None)


@functools.lru_cache(maxsize=4096)
def _mended(word: str) -> Part | None:
    """A word cut short by the 16 letters of an EDF label, or with one letter wrong."""
    if not word.isalpha() or len(word) < 4:
        return None
    longer = {
        _RANK[known]
        for known in _LONG_WORDS
        if known.startswith(word) and (len(word) > 4 or len(known) == 5)
    }
    if longer and len({MEANINGS[rank].modality for rank in longer}) == 1:
        return Part(word, rank=min(longer))
    near = {_RANK[text] for text in _one_letter_off(word) if len(text) > 4 and text in _RANK}
    return Part(word, rank=min(near)) if near else None


def _one_letter_off(word: str) -> set[str]:
    """Spellings with two letters exchanged or, in longer words, one more, less or other."""
    if len(word) < 5:
        return set()
    cuts = [(word[:i], word[i:]) for i in range(1, len(word) + 1)]  # the first letter is trusted
    swapped = {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    if len(word) < 6:
        return swapped
    letters = string.ascii_lowercase
    return (
        swapped
        | {a + b[1:] for a, b in cuts if b}
        | {a + letter + b[1:] for a, b in cuts if b for letter in letters}
        | {a + letter + b for a, b in cuts for letter in letters}
    )


def _led_by_known(word: str) -> tuple[Part, ...]:
    """A telling word with something unknown behind it: `sao2nellcor`, `eogleftcanthus`."""
    for length in range(len(word) - 1, 2, -1):
        start = word[:length]
        if start in _TYPES or (start in _RANK and length > (4 if start.isalpha() else 3)):
            return (Part(start, rank=_RANK[start]), Part(word[length:]))
    return (Part(word),)
