"""A folder of small untrained models: base, staging and diagnosis; and a night to try them on."""

import dataclasses
from pathlib import Path

import numpy as np
from flax import nnx

from sleepfm_jax import saved_model
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.demographics import Encoding
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.models.disease_risk import RiskConfig
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.models.kinds import Config, network_of
from sleepfm_jax.models.sleep_stager import StagingConfig
from sleepfm_jax.saved_model import Outcomes, SavedModel
from tests.models.small_network import random_arrays

WIDTH = 16
BASE = FoundationConfig(
    embed_dim=WIDTH, num_heads=2, num_layers=1, pooling_heads=2, feed_forward=32
)
STAGING = StagingConfig(embed_dim=WIDTH, num_heads=2, pooling_heads=2, feed_forward=32)
RISK = RiskConfig(embed_dim=WIDTH, num_layers=1, pooling_heads=2, feed_forward=32, labels=4)
LABELS = (("250.2", "Type 2 diabetes"), ("401.1", "Hypertension"), ("290", ""), ("428", "Failure"))
ENCODING = Encoding(age_divisor=50.0, female=-1.0, male=1.0)
DAYS = np.array([365.25, 6 * 365.25, 10 * 365.25], np.float32)
HAZARD = np.array([[0.01, 0.02, 0, 0.3], [0.06, 0.1, 0, 0.9], [0.1, 0.2, 0, 2]], np.float32)


def saved(config: Config, seed: int = 0) -> SavedModel:
    """An untrained model, all its arrays drawn from the seed."""
    return SavedModel(config, random_arrays(lambda: network_of(config, rngs=nnx.Rngs(0)), seed))


def risk_model(demographics: int = 2, baseline: bool = True, seed: int = 2) -> SavedModel:
    """A model of four diseases; the baseline knows no event of the third."""
    model = saved(dataclasses.replace(RISK, demographics=demographics), seed)
    arrays = {"baseline.times": DAYS, "baseline.cumulative": HAZARD} if baseline else {}
    return dataclasses.replace(
        model, weights={**model.weights, **arrays}, outcomes=Outcomes(LABELS, ENCODING)
    )


def save_models(
    folder: Path,
    base: int | None = 0,
    staging: int = 1,
    diagnosis: SavedModel | None = None,
) -> Path:
    """Writes base, staging and diagnosis beside each other; the first two from their seeds."""
    models = {"staging": saved(STAGING, staging), "diagnosis": diagnosis or risk_model()}
    if base is not None:
        models["base"] = saved(BASE, base)
    saved_model.save_together(folder, models)
    return folder


def night_embeddings(name: str, steps: int = 95, seed: int = 0) -> NightEmbeddings:
    """Random embeddings of a night of three modalities, made by no model."""
    rng = np.random.default_rng(seed)
    modalities = ("BAS", "RESP", "EKG")
    rows = {m: rng.normal(size=(steps, WIDTH)).astype(np.float32) for m in modalities}
    pooled = {m: rng.normal(size=(-(-steps // 60), WIDTH)).astype(np.float32) for m in modalities}
    return NightEmbeddings(name, pooled, rows, dict.fromkeys(modalities, ()), (), {})


def store(folder: Path, *nights: NightEmbeddings) -> Path:
    """Writes nights as `sleepfm-jax embed` does."""
    for night in nights:
        embeddings.write(folder, night)
    return folder
