"""The parts of a label: known words, electrodes, sides and numbers, also when run together."""

import difflib
import functools
import re
from dataclasses import dataclass

from sleepfm_jax.input_pipeline.electrodes import ELECTRODE, REFERENCES, canonical
from sleepfm_jax.input_pipeline.spelling import words
from sleepfm_jax.input_pipeline.vocabulary import MEANINGS, NEUTRAL, SIDE_OF

_RANK = {word: rank for rank, meaning in reversed([*enumerate(MEANINGS)]) for word in meaning.words}
_LONG_WORDS = tuple(sorted(word for word in _RANK if len(word) >= 5))
_GLUE = frozenset("lrcdgxpna12i") | {"dc", "ac", "cs", "re", "li"}


@dataclass(frozen=True)
class Part:
    """One part of a label; at most one of the first three is set, none where it is unknown.

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

    >>> [part.text for part in parts("EEG_C3M2")]
    ['eeg', 'c3', 'm2']
    """
    return [part for word in words(label) for part in _parts_of_word(word)]


@functools.lru_cache(maxsize=4096)
def _parts_of_word(word: str) -> tuple[Part, ...]:
    whole = _known(word)
    if whole:
        return (whole,)
    return _segmented(word) or _completed(word) or _led_by_known(word) or (Part(word),)


def _known(text: str) -> Part | None:
    if text in _RANK:
        return Part(text, rank=_RANK[text])
    if ELECTRODE.fullmatch(text):
        return Part(text, electrode=canonical(text))
    if text in NEUTRAL or text in SIDE_OF or text in REFERENCES or text.isdigit():
        return Part(text, neutral=True)
    return None


def _segmented(word: str) -> tuple[Part, ...] | None:
    """The fewest known parts that make up the whole word: `llegemg` is l, leg, emg."""
    best: list[tuple[Part, ...] | None] = [()] + [None] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            before = best[start]
            if before is None:
                continue
            part = _joinable(word[start:end], before)
            if part and (best[end] is None or _cost((*before, part)) < _cost(best[end] or ())):
                best[end] = (*before, part)
    found = best[-1]
    if found and any(part.rank is not None or part.electrode for part in found):
        return found
    return None


def _joinable(text: str, before: tuple[Part, ...]) -> Part | None:
    """The part that `text` is inside a longer word, where short words mean little."""
    if text.isdigit():  # "c34" is no C3
        after_electrode = bool(before) and before[-1].electrode is not None
        after_digit = bool(before) and before[-1].text.isdigit()
        return None if after_electrode or after_digit else Part(text, neutral=True)
    part = _known(text)
    if part and part.electrode is None and len(text) < 3 and text not in _GLUE:
        return part if before and re.fullmatch("hr|pr|ii|v[1-6]", text) else None
    return part or (Part(text, neutral=True) if text in _GLUE else None)


def _cost(found: tuple[Part, ...]) -> float:
    return sum(1.5 if part.neutral and part.text.isalpha() else 1.0 for part in found)


def _completed(word: str) -> tuple[Part, ...] | None:
    """A word cut short by the 16 letters of an EDF label, or misspelled by one letter or two."""
    if not word.isalpha() or len(word) < 4:
        return None
    longer = {_RANK[known] for known in _LONG_WORDS if known.startswith(word)}
    if longer and len({MEANINGS[rank].modality for rank in longer}) == 1:
        return (Part(word, rank=min(longer)),)
    if len(word) < 6:
        return None
    near = difflib.get_close_matches(word, _LONG_WORDS, n=1, cutoff=0.86)
    return (Part(word, rank=_RANK[near[0]]),) if near else None


def _led_by_known(word: str) -> tuple[Part, ...] | None:
    """A known word of four letters or more with something unknown behind it: `snoreb2x`."""
    for length in range(len(word) - 1, 3, -1):
        if word[:length] in _RANK and re.fullmatch("[a-z]+", word[:length]):
            return (Part(word[:length], rank=_RANK[word[:length]]), Part(word[length:]))
    return None
