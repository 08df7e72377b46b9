"""The training step: the same on any mesh, compiled once, safe from NaN."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from sleepfm_jax.train import state, step
from sleepfm_jax.train.mesh import make_mesh, put_batch
from tests.train import quick_network, small_run

MESHES = {"data": (8, 1, 1), "all": (2, 2, 2), "fsdp": (1, 8, 1)}
STEPS = 20


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """In float64, with tokenizers that compile in a fraction of the time."""
    with pytest.MonkeyPatch.context() as patch, jax.enable_x64(True):
        quick_network.use(patch)
        yield


@pytest.fixture(scope="module")
def alone() -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
    """Twenty steps on one device: the arrays they leave, and their losses."""
    with quickly():
        run = small_run.Run(small_run.task(), small_run.one_device())
        now, seen = run.steps(run.born(), [small_run.batch(n) for n in range(STEPS)])
        return small_run.arrays(now), [m["loss"] for m in seen]


@pytest.mark.parametrize("mesh", MESHES)
def test_twenty_steps_are_the_same_on_any_mesh(mesh: str, alone: tuple) -> None:
    assert len(jax.devices()) == 8
    final, losses = alone
    with quickly():
        run = small_run.Run(small_run.task(), make_mesh(*MESHES[mesh]))
        first, *rest = [small_run.batch(n) for n in range(STEPS)]
        born, begun, again = run.born(), [], []
        assert small_run.compilations(lambda: begun.extend(run.steps(born, [first]))) > 0
        now, seen = begun
        # Nothing but the step is compiled, once; put_batch and arrays need no program.
        assert small_run.compilations(lambda: again.extend(run.steps(now, rest))) == 0
        now, more = again
    np.testing.assert_allclose([m["loss"] for m in seen + more], losses, rtol=1e-8)
    assert losses[-1] < losses[0], "twenty steps that learn nothing test nothing"
    for name, found in small_run.arrays(now).items():
        np.testing.assert_allclose(found, final[name], rtol=1e-8, atol=1e-8, err_msg=name)


def test_five_steps_of_the_whole_network_in_float32_are_the_same_on_a_mesh() -> None:
    batches = [small_run.batch(n, "float32") for n in range(5)]
    losses = []
    for run in (
        small_run.single("float32"),
        small_run.Run(small_run.task("float32"), make_mesh(2, 2, 2)),
    ):
        _, seen = run.steps(run.born(), batches)
        losses.append([m["loss"] for m in seen])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_weights_are_split_as_the_mesh_says() -> None:
    run = small_run.Run(small_run.task("float32"), make_mesh(2, 2, 2))
    layer = run.abstract.params["network"]["layers"][0]
    moments = run.abstract.optimizer[1][0].mu["network"]["layers"][0]
    for tree in (layer, moments):
        assert tree["up"]["kernel"].sharding.spec == P("fsdp", "tensor")
        assert tree["attention"]["qkv"]["kernel"].sharding.spec == P("fsdp", None, "tensor", None)
        assert tree["up"]["kernel"].sharding.shard_shape((32, 64)) == (16, 32)


def test_a_step_without_finite_numbers_changes_nothing_but_counters() -> None:
    run = small_run.single("float32")
    good, bad = small_run.batch(0, "float32"), small_run.batch(1, "float32")
    bad["signals"][2, 0, 5] = np.nan
    now, _ = run.steps(run.born(), [good])
    before = small_run.arrays(now)
    now, seen = run.steps(now, [bad, bad])
    assert [int(m["skipped"]) for m in seen] == [1, 2]
    assert [int(m["skipped_in_a_row"]) for m in seen] == [1, 2]
    after = small_run.arrays(now)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {".step", ".skipped", ".skipped_in_a_row"}
    now, seen = run.steps(now, [good])
    assert (int(seen[0]["skipped"]), int(seen[0]["skipped_in_a_row"])) == (2, 0)
    assert int(now.step) == 4


def test_neighbours_take_part_only_in_the_loss() -> None:
    """With frozen statistics, what a recording embeds to is its own affair."""
    run = small_run.single("float32", frozen=True, dropout=0.0)
    graph = state.graphs(run.task.build).evaluate
    forward = step.forward_step(graph, run.task, run.abstract, run.mesh)
    one, other = small_run.batch(0, "float32"), small_run.batch(1, "float32")
    mixed = {name: np.concatenate([one[name][:4], other[name][4:]]) for name in one}
    now = run.born()
    alone, among = (np.asarray(forward(now, put_batch(b, run.mesh))) for b in (one, mixed))
    np.testing.assert_array_equal(alone[:4], among[:4])
    assert not np.array_equal(alone[4:], among[4:])
