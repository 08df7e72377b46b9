"""Checkpoints come back bit by bit on any number of devices; the newest and the best are kept."""

import dataclasses
import logging
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.train.checkpoint_folder import Keep, best_of
from sleepfm_jax.train.checkpoints import Checkpoints
from sleepfm_jax.train.fingerprint import fingerprint
from tests.train.small_state import abstract, same, state


def folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_state_of_8_devices_comes_back_on_1_2_and_4(tmp_path: Path) -> None:
    position = {"global_next_index": 7, "version": [1, {"a": None}]}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, state(7), position, {"loss": 0.5, "top1": 0.1})
    for devices in (1, 2, 4, 8):
        with Checkpoints(tmp_path) as checkpoints:
            restored = checkpoints.restore(abstract(devices))
        assert restored is not None
        assert same(restored.state, state(7))
        assert fingerprint(restored.state) == fingerprint(state(7))
        assert (restored.step, restored.position) == (7, position)
        assert restored.metrics == {"loss": 0.5, "top1": 0.1}
        laid_out = jax.tree.map(
            lambda a, x: a.sharding == x.sharding, abstract(devices), restored.state
        )
        assert all(jax.tree.leaves(laid_out))


def test_without_a_checkpoint_there_is_nothing(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "new" / "folder") as checkpoints:
        assert checkpoints.restore(abstract(1)) is None
        assert checkpoints.best() is None
        assert checkpoints.steps == []


def test_the_two_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    """Steps without validation and losses that are no numbers are never the best."""
    losses = {10: 3.0, 20: 1.0, 30: None, 40: math.nan, 50: 2.0, 60: None}
    with Checkpoints(tmp_path) as checkpoints:
        for step, loss in losses.items():
            checkpoints.save(step, state(step), {}, None if loss is None else {"loss": loss})
        assert checkpoints.steps == [20, 50, 60]
        assert checkpoints.best() == 20
    assert folders(tmp_path) == ["20", "50", "60"]
    with Checkpoints(tmp_path) as checkpoints:  # a resumed run knows the best
        best = checkpoints.restore(abstract(2), checkpoints.best())
        assert best is not None
        assert same(best.state, state(20))
        checkpoints.save(70, state(70), {}, {"loss": 0.5})
        checkpoints.save(80, state(80), {}, {"loss": 0.6})
        assert checkpoints.best() == 70
    assert folders(tmp_path) == ["70", "80"]


@given(
    losses=st.lists(st.none() | st.floats(0, 1) | st.sampled_from([0.5]), min_size=1),
    newest=st.integers(1, 3),
)
def test_what_is_kept(losses: list[float | None], newest: int) -> None:
    known = dict(enumerate(losses))
    infos = [type("Info", (), {"step": step}) for step in known]
    kept = Keep(newest, lambda: known).should_preserve(infos, context=None)
    assert all(kept[-newest:])
    lost = [loss for loss, keep in zip(losses, kept, strict=True) if not keep and loss is not None]
    best = best_of(known)
    assert sum(kept) <= newest + 1
    if best is not None:
        assert kept[best]
        assert all(loss >= known[best] for loss in lost)  # type: ignore[operator]


def test_a_state_may_be_given_away_while_it_is_written(tmp_path: Path) -> None:
    """The step after a save donates the arrays that are being written."""
    big = jnp.arange(2_000_000, dtype=jnp.float32)
    step = jax.jit(lambda tree: jax.tree.map(lambda a: a + 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        tree = {"params": {"big": big + 0}}
        checkpoints.save(0, tree, {})
        for _ in range(3):
            tree = step(tree)
        jax.block_until_ready(tree)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(lambda: {"params": {"big": big}}))
    assert restored is not None
    assert np.array_equal(restored.state["params"]["big"], big)


def test_a_step_is_written_once(tmp_path: Path) -> None:
    """Leaving at the very step of a regular save must not fail."""
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), {"n": 1})
        checkpoints.save(1, state(2), {"n": 2})
        restored = checkpoints.restore(abstract(8))
    assert restored is not None
    assert restored.position == {"n": 1}
    assert same(restored.state, state(1))


def other(kind: str) -> Any:
    """Abstract states of other models and optimisers."""
    usual = abstract(8)
    one = usual.params["temperature"]
    return {
        "another optimiser": dataclasses.replace(usual, optimizer={"trace": usual.params}),
        "another layer": dataclasses.replace(usual, params={**usual.params, "extra_layer": one}),
        "another width": dataclasses.replace(
            usual,
            params={
                **usual.params,
                "temperature": jax.ShapeDtypeStruct((2,), one.dtype, sharding=one.sharding),
            },
        ),
        "another type": dataclasses.replace(
            usual, step=jax.ShapeDtypeStruct((), jnp.float32, sharding=one.sharding)
        ),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("another optimiser", r"optimizer.* is (absent there|.* absent here)"),
        ("another layer", r"params.extra_layer is absent there and float32\[\] here\)"),
        ("another width", r"params.temperature is float32\[\] there and float32\[2\] here\)"),
        ("another type", r"step is int32\[\] there and float32\[\] here\)"),
    ],
)
def test_a_checkpoint_of_another_model_is_not_called_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, words: str
) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), {})
        with pytest.raises(InputError, match=words) as caught:
            checkpoints.restore(other(kind))
    assert "was written by another model or optimiser" in str(caught.value)
    assert "use the settings it was made with" in str(caught.value)
    assert "damaged" not in str(caught.value)
    assert folders(tmp_path) == ["1"]
    assert not [entry for entry in caplog.records if entry.levelno >= logging.WARNING]


def test_a_step_that_is_not_there(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1), {})
        with pytest.raises(
            InputError, match=r"has no checkpoint of step 2, those there are: \[1\]"
        ):
            checkpoints.restore(abstract(8), 2)


@settings(
    deadline=None,
    max_examples=10,
)
@given(position=st.dictionaries(st.text(max_size=3), st.integers() | st.floats() | st.none()))
def test_any_position_comes_back(
    tmp_path_factory: pytest.TempPathFactory, position: dict[str, Any]
) -> None:
    tree = {"params": jnp.zeros(1)}
    with Checkpoints(tmp_path_factory.mktemp("run")) as checkpoints:
        checkpoints.save(1, tree, position)
        restored = checkpoints.restore(jax.eval_shape(lambda: tree))
    assert restored is not None
    assert repr(restored.position) == repr(position)  # NaN differs from itself
