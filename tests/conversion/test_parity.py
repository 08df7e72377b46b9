"""The parity report: right models are equal, and an error is found in the layer where it is."""

import dataclasses

import numpy as np
import pytest

from conversion import parity, samples
from conversion.checkpoints import Checkpoint
from conversion.models import import_checkpoint
from conversion.parity import Difference
from conversion.reference import SetTransformer
from conversion.samples import Sample
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.saved_model import SavedModel
from tests.conversion import published

SAMPLE = samples.noise(windows=2, seed=0)
LAYERS = [
    "tokenizer",
    "spatial pooling",
    "positions and norm",
    "encoder layer 1",
    "encoder layer 2",
    "temporal pooling",
]
OUTPUTS = [f"{kind} {m.name}" for kind in ("pooled", "sequence") for m in Modality]


def model() -> SavedModel:
    arrays = {key: value.numpy() for key, value in published.state_dict().items()}
    return import_checkpoint(Checkpoint(arrays, None, {}), published.SMALL, {})


def by_name(differences: list[Difference]) -> dict[str, Difference]:
    return {difference.name: difference for difference in differences}


def test_every_layer_and_output_is_equal_in_float32() -> None:
    differences = by_name(parity.measure(model(), SAMPLE))
    assert list(differences) == LAYERS + OUTPUTS
    for name, difference in differences.items():
        assert difference.is_equal, name
        assert 1e-8 < difference.own < 2e-6, name
        assert difference.largest > 0, name


def test_every_layer_and_output_is_equal_in_float64() -> None:
    for difference in parity.measure(model(), SAMPLE, "float64"):
        assert difference.own == 0
        assert difference.relative < parity.FLOAT64_BOUND, difference.name


def test_outputs_that_a_recording_lacks_are_left_out() -> None:
    single = Sample("one", SAMPLE.signals[:, 7:8], np.array([Modality.EKG]))
    names = [difference.name for difference in parity.measure(model(), single)]
    assert names == [n for n in LAYERS if n != "spatial pooling"] + ["pooled EKG", "sequence EKG"]


ERRORS: list[tuple[str, str]] = [
    ("patch_embedding.tokenizer.21.running_mean", "tokenizer"),
    ("spatial_pooling.transformer_layer.linear2.bias", "spatial pooling"),
    ("positional_encoding.pe", "positions and norm"),
    ("transformer_encoder.layers.1.self_attn.out_proj.bias", "encoder layer 2"),
    ("temporal_pooling.transformer_layer.norm2.bias", "temporal pooling"),
]


@pytest.mark.parametrize(("entry", "layer"), ERRORS)
def test_an_error_is_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], entry: str, layer: str
) -> None:
    """An entry of the reference is off by 1e-4: its layer and all later outputs differ."""
    load = parity.load_reference

    def off(saved: SavedModel) -> SetTransformer:
        network = load(saved)
        network.state_dict()[entry].view(-1)[:8].add_(1e-4)
        return network

    monkeypatch.setattr(parity, "load_reference", off)
    assert not parity.report(model(), SAMPLE)
    lines = capsys.readouterr().out.splitlines()
    unequal = [line[:20].strip() for line in lines if line.endswith("NOT EQUAL")]
    assert [name for name in unequal if name in LAYERS] == [layer]
    assert {name for name in unequal if name.startswith("pooled")} == set(OUTPUTS[:4]) - (
        {"pooled EKG"} if layer == "spatial pooling" else set()
    )
    assert lines[-2].startswith(f"NOT equal: {', '.join(unequal)} differ by more than 4 times")


def test_a_nan_is_never_equal() -> None:
    broken = dataclasses.replace(SAMPLE, signals=SAMPLE.signals.copy())
    broken.signals[0, 0, 0] = np.nan
    differences = by_name(parity.measure(model(), broken))
    assert not differences["tokenizer"].is_equal
    assert not any(differences[name].is_equal for name in OUTPUTS)


BOUNDS: list[tuple[float, float, bool]] = [
    (3.9e-7, 1e-7, True),
    (4.1e-7, 1e-7, False),
    (0.9e-12, 0.0, True),
    (1.1e-12, 0.0, False),
    (float("nan"), 1e-7, False),
]


@pytest.mark.parametrize(("relative", "own", "equal"), BOUNDS)
def test_the_bounds(relative: float, own: float, equal: bool) -> None:
    difference = Difference("x", 1.0, relative, own)
    assert difference.is_equal is equal
    assert str(difference).endswith("NOT EQUAL") is not equal


def test_the_table_is_aligned_and_tells_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.report(model(), SAMPLE)
    title, header, *rows, verdict, empty = capsys.readouterr().out.split("\n")[:-1]
    assert (
        title == "noise (seed 0): 2 windows of 300 s, channels BAS 4, RESP 3, EKG 1, EMG 2; float32"
    )
    assert [row[:20].strip() for row in rows] == LAYERS + OUTPUTS
    assert {len(row) for row in rows} == {len(header)}
    assert verdict == "equal: every layer and output is within 4 times PyTorch's own float32 error"
    assert empty == ""
