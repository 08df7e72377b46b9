"""A night through a loaded model: the same numbers from any source, in any batch, compiled once."""

import contextlib
import doctest
import functools
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import edfio
import jax
import mne
import numpy as np
import pytest

import sleepfm_jax
from sleepfm_jax import inference, input_pipeline, saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference import Model
from sleepfm_jax.input_pipeline import nights, recordings
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.models.tokenizer import PATCH
from sleepfm_jax.saved_model import SavedModel
from tests.models import small_network
from tests.models.small_network import distance

WINDOW = 60
ROUNDING = 2e-6  # of float32, as in tests/models
SAVED = SavedModel(small_network.CONFIG, small_network.weights())


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(SAVED)


def simulated(modality: list[int], patches: int, rest: int = 0) -> Night:
    """A night of noise, labels `ch0`, `ch1`, …; mostly of three channels, compiled for once."""
    noise = np.random.default_rng(patches).standard_normal((len(modality), patches * PATCH + rest))
    return Night(
        name="night",
        labels=tuple(f"ch{n}" for n in range(len(modality))),
        modality=np.array(modality, np.int8),
        signals=noise.astype(np.float16),
        provenance={"source": "night.edf"},
        left_out=(("Position", "none of the four"),),
    )


def assert_equal(ours: NightEmbeddings, expected: NightEmbeddings) -> None:
    for kind in ("pooled", "sequence"):
        rows, others = getattr(ours, kind), getattr(expected, kind)
        assert rows.keys() == others.keys()
        for name, array in rows.items():
            np.testing.assert_array_equal(array, others[name])


def test_rows_are_the_networks_window_by_window(model: Model) -> None:
    """The last window is partial; a rest of less than a patch has no row."""
    night = simulated([3, 0, 0], WINDOW + 7, rest=PATCH - 1)
    out = model.embed(night)
    assert out.name == "night"
    assert out.labels == {"BAS": ("ch1", "ch2"), "EMG": ("ch0",)}
    assert out.left_out == night.left_out
    network = small_network.embed("float32")
    ends = [(0, WINDOW), (WINDOW, WINDOW + 7)]
    windows = [
        network(night.signals[None, :, start * PATCH : stop * PATCH], night.modality[None])
        for start, stop in ends
    ]
    for name in ("BAS", "EMG"):
        pooled = np.concatenate([window.pooled[:, Modality[name]] for window in windows])
        sequence = np.concatenate([window.sequence[0, Modality[name]] for window in windows])
        assert out.pooled[name].dtype == out.sequence[name].dtype == np.float32
        assert distance(out.pooled[name], pooled) < ROUNDING
        assert distance(out.sequence[name], sequence) < ROUNDING
    np.testing.assert_array_equal(out.pooled_times, [0.0, 300.0])
    np.testing.assert_array_equal(out.sequence_times, 5.0 * np.arange(WINDOW + 7))


def test_batches_of_windows_give_the_same_numbers(model: Model) -> None:
    """As on accelerators; the last batch is filled up with windows that have no row."""
    night = simulated([0, 1, 3], 2 * WINDOW + 1)
    one = model.embed(night)
    batched = Model(SAVED)
    batched._batch = 2
    for name in one.pooled:
        two = batched.embed(night)
        assert two.pooled[name].shape == (3, 32)
        assert distance(two.pooled[name], one.pooled[name]) < ROUNDING
        assert distance(two.sequence[name], one.sequence[name]) < ROUNDING


@contextlib.contextmanager
def compilations() -> Iterator[list[str]]:
    """Collects what XLA compiles within the block."""
    events: list[str] = []

    def listen(event: str, _: float, **__: str | int) -> None:
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize(("slot_step", "more"), [(1, 3), (4, 5)])
def test_nights_of_the_same_number_of_slots_compile_once(slot_step: int, more: int) -> None:
    """On CPU each channel has its slot; accelerators compile for every fourth number only."""
    model = Model(SAVED)
    model._slot_step = slot_step
    model.embed(simulated([0, 1], 1))
    with compilations() as events:
        for montage in ([3, 3], [0, 2], [2, 1, 0, 0][: max(2, slot_step)]):
            for patches in (1, WINDOW, WINDOW + 1):
                model.embed(simulated(montage, patches))
    assert events == []
    with compilations() as events:
        model.embed(simulated([0] * more, 1))
    assert len(events) == 1


def test_every_source_gives_the_same_numbers(model: Model, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 60 * 100))
    info = mne.create_info(["C3-M2", "ECG II", "Airflow"], 100.0, ["eeg", "ecg", "misc"])
    raw = mne.io.RawArray(values * 1e-5, info, verbose="error")
    night = nights.load(raw)
    path = tmp_path / "night.hdf5"
    with nights.convert(raw) as conversion:
        recordings.write(path, conversion, conversion.provenance)
    expected = model.embed(night)
    assert expected.labels == {"BAS": ("C3-M2",), "RESP": ("Airflow",), "EKG": ("ECG II",)}
    assert expected.pooled["BAS"].shape == (1, 32)
    assert_equal(model.embed(raw), expected)
    assert_equal(model.embed(path), expected)
    assert_equal(model.embed(str(path), threads=1), expected)
    with recordings.open_recording(path) as recording:
        assert_equal(model.embed(recording), expected)


def test_a_real_night_directly_and_through_its_recording(
    model: Model, psg: Path, tmp_path: Path
) -> None:
    edf = psg / "dreams_excerpt3" / "excerpt3.edf"
    out = model.embed(edf)
    assert set(out.pooled) == set(out.sequence) == {"BAS", "RESP", "EKG", "EMG"}
    assert {"VTH", "VAB", "NAF1"} <= set(out.labels["RESP"])
    assert out.labels["EKG"] == ("ECG",)
    for name in out.pooled:
        assert out.pooled[name].shape == (6, 32)
        assert out.sequence[name].shape == (360, 32)
        assert np.isfinite(out.pooled[name]).all()
        assert len(np.unique(out.sequence[name], axis=0)) == 360
    assert out.provenance["source"] == "excerpt3.edf"
    path = tmp_path / "excerpt3.hdf5"
    with nights.convert(edf) as conversion:
        recordings.write(path, conversion, conversion.provenance)
    assert_equal(model.embed(path), out)


def test_what_made_the_embeddings_is_kept_with_them(model: Model) -> None:
    out = model.embed(simulated([1, 1, 1], 1))
    assert out.provenance == {
        "source": "night.edf",
        "model": "model",
        "model_sha256": SAVED.content_hash,
        "dtype": "float32",
        "precision": "highest",
        "embedded_by": f"sleepfm-jax {sleepfm_jax.__version__}",
    }


def test_bfloat16_computes_in_it_and_answers_in_float32(model: Model) -> None:
    night = simulated([0, 1, 1], 2)
    half = Model(SAVED, Numerics(dtype="bfloat16")).embed(night)
    full = model.embed(night)
    assert half.provenance["dtype"] == "bfloat16"
    assert half.pooled["BAS"].dtype == half.sequence["BAS"].dtype == np.float32
    assert 2**-12 < distance(half.pooled["BAS"], full.pooled["BAS"]) < 2**-5


@pytest.mark.parametrize("precision", inference.PRECISIONS)
def test_the_precision_reaches_every_product_of_activations(precision: str) -> None:
    model = Model(SAVED, Numerics(precision=precision))
    signals, modality = np.zeros((1, 2, PATCH), np.float32), np.array([[0, 1]])
    traced = jax.make_jaxpr(model._embed_windows)(model._weights, signals, modality, np.array([1]))
    text = str(traced)
    products = text.count("conv_general_dilated[") + text.count("dot_general[")
    asked = len(re.findall(rf"Precision\.{precision.upper()}\b", text))
    memberships, kernels = 3, 6  # of zeros and ones; laid out as bands, always exactly
    exempt = memberships if precision == "highest" else memberships + kernels
    assert asked == 2 * (products - exempt) > 60
    assert model.provenance["precision"] == precision


def test_wrong_types_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'float16'.*choose from float32, bfloat16"):
        inference.load(tmp_path, "float16")
    with pytest.raises(ValueError, match=r"'exact'.*highest, high, default"):
        inference.load(tmp_path, precision="exact")
    with pytest.raises(InputError, match="no model is here"):
        inference.load(tmp_path)


def test_importing_the_package_and_its_input_pipeline_imports_no_jax() -> None:
    """Workers that only read files start fast and fork safely."""
    pipeline = pkgutil.walk_packages(input_pipeline.__path__, "sleepfm_jax.input_pipeline.")
    names = ["sleepfm_jax", *(module.name for module in pipeline)]
    assert "sleepfm_jax.input_pipeline.simulation.heart" in names
    heavy = {"jax", "flax", "orbax", "optax", "torch", "tensorflow", "matplotlib"}
    code = f"import sys, {', '.join(names)}; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_load_is_there_when_asked_for() -> None:
    assert sleepfm_jax.load is inference.load
    with pytest.raises(AttributeError, match="has no attribute 'unload'"):
        sleepfm_jax.unload  # noqa: B018


def test_the_docstrings_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a night of eight hours and a model of the published width; outputs are compared."""
    monkeypatch.chdir(tmp_path)
    config = FoundationConfig(num_layers=1, feed_forward=32)
    arrays = small_network.random_arrays(lambda: small_network.blank(config=config))
    saved_model.save("MODEL", SavedModel(config, arrays))
    edfio.Edf(
        [
            edfio.EdfSignal(np.random.default_rng(n).standard_normal(8 * 3600), 1, label=label)
            for n, label in enumerate(["C3-M2", "Airflow", "ECG II"])
        ]
    ).write("night.edf")
    monkeypatch.setattr(inference, "load", functools.cache(inference.load))
    monkeypatch.setattr(Model, "embed", functools.cache(Model.embed))
    names = {"model": inference.load("MODEL")}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for documented in (sleepfm_jax, inference.load.__wrapped__, Model.embed.__wrapped__):
        examples = doctest.DocTestParser().get_doctest(
            documented.__doc__, dict(names), documented.__name__, None, 0
        )
        assert examples.examples
        for example in examples.examples:
            example.options.clear()
        assert runner.run(examples).failed == 0
