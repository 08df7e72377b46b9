"""Stager and risk of one night: the network's own numbers, whatever length a night is filled to."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest

from sleepfm_jax import inference
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference import Risk, Stager
from sleepfm_jax.inference import heads as inference_heads
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.saved_model import SavedModel, build, save_together
from tests.test_folder_of_models import OUTCOMES, some

E = 8
AGE_AND_SEX = np.array([0.4, 1.0], np.float32)


def night(T: int, *names: str, seed: int = 0, width: int = E) -> NightEmbeddings:
    draw = np.random.default_rng(seed)
    rows = {name: draw.standard_normal((T, width)).astype(np.float32) for name in names}
    return NightEmbeddings("n", {}, rows, {}, (), {})


@functools.cache
def stager_model(max_steps: int = 24) -> SavedModel:
    saved = some("staging")
    table = np.random.default_rng(1).standard_normal((max_steps, E)).astype(np.float32)
    return dataclasses.replace(
        saved,
        config=dataclasses.replace(saved.config, max_steps=max_steps),
        weights={**saved.weights, "positions": table},
    )


def stages(saved: SavedModel, rows: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The network itself on a night (M, T, E), no filling."""
    run = jax.jit(lambda *inputs: jax.nn.softmax(build(saved)(*inputs)))
    return np.asarray(run(rows[None], present[None], np.array([rows.shape[1]])))[0]


def rows_of(given: NightEmbeddings) -> tuple[np.ndarray, np.ndarray]:
    names = ("BAS", "RESP", "EKG", "EMG")
    empty = np.zeros_like(next(iter(given.sequence.values())))
    return np.stack([given.sequence.get(n, empty) for n in names]), np.array(
        [n in given.sequence for n in names]
    )


@pytest.fixture
def short_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_heads, "BUCKET", 12)


@pytest.mark.usefixtures("short_buckets")
def test_a_night_is_staged_as_by_the_network_alone() -> None:
    given = night(17, "BAS", "EMG")
    probabilities = Stager(stager_model()).stage(given)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (17, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities, stages(stager_model(), *rows_of(given)), atol=2e-6)


@pytest.mark.usefixtures("short_buckets")
def test_nights_of_like_length_compile_once() -> None:
    stager = Stager(stager_model())
    compiled: list[str] = []

    def count(event: str, _: float, **__: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    stager.stage(night(3, "BAS"))
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        for T in (1, 5, 12):
            stager.stage(night(T, "BAS", "RESP"))
        assert not compiled
        stager.stage(night(13, "BAS"))
        assert compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


@pytest.mark.usefixtures("short_buckets")
def test_a_night_longer_than_the_table_is_staged_in_equal_pieces() -> None:
    """50 steps at no more than 24: three pieces in whole epochs, 18, 18 and 14 steps."""
    stager, given = Stager(stager_model()), night(50, "BAS", "RESP", "EKG", "EMG")
    pieces = [
        dataclasses.replace(given, sequence={n: a[i : i + 18] for n, a in given.sequence.items()})
        for i in (0, 18, 36)
    ]
    expected = np.concatenate([stager.stage(piece) for piece in pieces])
    np.testing.assert_allclose(stager.stage(given), expected, atol=1e-6)


@pytest.mark.parametrize("T", [1, 23, 24, 25, 47, 48, 49, 200])
def test_pieces_of_any_night_fit_the_table(T: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    stager = Stager(stager_model())

    def run(filled: np.ndarray, _: np.ndarray, steps: np.ndarray) -> np.ndarray:
        lengths.append(int(steps[0]))
        assert lengths[-1] <= filled.shape[2] <= 24
        return np.zeros((1, filled.shape[2], 5))

    monkeypatch.setattr(stager, "_run", run)
    assert len(stager.stage(night(T, "BAS"))) == T
    assert sum(lengths) == T
    assert all(length % 6 == 0 for length in lengths[:-1])


@pytest.mark.usefixtures("short_buckets")
def test_a_risk_is_the_networks_whatever_the_length() -> None:
    saved, given = some("risk"), night(31, "RESP", "EKG")
    rows, present = rows_of(given)
    run = jax.jit(lambda *inputs: build(saved)(*inputs))
    expected = run(rows[None], present[None], np.array([31]), AGE_AND_SEX[None])[0]
    risk = Risk(saved)
    found = risk.risk(given, AGE_AND_SEX)
    assert found.shape == (2,)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert risk.outcomes == OUTCOMES


def test_risk_of_demographics_alone_asks_for_no_night() -> None:
    saved = some("demographic_risk")
    people = np.array([0.1, 0.9, 0.3, 0.0], np.float32)
    expected = jax.jit(build(saved))(people[None])[0]
    np.testing.assert_allclose(Risk(saved).risk(night(1), people), expected, atol=1e-6)


@pytest.mark.usefixtures("short_buckets")
def test_a_supervised_risk_takes_signals() -> None:
    saved = some("supervised_risk")
    draw = np.random.default_rng(0)
    signals = draw.standard_normal((2, 3 * 640 + 100)).astype(np.float16)
    recording = Night("n", ("a", "b"), np.array([0, 2], np.int8), signals, {}, ())
    run = jax.jit(lambda *inputs: build(saved)(*inputs))
    whole = signals[None, :, : 3 * 640].astype(np.float32)
    expected = run(whole, recording.modality[None], np.array([3]), AGE_AND_SEX[None])[0]
    np.testing.assert_allclose(Risk(saved).risk(recording, AGE_AND_SEX), expected, atol=2e-6)
    with pytest.raises(InputError, match="was trained on signals and takes no embeddings; give"):
        Risk(saved).risk(night(5, "BAS"), AGE_AND_SEX)
    with pytest.raises(InputError, match="takes embeddings, not signals; embed it"):
        Risk(some("risk")).risk(recording, AGE_AND_SEX)


def test_what_a_head_does_not_take_is_refused() -> None:
    stager = Stager(stager_model())
    uneven = dataclasses.replace(
        night(3), sequence={"BAS": np.zeros((3, E)), "EMG": np.zeros((4, E))}
    )
    for given in (night(3), uneven, night(3, "ECG")):
        with pytest.raises(InputError, match="n: holds no 5-second embeddings; embed"):
            stager.stage(given)
    with pytest.raises(InputError, match=r"are 3 × 9 numbers, the head takes .* rows of 8; embed"):
        stager.stage(night(3, "BAS", width=9))
    with pytest.raises(InputError, match="are 0 × 8 numbers"):
        stager.stage(night(0, "BAS"))
    with pytest.raises(InputError, match="takes 2 numbers beside a night, not 0; give age and sex"):
        Risk(some("risk")).risk(night(3, "BAS"))


def test_heads_are_loaded_from_a_folder_of_models(tmp_path: Any) -> None:
    save_together(tmp_path, {"staging": stager_model(), "diagnosis": some("demographic_risk")})
    assert inference.load_stager(tmp_path).sha256 == stager_model().content_hash
    assert inference.load_risk(tmp_path).sha256 == some("demographic_risk").content_hash
