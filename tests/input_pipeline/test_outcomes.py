"""Outcome tables: what is known of whom, and what cannot be read of them."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.outcomes import OutcomeTable, read_outcomes
from sleepfm_jax.input_pipeline.simulation.cohort import write_tables
from sleepfm_jax.input_pipeline.simulation.outcomes import DISEASES

CELLS = {  # event, time → time, event, diagnosed earlier
    ("1", "30"): (30, True, False),
    ("True", "30.5"): (30.5, True, False),
    ("0", "30"): (30, False, False),
    ("0.0", "0"): (0, False, False),
    ("1", "0"): (-1, False, True),
    ("1", "-12"): (-1, False, True),
    ("0", "-12"): (-1, False, False),
    ("0", ""): (-1, False, False),
    ("1", "nan"): (-1, False, False),
    ("", "30"): (-1, False, False),
    ("NA", "NA"): (-1, False, False),
    ("1", "inf"): (-1, False, False),
}


def write(folder: Path, events: str, times: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "is_event.csv").write_text(events)
    (folder / "time_to_event.csv").write_text(times)
    return folder


def table(header: str, rows: list[list[str]]) -> str:
    return "\n".join([f"Study ID,{header}", *(",".join(row) for row in rows)]) + "\n"


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda labels: st.lists(
            st.lists(st.sampled_from([*CELLS]), min_size=labels, max_size=labels),
            min_size=1,
            max_size=6,
        )
    )
)
def test_every_cell_is_known_unknown_or_earlier_by_itself(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[tuple[str, str]]]
) -> None:
    labels = [f"{250 + k}.{k}" for k in range(len(cells[0]))]
    events = [[f"s{n}", *(event for event, _ in row)] for n, row in enumerate(cells)]
    times = [[f"s{n}", *(time for _, time in row)] for n, row in enumerate(cells)]
    # the other table in another order of rows and of columns
    times = [[row[0], *reversed(row[1:])] for row in reversed(times)]
    folder = write(
        tmp_path_factory.mktemp("tables"),
        table(",".join(labels), events),
        table(",".join(reversed(labels)), times),
    )
    read = read_outcomes(folder)
    assert read.subjects == tuple(f"s{n}" for n in range(len(cells)))
    assert read.labels == tuple(labels)
    expected = np.array([[CELLS[cell] for cell in row] for row in cells])  # (N, L, 3)
    np.testing.assert_array_equal(read.time, expected[..., 0])
    np.testing.assert_array_equal(read.event, expected[..., 1])
    np.testing.assert_array_equal(read.earlier, expected[..., 2])
    np.testing.assert_array_equal(read.unknown, (expected[..., 0] == -1) & (expected[..., 2] == 0))
    assert (read.time.dtype, read.event.dtype) == (np.float32, np.bool_)


def test_what_is_in_no_risk_set_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(
        tmp_path,
        "Study ID,250.2,332\na,1,1\nb,0,1\nc,,1\nlate,0,0\n",
        "Study ID,250.2,332\na,100,-1\nb,,0\nc,5,7\nearly,9,9\n",
    )
    with caplog.at_level(logging.WARNING):
        read = read_outcomes(tmp_path)
    assert read.left_out == (
        ("late", f"not in {tmp_path / 'time_to_event.csv'}"),
        ("early", f"not in {tmp_path / 'is_event.csv'}"),
    )
    assert "is not known in 2 cells of 1 labels, most in 250.2 (2 of 3 subjects)" in caplog.text
    assert "was before the night in 2 cells of 1 labels, most in 332 (2 of 3" in caplog.text
    assert "late is left out: not in" in caplog.text


def test_the_simulated_cohort_comes_back(tmp_path: Path) -> None:
    write_tables(tmp_path, seed=3, nights=7)
    read = read_outcomes(tmp_path)
    assert read.labels == tuple(disease.phecode for disease in DISEASES)
    assert read.phenotypes == tuple(disease.phenotype for disease in DISEASES)
    assert read.subjects == tuple(f"sim3-{n:04d}" for n in range(7))
    assert (read.time >= 1).all()
    days = np.loadtxt(
        tmp_path / "time_to_event.csv", delimiter=",", skiprows=1, usecols=range(1, 49)
    )
    np.testing.assert_array_equal(read.time, days)
    again = read_outcomes(
        tmp_path / "is_event.csv", tmp_path / "time_to_event.csv", tmp_path / "label_mapping.csv"
    )
    assert again.phenotypes == read.phenotypes


@pytest.fixture
def small(tmp_path: Path) -> OutcomeTable:
    write(
        tmp_path,
        "Study ID,250.2,332\na,1,0\nb,0,1\nc,1,1\n",
        "Study ID,250.2,332\na,10,20\nb,30,40\nc,50,0\n",
    )
    return read_outcomes(tmp_path)


def test_rows_of_subjects_in_their_order(small: OutcomeTable) -> None:
    chosen = small.of_subjects(["c", "a", "c"])
    assert chosen.subjects == ("c", "a", "c")
    np.testing.assert_array_equal(chosen.time, [[50, -1], [10, 20], [50, -1]])
    np.testing.assert_array_equal(chosen.event, [[1, 0], [1, 0], [1, 0]])
    np.testing.assert_array_equal(chosen.earlier, [[0, 1], [0, 0], [0, 1]])
    with pytest.raises(KeyError):
        small.of_subjects(["d"])


def test_columns_of_a_models_labels_in_their_order(
    small: OutcomeTable, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = small.of_labels([("332", "Parkinson's disease"), ("999", "none"), ("250.2", "T2D")])
    assert chosen.labels == ("332", "999", "250.2")
    assert chosen.phenotypes == ("Parkinson's disease", "none", "T2D")
    np.testing.assert_array_equal(chosen.time, [[20, -1, 10], [40, -1, 30], [-1, -1, 50]])
    np.testing.assert_array_equal(chosen.event, [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(chosen.unknown, [[0, 1, 0], [0, 1, 0], [0, 1, 0]])
    assert "lack '999'" in caplog.text
    with pytest.raises(InputError, match=r"'250\.2', '332', none of the wanted phecodes '250\.20'"):
        small.of_labels([("250.20", "T2D")])


@pytest.mark.parametrize(
    ("events", "times", "sentence"),
    [
        (
            "Study ID,250.2\na,2\n",
            "Study ID,250.2\na,2\n",
            r"is_event\.csv: a has 2 for 250\.2, where an event is 1 and none is 0",
        ),
        (
            "Study ID,250.2\na,0.5\n",
            "Study ID,250.2\na,2\n",
            r"is_event\.csv: a has 0\.5 for 250\.2",
        ),
        (
            "Study ID,250.2\na,yes\n",
            "Study ID,250.2\na,2\n",
            r"is_event\.csv: a has 'yes' for 250\.2, which is no number",
        ),
        (
            "Study ID,250.2\na,1\n",
            "Study ID,250.2\na,2 years\n",
            r"time_to_event\.csv: a has '2 years' for 250\.2, which is no number: mend it",
        ),
        (
            "Study ID,250.2,332\na,1,0\n",
            "Study ID,250.2,333\na,1,0\n",
            r"do not have the same phecodes, '332', '333' being in one alone: give every phecode",
        ),
        ("Study ID\na\n", "Study ID\na\n", "do not have the same phecodes, none being"),
        (
            "Study ID,250.2\na,1\n",
            "Study ID,250.2\nb,1\n",
            r"have no Study ID in common, such as 'a' and 'b': give tables of the same subjects",
        ),
    ],
)
def test_tables_that_contradict_themselves_are_refused(
    tmp_path: Path, events: str, times: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        read_outcomes(write(tmp_path, events, times))


def test_a_folder_without_tables_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is_event\.csv cannot be read"):
        read_outcomes(tmp_path)


def test_thousands_of_cells_are_read_as_they_stand(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    days = random.integers(1, 5000, (60, 1065))
    event = random.random(days.shape) < 0.04
    labels = ",".join(f"{k}.{k % 7}" for k in range(1065))
    rows = [[f"s{n}", *map(str, row)] for n, row in enumerate(days)]
    flags = [[f"s{n}", *map(str, row.astype(int))] for n, row in enumerate(event)]
    read = read_outcomes(write(tmp_path, table(labels, flags), table(labels, rows)))
    np.testing.assert_array_equal(read.time, days)
    np.testing.assert_array_equal(read.event, event)
    assert math.isclose(read.event.mean(), 0.04, abs_tol=0.01)
