"""A cohort small enough for the tests, from nothing to figures, as `benchmarks/cohort.py` goes."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cohort
from benchmarks.cohort import Risks, Size, Staged
from sleepfm_jax.main import main

QUICKLY = "--xla_backend_optimization_level=0"  # half the time to compile
SMALL = Size(
    nights=12,
    folds=3,
    montage="dashes",  # one number of channels is compiled, or two
    staging=("epochs=40", "batches.batch_size=4"),
    risk=("epochs=1", "model.embed_dim=64", "model.pooling_heads=4", "batches.batch_size=4"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cohort")


@pytest.fixture(scope="module")
def figures(folder: Path) -> tuple[Staged, Risks]:
    """All training goes on in one process of one device, as a user's has; the rest in this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", QUICKLY)
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "programs"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:

            def sleepfm(*words: str, core: int | None = None, cache: Path | None = None) -> None:
                del core, cache
                where = other.submit(main, [*words]).result if words[0] == "finetune" else None
                assert (where() if where else main([*words])) == 0

            patch.setattr(cohort, "sleepfm", sleepfm)
            patch.setattr(cohort, "WORKERS", 1)
            staged, risks, _ = cohort.run(folder, SMALL)
    return staged, risks


def test_a_stager_beats_age_sex_and_time_on_subjects_it_has_not_seen(
    figures: tuple[Staged, Risks],
) -> None:
    staged, _ = figures
    assert staged.epochs == 4 * 60
    assert staged.model > staged.baseline + 0.1  # eight nights to learn from


def test_every_fold_holds_out_other_subjects(folder: Path, figures: tuple[Staged, Risks]) -> None:
    del figures
    splits = [json.loads((folder / f"fold{k}.json").read_text()) for k in range(SMALL.folds)]
    for split in splits:
        assert not {*split["train"]} & {*split["test"]}
    held_out = sorted(subject for split in splits for subject in split["test"])
    assert held_out == cohort.subjects_of(folder)


def test_every_disease_has_its_kind_and_its_c_indices(figures: tuple[Staged, Risks]) -> None:
    _, risks = figures
    assert risks.dependent.sum() == (~risks.dependent).sum() == 24
    told = np.isfinite(risks.truth)
    assert told.sum() > 24  # of four subjects some have no pair to compare
    np.testing.assert_array_equal(np.isfinite(risks.model), told)
    np.testing.assert_array_equal(np.isfinite(risks.demographics), told)
    sleep = risks.dependent & told
    assert risks.truth[sleep].mean() > risks.truth_demographics[sleep].mean()
    others = ~risks.dependent
    np.testing.assert_array_equal(risks.truth[others], risks.truth_demographics[others])


def test_age_and_sex_are_fitted_to_others_than_are_judged() -> None:
    draw = np.random.default_rng(0)
    people = np.stack([draw.uniform(0.2, 0.9, 400), draw.integers(0, 2, 400)], axis=1)
    hazard = np.stack([4 * people[:, 0], -2 * people[:, 1]], axis=1)
    days = draw.standard_exponential((400, 2)) / np.exp(hazard)
    event = np.stack([days[:, 0] < 1, np.zeros(400, bool)], axis=1)
    told = cohort.cox_of_demographics(
        people[:300], np.minimum(days, 1)[:300], event[:300], people[300:]
    )
    assert np.corrcoef(told[:, 0], hazard[300:, 0])[0, 1] > 0.95
    np.testing.assert_array_equal(told[:, 1], 0)  # nobody had the second
