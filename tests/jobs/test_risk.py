"""The risk job: log hazards, ranks and chances; whose night it is; resuming; what fails."""

import csv
import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax import inference, saved_model
from sleepfm_jax.commands.risk import main
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.jobs.people import People
from sleepfm_jax.jobs.risk import risk
from sleepfm_jax.models.disease_risk import DemographicRiskConfig, SupervisedRiskConfig
from tests.jobs.small_models import (
    ENCODING,
    LABELS,
    WIDTH,
    night_embeddings,
    risk_model,
    save_models,
    saved,
    store,
)

pytestmark = pytest.mark.usefixtures("compiled_once")

WOMAN = People(54.0, "F")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nights = (night_embeddings("p1"), night_embeddings("site/p2_n1", seed=1))
    return store(tmp_path_factory.mktemp("stored"), *nights)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def hazards(path: Path) -> dict[str, float]:
    return {row["phecode"]: float(row["log_hazard"]) for row in read(path)}


def test_the_table_holds_the_models_numbers(models: Path, stored: Path, tmp_path: Path) -> None:
    assert risk([stored], models, tmp_path, WOMAN).done == 2
    rows = read(tmp_path / "p1.csv")
    expected = inference.load_risk(models).risk(
        embeddings.read(stored, "p1"), ENCODING.encode([54.0], ["F"])[0]
    )
    assert expected.shape == (4,)
    table = {row["phecode"]: row for row in rows}
    for (phecode, phenotype), hazard in zip(LABELS, expected, strict=True):
        assert table[phecode]["phenotype"] == phenotype
        assert float(table[phecode]["log_hazard"]) == pytest.approx(hazard, rel=1e-5)
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    falling = [float(row["log_hazard"]) for row in rows]
    assert falling == sorted(falling, reverse=True)
    assert {row["Study ID"] for row in rows} == {"p1"}
    assert {row["Study ID"] for row in read(tmp_path / "site" / "p2_n1.csv")} == {"site/p2_n1"}


def test_chances_follow_from_the_baseline(models: Path, stored: Path, tmp_path: Path) -> None:
    night = [stored / "sequence" / "p1.hdf5"]
    risk(night, models, tmp_path / "six", WOMAN)
    risk(night, models, tmp_path / "one", WOMAN, years=1.5)
    cumulative = {"250.2": (0.06, 0.01), "401.1": (0.1, 0.02), "428": (0.9, 0.3)}
    six, one = (
        {row["phecode"]: row for row in read(tmp_path / run / "p1.csv")} for run in ("six", "one")
    )
    assert six["290"]["risk_6_years"] == ""  # nobody had it
    for phecode, (by_six, by_one) in cumulative.items():
        hazard = float(six[phecode]["log_hazard"])
        chance = 1 - np.exp(-by_six * np.exp(hazard))
        assert float(six[phecode]["risk_6_years"]) == pytest.approx(chance, rel=1e-4)
        chance = 1 - np.exp(-by_one * np.exp(hazard))
        assert float(one[phecode]["risk_1.5_years"]) == pytest.approx(chance, rel=1e-4)


def test_chances_are_left_out_where_nobody_was_followed_that_long(
    models: Path, stored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    night = [stored / "sequence" / "p1.hdf5"]
    with caplog.at_level(logging.WARNING):
        risk(night, models, tmp_path / "long", WOMAN, years=11)
    assert "followed for 10.0 years" in caplog.text
    bare = save_models(tmp_path / "bare", diagnosis=risk_model(baseline=False))
    risk(night, bare, tmp_path / "bare_out", WOMAN)
    for run in ("long", "bare_out"):
        columns = read(tmp_path / run / "p1.csv")[0].keys()
        assert list(columns) == ["Study ID", "phecode", "phenotype", "log_hazard", "rank"]


def test_age_and_sex_matter_and_a_change_is_estimated_again(
    models: Path, stored: Path, tmp_path: Path
) -> None:
    night = [stored / "sequence" / "p1.hdf5"]
    found = []
    for person in (WOMAN, People(54.0, "M"), People(20.0, "F")):
        assert risk(night, models, tmp_path, person).done == 1
        found.append(hazards(tmp_path / "p1.csv"))
    assert found[0] != found[1] != found[2] != found[0]
    assert risk(night, models, tmp_path, People(20.0, "F")).skipped[0][1] == "done before"
    assert risk(night, models, tmp_path, People(20.0, "F"), years=3).done == 1
    assert risk(night, models, tmp_path, People(20.0, "F"), overwrite=True).done == 1


def test_many_people_by_a_table(
    models: Path, stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "demographics.csv"
    table.write_text("Study ID,age,gender\np1,54,F\np2,61,male\n")
    arguments = ["--model", str(models), "--demographics", str(table), str(stored)]
    assert main([*arguments, "--output", str(tmp_path / "some")]) == 1
    assert "no age and sex of site/p2_n1: not in the table" in capsys.readouterr().out
    subject = ["--subject", "(p[0-9]+)"]
    assert main([*arguments, *subject, "--output", str(tmp_path / "all")]) == 0
    one = risk([stored], models, tmp_path / "man", People(61.0, "M"))
    assert one.done == 2
    name = "site/p2_n1.csv"
    assert hazards(tmp_path / "all" / name) == hazards(tmp_path / "man" / name)
    assert {row["Study ID"] for row in read(tmp_path / "all" / name)} == {"p2"}
    risk([stored], models, tmp_path / "woman", WOMAN)
    assert hazards(tmp_path / "all" / "p1.csv") == hazards(tmp_path / "woman" / "p1.csv")


def test_a_night_of_the_last_part_of_a_name(tmp_path: Path) -> None:
    table = tmp_path / "demographics.csv"
    table.write_text("Study ID,age,gender\nn1,54,F\nn2,,F\n")
    from sleepfm_jax.input_pipeline.demographics import read_demographics

    people = People(table=read_demographics(table))
    assert people.of("site/n1").name == "n1"
    with pytest.raises(InputError, match="no age and sex of site/n2: age or sex is not known"):
        people.of("site/n2")
    with pytest.raises(InputError, match="is no age"):
        People(540.0, "F")


def test_models_with_and_without_demographics(models: Path, stored: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes age and sex beside the night: give --age"):
        risk([stored], models, tmp_path / "out", People())
    alone = save_models(tmp_path / "night_only", diagnosis=risk_model(demographics=0))
    assert risk([stored], alone, tmp_path / "out", People()).done == 2
    assert {row["Study ID"] for row in read(tmp_path / "out" / "p1.csv")} == {"p1"}
    assert risk([stored], alone, tmp_path / "out", WOMAN).done == 0  # nothing changes


def test_labels_without_names_are_numbered(stored: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(risk_model(), outcomes=None)
    models = save_models(tmp_path / "models", diagnosis=model)
    risk([stored], models, tmp_path / "out", WOMAN)
    assert set(hazards(tmp_path / "out" / "p1.csv")) == {"0", "1", "2", "3"}


@pytest.mark.parametrize(
    "flags",
    [
        ["--age", "54"],
        ["--sex", "F"],
        ["--age", "54", "--sex", "F", "--demographics", "x.csv"],
        ["--age", "old", "--sex", "F"],
        ["--age", "54", "--sex", "x"],
        ["--age", "54", "--sex", "F", "--years", "-1"],
    ],
)
def test_flags_that_make_no_sense(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--model", "m", "--output", "o", "n.edf", *flags])
    assert end.value.code == 2


def test_a_model_of_signals_gets_the_recording_itself(
    psg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no foundation model beside it; `tests/inference` has its numbers."""
    config = SupervisedRiskConfig(WIDTH, 1, 2, 32, labels=4)
    saved_model.save_together(tmp_path / "models", {"diagnosis": saved(config)})
    given = []

    class Head:
        def risk(self, night: Night, demographics: np.ndarray) -> np.ndarray:
            given.append((night.signals.shape[1], demographics))
            return np.arange(4.0)

    monkeypatch.setattr(inference, "load_risk", lambda _: Head())
    recording = psg / "sleep_edf_short" / "short_psg.edf"
    assert risk([recording], tmp_path / "models", tmp_path / "out", WOMAN).done == 1
    assert given[0][0] == 300 * 128
    np.testing.assert_allclose(given[0][1], [54 / 98, 0], rtol=1e-6)  # the default encoding
    assert hazards(tmp_path / "out" / "short_psg.csv") == {"3": 3, "2": 2, "1": 1, "0": 0}


def test_a_model_of_demographics_alone_asks_for_what_it_takes(stored: Path, tmp_path: Path) -> None:
    config = DemographicRiskConfig(WIDTH, labels=4, demographics=2)
    saved_model.save_together(tmp_path / "models", {"diagnosis": saved(config)})
    assert risk([stored], tmp_path / "models", tmp_path / "out", WOMAN).done == 2
    assert hazards(tmp_path / "out" / "p1.csv") == hazards(tmp_path / "out" / "site" / "p2_n1.csv")
