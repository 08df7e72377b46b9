"""The ICML 2024 networks on the one loop: what is absent takes no part, a run leaves a model."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import clips
from sleepfm_jax.input_pipeline.batching import SampleBatching
from sleepfm_jax.models.effnet import EffNetConfig, SupervisedEffNetConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.train import clip_settings, clip_training, icml2024
from sleepfm_jax.train.configuration import read
from sleepfm_jax.train.mesh import make_mesh
from sleepfm_jax.train.settings import LoopSettings
from tests.input_pipeline.fake_clips import FakeClips
from tests.train.small_run import Run, arrays, one_device

SIZES: dict[str, Any] = {"widths": (4, 6), "depths": (1,), "expansion": 2, "features": 8}
TOWERS = EffNetConfig(embed_dim=8, dropout=0.0, **SIZES)
B, T = 8, 64


def batch(number: int, dtype: str = "float64") -> dict[str, np.ndarray]:
    """Clips in which a common tone is to be found; some lack a modality, one is unscored."""
    draw = np.random.default_rng(number)
    tone = draw.uniform(0.05, 1.0, (B, 1, 1))
    signals = np.sin(tone * np.arange(T)) + 0.3 * draw.standard_normal((B, 9, T))
    present = np.ones((B, 3), bool)
    present[1, 0] = present[2, 1] = present[3, 1:] = False
    signals[1, :3] = signals[2, 3:8] = signals[3, 3:] = 0
    stage = (np.arange(B) % 5).astype(np.int8)
    stage[4] = -1
    return {"clips": signals.astype(dtype), "present": present, "stage": stage}


def task(loss: str = "leave_one_out") -> icml2024.Towers:
    return icml2024.Towers(TOWERS, Numerics("float64", "float64"), loss, temperature=1.0)


@functools.cache
def run(mesh: Mesh | None = None) -> Run:
    return Run(task(), mesh or one_device())  # type: ignore[arg-type]


def test_steps_are_the_same_on_eight_devices() -> None:
    with jax.enable_x64(True):
        seen = []
        for one in (run(), run(make_mesh())):
            after, metrics = one.steps(one.born(), [batch(n) for n in range(2)])
            seen.append((arrays(after), metrics))
    (single, metrics), (spread, spread_metrics) = seen
    for name, values in single.items():
        assert np.allclose(spread[name], values, rtol=0, atol=1e-10), name
    for here, there in zip(metrics, spread_metrics, strict=True):
        assert {n: float(v) for n, v in there.items()} == pytest.approx(
            {n: float(v) for n, v in here.items()}, abs=1e-10
        )
    assert "loss/sleep_stages-others/row" in metrics[0]


def test_what_is_absent_takes_no_part() -> None:
    """Numbers in the place of a modality that a clip lacks change nothing at all."""
    with jax.enable_x64(True):
        clean, dirty = batch(5), batch(5)
        dirty["clips"][1, :3] = 7.0
        dirty["clips"][3, 3:] = -3.0
        results = [run().steps(run().born(), [one])[0] for one in (clean, dirty)]
    first, second = map(arrays, results)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_terms_have_the_names_of_modalities() -> None:
    assert task().terms == ["respiratory-others", "sleep_stages-others", "ekg-others"]
    pairs = ["respiratory-sleep_stages", "respiratory-ekg", "sleep_stages-ekg"]
    assert task("pairwise").terms == pairs


def test_the_baseline_learns_from_scored_clips_that_have_the_modality() -> None:
    model = SupervisedEffNetConfig(channels=9, dropout=0.0, **SIZES)
    given = batch(0)
    logits = np.random.default_rng(1).standard_normal((B, 5)).astype("float32")
    likely = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    for modality, rows in (("all", [0, 1, 2, 3, 5, 6, 7]), ("ekg", [0, 1, 2, 5, 6, 7])):
        learner = icml2024.StageTower(model, Numerics(), modality)
        loss, metrics = learner.objective(None, logits, given)  # type: ignore[arg-type]
        wanted = -np.mean([likely[row, given["stage"][row]] for row in rows])
        assert float(loss) == pytest.approx(wanted, rel=1e-5)
        right = np.mean([logits[row].argmax() == given["stage"][row] for row in rows])
        assert float(metrics["accuracy"]) == pytest.approx(right)
        found = learner.evaluate(logits, given)
        assert found["accuracy/30s"] == pytest.approx(right)


def test_modalities_have_their_places() -> None:
    names = {name: clips.CHANNELS[icml2024.channels_of(name)] for name in clips.MODALITIES}
    assert names["respiratory"] == ("CHEST", "SaO2", "ABD")
    assert names["ekg"] == ("ECG",)
    assert sum(names.values(), ()) == clips.CHANNELS[icml2024.channels_of("all")]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three clips in each of four nights, whatever is opened; clips a hundredth as long."""
    monkeypatch.setattr(clips, "open_store", lambda *_: FakeClips([3, 3, 3, 3]))
    monkeypatch.setattr(clips, "SAMPLES", T)
    devices = functools.partial(make_mesh, devices=jax.devices()[:1])
    monkeypatch.setattr(clip_training, "make_mesh", devices)


def short(kind: type[Any], **values: Any) -> Any:
    loop = LoopSettings(log_every=1, validate_every=2, checkpoint_every=4)
    data = clip_settings.ClipDataSettings(path="store")
    batches = SampleBatching(batch_size=4)
    return kind(steps=4, loop=loop, data=data, batches=batches, **values)


@pytest.mark.usefixtures("store")
def test_a_run_leaves_towers_to_start_from(tmp_path: Path) -> None:
    settings = short(clip_settings.Towers, model=TOWERS)
    assert clip_training.train(settings, tmp_path / "first") is None
    towers = saved_model.load(tmp_path / "first", "towers")
    assert towers.config == TOWERS
    assert towers.provenance["pretraining"]["model"]["embed_dim"] == 8
    saved_model.build(towers)
    again = dataclasses.replace(settings, init=str(tmp_path / "first"), loss="pairwise")
    plan = clip_training.prepare(again)
    assert plan.start_from()["network"].content_hash == towers.content_hash
    with pytest.raises(InputError, match="not the stage_tower model"):
        saved_model.load(tmp_path / "first", "stage_tower")


@pytest.mark.usefixtures("store")
def test_a_run_of_the_baseline_leaves_a_stage_tower(tmp_path: Path) -> None:
    model = SupervisedEffNetConfig(**SIZES)
    settings = short(clip_settings.StageTower, model=model)
    plan = clip_training.prepare(settings)
    stages = [next(plan.batches)["stage"] for _ in range(3)]
    assert np.concatenate(stages).min() >= 0  # of six in a row, one is unscored
    assert clip_training.train(settings, tmp_path) is None
    assert saved_model.load(tmp_path, "stage_tower").config == model


def test_no_data_is_said() -> None:
    with pytest.raises(InputError, match=r"give --config.data.path=STORE, made by `sleepfm-jax cl"):
        clip_training.prepare(clip_settings.Towers())


@pytest.mark.parametrize(
    ("kind", "config", "fault"),
    [
        (clip_settings.Towers, {"loss": "triplet"}, "loss is 'triplet'"),
        (clip_settings.Towers, {"model": {"ekg": 2}}, "clips have .*'ekg': 1"),
        (clip_settings.Towers, {"model": {"depths": (1,)}}, "--config.model: depths"),
        (clip_settings.Towers, {"model": {"depths": (1.5,)}}, r"give numbers such as \(1, 2\)"),
        (clip_settings.Towers, {"chunks": 5}, "does not divide the batch of 32"),
        (clip_settings.StageTower, {"modality": "eeg"}, "modality is 'eeg': choose from resp"),
        (clip_settings.StageTower, {"modality": "ekg"}, "channels is 5, ekg has 1"),
        (clip_settings.StageTower, {"weights": (1.0,)}, "weights are"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    kind: type[Any], config: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        read(kind, config)
    assert "\n" not in str(caught.value)
