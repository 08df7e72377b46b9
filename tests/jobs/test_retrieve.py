"""Retrieval between stored modalities: the ranks of a plain search, of any model here."""

import json
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embedded_rows
from sleepfm_jax.input_pipeline.embedded_rows import Choice
from sleepfm_jax.jobs import pictures
from sleepfm_jax.jobs.retrieve import Search, retrieve
from tests.input_pipeline import small_embeddings
from tests.jobs.embedded_cohort import cohort
from tests.jobs.test_evaluate_staging import rows_of

DIRECTIONS = [
    ("respiratory", "sleep_stages"),
    ("respiratory", "ekg"),
    ("sleep_stages", "respiratory"),
    ("sleep_stages", "ekg"),
    ("ekg", "respiratory"),
    ("ekg", "sleep_stages"),
    ("respiratory", "others"),
    ("sleep_stages", "others"),
    ("ekg", "others"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohort(tmp_path_factory.mktemp("cohort"), noise=0.5)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "save", lambda draw, path: None)  # noqa: ARG005


def plain_ranks(folder: Path, query: int, key: int | None, among: str) -> np.ndarray:
    """(queries,) rank of each partner in the test split, one query after the other."""
    rows = embedded_rows.read(folder, splits=("test",))
    unit = rows.x / np.maximum(np.linalg.norm(rows.x, axis=2, keepdims=True), 1e-12)
    rest = [key] if key is not None else [m for m in range(3) if m != query]
    present = rows.present[:, rest]
    keys = (unit[:, rest] * present[..., None]).sum(1) / np.maximum(present.sum(1), 1)[:, None]
    kept = np.flatnonzero(rows.present[:, query] & present.any(axis=1))
    found = []
    for row in kept:
        others = kept[rows.night_of[kept] == rows.night_of[row]] if among == "night" else kept
        similarity = keys[others] @ unit[row, query]
        found.append((similarity >= similarity[others == row] - 1e-6).sum())
    return np.array(found)


@pytest.mark.parametrize("among", ["all", "night"])
def test_numbers_are_those_of_a_plain_search(among: str, folder: Path, tmp_path: Path) -> None:
    rows, found = retrieve(folder, tmp_path, search=Search(among=among, resamples=20))
    table = rows_of(tmp_path / "retrieval.csv")
    assert [(one.query, one.key) for one in found] == DIRECTIONS
    assert [(row["query"], row["key"]) for row in table] == DIRECTIONS
    names = list(rows.modalities)
    for one, row in zip(found, table, strict=True):
        key = None if one.key == "others" else names.index(one.key)
        ranks = plain_ranks(folder, names.index(one.query), key, among)
        np.testing.assert_array_equal(one.score.ranks, ranks)
        assert float(row["top1"]) == pytest.approx((ranks == 1).mean(), rel=1e-5)
        assert float(row["top10"]) == pytest.approx((ranks <= 10).mean(), rel=1e-5)
        assert float(row["median_rank"]) == np.median(ranks)
        per_night = 36 if "ekg" in (one.query, one.key) else 40
        assert int(row["queries"]) == 6 * per_night
        assert int(row["candidates"]) == per_night * (1 if among == "night" else 6)
        assert float(row["top1_chance"]) == pytest.approx(1 / int(row["candidates"]), rel=1e-5)
        assert float(row["top1_lower"]) <= float(row["top1"]) <= float(row["top1_upper"])
        assert (row["subjects"], row["reason"]) == ("3", "")
    told = json.loads((tmp_path / "retrieval.json").read_text())
    assert told["search"]["among"] == among
    assert (told["rows"], told["nights"], told["subjects"], told["left_out"]) == (240, 6, 3, {})
    assert {p.name for p in tmp_path.iterdir()} == {
        *("retrieval.csv", "retrieval.json", "retrieval.png")
    }


@pytest.mark.usefixtures("no_pictures")
def test_candidates_are_drawn_alike_from_one_seed(folder: Path, tmp_path: Path) -> None:
    tables = []
    for run, seed in enumerate((0, 0, 1)):
        search = Search(candidates=25, seed=seed, resamples=20)
        retrieve(folder, tmp_path / str(run), search=search)
        tables.append((tmp_path / str(run) / "retrieval.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]
    rows = rows_of(tmp_path / "0" / "retrieval.csv")
    assert {row["candidates"] for row in rows} == {"25"}
    by_pair = {(row["query"], row["key"]): row for row in rows}
    assert by_pair["ekg", "respiratory"]["queries"] == "200"  # of 216, 16 fill no group
    assert by_pair["ekg", "respiratory"]["left_out"] == "16"


@pytest.mark.usefixtures("no_pictures")
def test_the_foundation_model_is_searched_in_windows_or_epochs(tmp_path: Path) -> None:
    folder = small_embeddings.cohort(tmp_path, [120] * 4) / "embeddings"
    for rows, seconds, queries in (("windows", 300, 8), ("epochs", 30, 80), (None, 300, 8)):
        output = tmp_path / f"out_{rows}"
        read, found = retrieve(folder, output, Choice(rows), Search(split=None, resamples=5))
        assert read.seconds == seconds
        assert len(found) == 4 * 3 + 4
        assert found[0].score.queries == queries


def test_one_subject_and_absent_modalities_have_reasons(tmp_path: Path) -> None:
    folder = small_embeddings.cohort(tmp_path, [120] * 2) / "embeddings"
    small_embeddings.write(folder / "pooled/p1_b.hdf5", 3, 2, step=300.0)  # has no EKG
    (folder / "pooled/p0_a.hdf5").unlink()
    (folder / "pooled/p0_b.hdf5").unlink()
    _, found = retrieve(folder, tmp_path / "out", search=Search(split=None))
    reasons = {(one.query, one.key): one.reason for one in found}
    assert reasons["BAS", "EKG"] == "no row has both"
    assert reasons["BAS", "RESP"] == "no interval: one subject cannot be resampled"
    row = rows_of(tmp_path / "out" / "retrieval.csv")[1]
    assert (row["query"], row["key"], row["top1"], row["queries"]) == ("BAS", "EKG", "", "0")


def test_searches_that_cannot_be_are_refused(folder: Path, tmp_path: Path) -> None:
    for more, fault in (
        ({"candidates": 41, "among": "night"}, r"41 candidates of its own night \(no night has 41"),
        ({"candidates": 241}, r"among 241 candidates across nights \(there are not 241"),
        ({"split": "pretrain"}, r"no night .* in split 'pretrain'"),
    ):
        with pytest.raises(InputError, match=fault):
            retrieve(folder, tmp_path / "out", search=Search(**more))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 candidates are no choice"):
        Search(candidates=1)
    with pytest.raises(InputError, match="lies in"):
        retrieve(folder, folder / "out")
    assert not (tmp_path / "out").exists()
