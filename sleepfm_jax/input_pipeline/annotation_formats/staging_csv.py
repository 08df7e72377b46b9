"""The published staging CSV: Start, Stop, StageName, StageNumber; seconds (spec §4)."""

from sleepfm_jax.input_pipeline.annotation_formats import marks
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.hypnogram import STAGES, UNSCORED

COLUMNS = {"start", "stop", "stagenumber"}


def recognises(document: Document) -> bool:
    """Whether the first line names the columns."""
    return document.is_text and set(document.titles()) >= COLUMNS


def read(document: Document) -> Annotations:
    """Reads stages 0 to 4, −1 unscored; rows may be of any length and in any order.

    Raises:
        InputError: a field is no number, a row ends before it starts, a stage is unknown, or rows
            overlap.
    """
    return marks.gather(document, [_mark(document, row) for row in document.rows()])


def _mark(document: Document, row: dict[str, str]) -> Mark:
    try:
        begin, end, number = float(row["start"]), float(row["stop"]), float(row["stagenumber"])
    except ValueError as error:
        raise document.fault(
            f"has a row without numbers in Start, Stop and StageNumber ({error}): correct it"
        ) from error
    if number not in range(UNSCORED, len(STAGES)):
        raise document.fault(
            f"holds the stage number {row['stagenumber'][:40]}, which is not known: they are "
            f"{UNSCORED} to {len(STAGES) - 1}"
        )
    if not begin < end:
        raise document.fault(
            f"has a row from {begin:g} to {end:g} s: each must end after it starts; correct it"
        )
    return Mark(begin, end - begin, row.get("stagename", ""), stage=int(number))
