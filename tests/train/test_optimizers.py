"""Optimisers: the published schedule, warm-up and cosine, clipping, what decays and is clamped."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import optimizers
from sleepfm_jax.train.optimizers import OptimizerSettings


def never(_: object) -> bool:
    return False


def test_the_published_rate_falls_tenfold_every_two_epochs() -> None:
    rate = optimizers.schedule(OptimizerSettings(), steps=60, epoch_steps=10)
    found = [float(rate(n)) for n in (0, 19, 20, 39, 40)]
    np.testing.assert_allclose(found, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5], rtol=1e-6)


def test_warm_up_rises_to_the_peak_and_cosine_ends_at_zero() -> None:
    settings = OptimizerSettings("adamw", 0.5, "cosine", warmup_steps=10)
    rate = optimizers.schedule(settings, steps=110, epoch_steps=10)
    found = [float(rate(n)) for n in (0, 5, 10, 60, 110)]
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.25, 0], atol=1e-7)


def test_sgd_is_pytorchs() -> None:
    start, slopes = np.array([1.0, -2.0]), np.random.default_rng(0).standard_normal((5, 2))
    theirs = torch.nn.Parameter(torch.tensor(start))
    published = torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    settings = OptimizerSettings(learning_rate=0.1, schedule="constant")
    ours = optimizers.make(settings, optimizers.schedule(settings, 5, 5), never)
    params = {"w": jnp.asarray(start)}
    state = ours.init(params)
    for slope in slopes:
        theirs.grad = torch.tensor(slope)
        published.step()
        updates, state = ours.update({"w": jnp.asarray(slope)}, state, params)
        params = {"w": params["w"] + updates["w"]}
    np.testing.assert_allclose(params["w"], theirs.detach().numpy(), rtol=1e-5)


def test_only_matrices_decay() -> None:
    settings = OptimizerSettings("adamw", 0.1, "constant", weight_decay=0.5)
    ours = optimizers.make(settings, lambda _: 0.1, never)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "temperature": jnp.ones(())}
    none = {name: jnp.zeros_like(array) for name, array in params.items()}
    updates, _ = ours.update(none, ours.init(params), params)
    assert {name: float(u.sum()) for name, u in updates.items()} == {
        "kernel": pytest.approx(-4 * 0.1 * 0.5),
        "bias": 0.0,
        "temperature": 0.0,
    }


def test_gradients_are_clipped_and_the_temperature_clamped() -> None:
    settings = OptimizerSettings(
        learning_rate=1.0, schedule="constant", momentum=0.0, clip_norm=1.0
    )
    ours = optimizers.make(settings, lambda _: 1.0, lambda path: path[-1].key == "temperature")
    params = {"w": jnp.zeros(2), "temperature": jnp.asarray(0.1)}
    slope = {"w": jnp.asarray([6.0, 0.0]), "temperature": jnp.asarray(8.0)}
    updates, _ = ours.update(slope, ours.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.6, 0.0], rtol=1e-6)
    assert float(params["temperature"] + updates["temperature"]) == 0.0


@pytest.mark.parametrize("wrong", [{"name": "adam"}, {"schedule": "linear"}])
def test_unknown_names_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InputError, match="choose from sgd, adamw and from constant, step, cosine"):
        OptimizerSettings(**wrong)
