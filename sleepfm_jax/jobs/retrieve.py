"""Retrieval between the modalities of stored embeddings: a table, a picture, and what was used."""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from sleepfm_jax.errors import InputError
from sleepfm_jax.evaluate import retrieval
from sleepfm_jax.evaluate.retrieval import Candidates, Score
from sleepfm_jax.input_pipeline import embedded_rows
from sleepfm_jax.input_pipeline.embedded_rows import Choice, EmbeddedRows
from sleepfm_jax.jobs import pictures, result_tables, retrieval_picture

OTHERS = "others"  # the mean of all modalities but the query's
NIGHT, ALL = "night", "all"  # among whose rows a row is sought
NUMBERS = ("top1", "top5", "top10", "median_rank")
Limits = dict[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Search:
    """Among what a row is sought.

    Attributes:
        split: whose nights are used; None: all nights.
        candidates: N, drawn at random; None: all there are.
        among: "night", the rows of its own night alone, or "all", those of all nights.
        seed: of the draws, of candidates and of subjects.
        resamples: of subjects, for the intervals.
    """

    split: str | None = "test"
    candidates: int | None = None
    among: str = ALL
    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.candidates is not None and self.candidates < 2:
            raise InputError(f"{self.candidates} candidates are no choice: give 2 or more")

    @property
    def words(self) -> str:
        """As in "100 candidates across nights"."""
        where = "of its own night" if self.among == NIGHT else "across nights"
        return f"{self.candidates or 'all'} candidates {where}"


@dataclasses.dataclass(frozen=True)
class Direction:
    """How one modality finds another.

    Attributes:
        query: modality.
        key: modality, or "others".
        score: of all queries.
        limits: of 95 % intervals, by number.
        subjects: whose the queries are.
        reason: why a number or its interval is not known; empty if it is.
    """

    query: str
    key: str
    score: Score
    limits: Limits
    subjects: int
    reason: str


def retrieve(
    folder: Path, output: Path, choice: Choice | None = None, search: Search | None = None
) -> tuple[EmbeddedRows, list[Direction]]:
    """Seeks every row of each modality in every other, and in the mean of the others.

    Args:
        folder: of embeddings, of any model here.
        output: folder for the results.
        choice: what is read of the folder; None: the default.
        search: among what a row is sought; None: the default.

    Returns:
        What was read, and each direction: all ordered pairs, then each modality in the others.

    Raises:
        InputError: the embeddings cannot be used, or no row can be sought.
    """
    search = search or Search()
    result_tables.refuse_inside(output, folder)
    rows = embedded_rows.read(folder, choice, None if search.split is None else (search.split,))
    found = [*_directions(rows, search)]
    if not any(one.score.queries for one in found):
        raise InputError(
            f"no row of {folder} can be sought among {search.words} ({found[0].reason}): ask for "
            "fewer candidates, other nights or another split"
        )
    result_tables.write(output / "retrieval.csv", [_row(one) for one in found])
    result_tables.write_json(output / "retrieval.json", _summary(rows, search))
    draw = functools.partial(retrieval_picture.draw, rows.modalities, found, _title(rows, search))
    pictures.save(draw, output / "retrieval.png")
    return rows, found


def _directions(rows: EmbeddedRows, search: Search) -> Iterator[Direction]:
    """Pairs in order of query and key; both directions of a pair come from one product."""
    nights = rows.night_of if search.among == NIGHT else None
    candidates = Candidates(search.candidates, nights, search.seed)
    M, names = len(rows.modalities), rows.modalities
    subject = rows.subject_of
    arguments = (rows.x, rows.present)
    scores: dict[tuple[int, int], Score] = {}
    bar = tqdm(total=M * (M + 1) // 2, unit="pair", disable=not sys.stderr.isatty())
    with bar:
        for i, j in itertools.combinations(range(M), 2):
            scores[i, j], scores[j, i] = retrieval.pair(*arguments, i, j, candidates)
            bar.update()
        for m in range(M):
            scores[m, M] = retrieval.others(*arguments, m, candidates)
            bar.update()
    for (i, j), score in sorted(scores.items(), key=lambda item: (item[0][1] == M, item[0])):
        limits = retrieval.intervals(score, subject, search.resamples, search.seed)
        subjects = len(np.unique(subject[score.rows]))
        key = OTHERS if j == M else names[j]
        yield Direction(names[i], key, score, limits, subjects, _reason(score, subjects, search))


def _reason(score: Score, subjects: int, search: Search) -> str:
    if score.queries:
        return "" if subjects > 1 else "no interval: one subject cannot be resampled"
    if not score.left_out:
        return "no row has both"
    night = "no night has" if search.among == NIGHT else "there are not"
    return f"{night} {search.candidates or 2} rows that have both"


def _row(one: Direction) -> dict[str, object]:
    cells: dict[str, object] = {"query": one.query, "key": one.key}
    for name in NUMBERS:
        cells[name] = getattr(one.score, name)
        cells[f"{name}_lower"], cells[f"{name}_upper"] = one.limits[name]
        cells[f"{name}_chance"] = one.score.chance[name]
    return cells | {
        "candidates": one.score.candidates,
        "queries": one.score.queries,
        "left_out": one.score.left_out,
        "subjects": one.subjects,
        "reason": one.reason,
    }


def _summary(rows: EmbeddedRows, search: Search) -> dict[str, object]:
    return {"search": dataclasses.asdict(search), **rows.summary()}


def _title(rows: EmbeddedRows, search: Search) -> str:
    where = f"split {search.split}" if search.split else "all nights"
    return (
        f"{search.words}; {where}: {len(rows)} rows of {rows.seconds:g} s, {len(rows.nights)} "
        f"nights, {len(set(rows.subjects))} subjects"
    )
