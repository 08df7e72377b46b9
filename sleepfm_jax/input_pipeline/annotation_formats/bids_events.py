"""BIDS `events.tsv`: onset and duration in seconds, stages and events in columns of their own."""

import json
from collections.abc import Iterator

from sleepfm_jax.input_pipeline.annotation_formats import marks, stage_words
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.hypnogram import UNSCORED

# The first of these decides; people come before machines.
STAGE_COLUMNS = ("stage_hum", "stage", "sleep_stage", "sleepstage", "stages", "stage_ai")
TEXT_COLUMNS = ("trial_type", "description", "event_type", "value")
# As data sets on OpenNeuro number them; 8 marks epochs without contact. R&K's own numbers (4 is S4,
# 5 is REM) cannot be told from these, so 5 is refused unless the sidecar names it.
NUMBERS: dict[float, int]
NUMBERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 8: UNSCORED, 9: UNSCORED, -1: UNSCORED}


def recognises(document: Document) -> bool:
    """Whether the first line begins with onset and duration, in a table of any separator."""
    return document.is_text and document.titles()[:2] == ["onset", "duration"]


def read(document: Document) -> Annotations:
    """Reads stages by number, word or the levels of the JSON beside the file.

    Raises:
        InputError: there is no column that could tell stages or events, a time is no number, or
            a stage is unknown.
    """
    titles = document.titles()
    stage_column = next((name for name in STAGE_COLUMNS if name in titles), None)
    text_column = next((name for name in TEXT_COLUMNS if name in titles), None)
    if stage_column is None and text_column is None:
        raise document.fault(
            f"names no stages or events in its columns ({', '.join(titles)}): call the column "
            "stage or trial_type"
        )
    levels = _levels(document, stage_column or str(text_column))
    found: list[Mark] = []
    for row in document.rows():
        found += _marks(document, row, stage_column, text_column, levels)
    return marks.gather(document, found)


def _marks(
    document: Document,
    row: dict[str, str],
    stage_column: str | None,
    text_column: str | None,
    levels: dict[str, str],
) -> Iterator[Mark]:
    onset, duration = _seconds(document, row["onset"]), _seconds(document, row["duration"] or "n/a")
    channel = row.get("channel", "").replace("n/a", "") or None
    if stage_column and row[stage_column] not in ("", "n/a"):
        word = row[stage_column]
        yield Mark(onset, duration, word, stage=_stage(document, levels.get(word, word)))
    if text_column and row[text_column] not in ("", "n/a"):
        text = levels.get(row[text_column], row[text_column])
        stage = marks.recognise(document, text)
        if stage is None or not stage_column:
            yield Mark(onset, duration, text, channel, stage)


def _stage(document: Document, word: str) -> int:
    try:
        found = NUMBERS.get(float(word))
    except ValueError:
        found = stage_words.stage(word)
    if found is None:
        raise marks.unknown_stage(document, word)
    return found


def _seconds(document: Document, text: str) -> float:
    try:
        return 0.0 if text == "n/a" else float(text)
    except ValueError:
        raise document.fault(
            f"holds {text[:40]!r} where seconds should be: write onset and duration as numbers"
        ) from None


def _levels(document: Document, column: str) -> dict[str, str]:
    """What the sidecar says that the column's values mean; {} without one."""
    sidecar = document.path.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        told = json.loads(Document(sidecar).text)
        levels = {name.casefold(): entry for name, entry in told.items()}[column].get("Levels", {})
        meanings = {
            str(level): entry.get("Description", level) if isinstance(entry, dict) else str(entry)
            for level, entry in levels.items()
        }
    except (ValueError, AttributeError, KeyError):
        return {}
    return {level: word for level, word in meanings.items() if stage_words.stage(word) is not None}
