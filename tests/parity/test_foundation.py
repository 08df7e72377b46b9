"""The base model against the published model's numbers, and from a real EDF to embeddings."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from sleepfm_jax.inference import Model
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.input_pipeline.montage import Montage
from tests import golden

INPUTS = {"plain": (2, 3, 60), "padded": (3, 4, 12), "single_channel": (2, 1, 12)}
BASE = np.load(golden.DATA / "base.npz")
FLOAT64_BOUND = 1e-12
FLOAT32_BOUND = 4.0  # times PyTorch's own float32 error


@pytest.mark.parametrize("tag", INPUTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_embeddings_equal_the_published_models(tag: str, dtype: str) -> None:
    B, C, S = INPUTS[tag]
    padded = BASE[f"{tag}/mask"]
    signals = golden.signal(f"input/{tag}", B, C, S * 640) * ~padded[..., None]
    with jax.enable_x64(dtype == "float64"):
        network = golden.network(dtype)
        for modality in Modality:
            out = network(signals, np.where(padded, -1, int(modality)))
            for kind in ("pooled", "sequence"):
                error = golden.error(getattr(out, kind)[:, modality], BASE[f"{tag}/{kind}"])
                bound = FLOAT64_BOUND
                if dtype == "float32":
                    bound = FLOAT32_BOUND * golden.PYTORCH_ERROR[f"{tag}/{kind}"]
                print(f"{dtype} {tag}/{kind} as {modality.name}: {error:.1e} (bound {bound:.1e})")
                assert error <= bound, f"{kind} as {modality.name}"


def test_edf_to_embeddings_equals_the_published_path(psg: Path) -> None:
    groups = json.loads((golden.DATA / "signals_excerpt3.json").read_text())["modality"]
    expected = np.load(golden.DATA / "signals_excerpt3.npz")
    montage = Montage(groups={Modality[name]: labels for name, labels in groups.items()})
    model = Model(golden.saved_model())
    night = model.embed(psg / "dreams_excerpt3" / "excerpt3.edf", montage)
    assert {name: list(labels) for name, labels in night.labels.items()} == groups
    for name in groups:
        every_fifth = night.sequence[name].reshape(6, 60, 128)[:, ::5]
        pooled = golden.error(night.pooled[name], expected[f"pooled/{name}"])
        sequence = golden.error(every_fifth, expected[f"sequence/{name}"])
        print(f"excerpt3 {name}: pooled {pooled:.1e}, sequence {sequence:.1e} (bound 3.0e-06)")
        assert max(pooled, sequence) <= 3e-6
    np.testing.assert_array_equal(night.pooled_times, np.arange(6) * 300.0)
    np.testing.assert_array_equal(night.sequence_times, np.arange(360) * 5.0)
