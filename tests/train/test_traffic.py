"""What travels between devices that split the batch: gradients once, and embeddings."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from benchmarks import traffic
from sleepfm_jax.models.foundation import MODALITIES
from sleepfm_jax.models.tokenizer import BLOCK, CHANNELS, KERNEL
from sleepfm_jax.train.mesh import make_mesh
from tests.train import small_run

FLOAT = 4  # bytes


def test_data_parallel_steps_move_gradients_once_and_embeddings() -> None:
    run = small_run.Run(small_run.task("float32"), make_mesh(8, 1, 1))
    arrays = small_run.batch(0, "float32")
    batch = {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in arrays.items()}
    compiled = run.step.lower(run.abstract, batch).compile()  # type: ignore[attr-defined]
    moved = sum(traffic.payloads(traffic.collectives(compiled.as_text(), 8)).values())
    B, M, E = small_run.B, MODALITIES, small_run.SIZE.embed_dim
    gradients = FLOAT * sum(leaf.size for leaf in jax.tree.leaves(run.abstract.params))
    embeddings = 2 * FLOAT * B * M * E  # keys to all devices, their gradients back
    # Forward mean and variance, backward the variance and the mean's two uses; sums of patches.
    statistics = FLOAT * M * sum(5 * F + 1 for F in CHANNELS[1:])
    of_samples = 4 * FLOAT * 2 * M * B  # numbers and masks of each term and direction
    assert gradients < moved
    assert moved <= gradients + embeddings + statistics + of_samples + FLOAT * beyond_kernels()


def beyond_kernels() -> int:
    """Gradients of convolutions travel as those of banded matrices: their size beyond kernels'."""
    extra = 0
    for inputs, outputs in itertools.pairwise(CHANNELS):
        positions = max(1, BLOCK // outputs)
        extra += (2 * positions + KERNEL - 2) * inputs * positions * outputs
        extra -= KERNEL * inputs * outputs
    return extra


def test_collectives_in_loops_count_as_often_as_they_run() -> None:
    mesh = make_mesh(4, 2, 1)

    def sums(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 3, lambda _, y: jax.lax.psum(y, "data") * 0.1, x)

    parts = {"in_specs": P("data"), "out_specs": P("data"), "check_vma": False}
    program = jax.jit(jax.shard_map(sums, mesh=mesh, **parts))
    compiled = program.lower(jax.ShapeDtypeStruct((16, 5), jnp.float32)).compile()
    found = traffic.collectives(compiled.as_text(), 8)
    # A quarter of 16 rows of 5 numbers on each device; the other axis takes no part.
    assert {each.devices for each in found} == {4}
    assert traffic.payloads(found)["all-reduce"] == 3 * 4 * 5 * FLOAT


HLO = """
HloModule jit_step, is_scheduled=true

%body (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  ROOT %reduced = f32[8]{0} all-reduce(%a), replica_groups=[2,4]<=[8]
}

ENTRY %main (x: bf16[4,8]) -> f32[8] {
  %start = (bf16[4,8], bf16[32,8]) all-gather-start(%x), replica_groups={{0,1,2,3,4,5,6,7}}
  %done = bf16[32,8]{1,0} all-gather-done(%start)
  %scattered = f32[2,8]{1,0} reduce-scatter(%y), replica_groups={{0,1},{2,3},{4,5},{6,7}}
  %alone = f32[999]{0} all-reduce(%z), replica_groups={{0},{1},{2},{3},{4},{5},{6},{7}}
  %swap = (s8[3]{0}, s8[3]{0}) all-to-all(%p, %q), replica_groups={}
  ROOT %loop = f32[8]{0} while(%x), body=%body, backend_config={TRIPS}
}
"""


def test_every_kind_of_collective_is_read() -> None:
    loop = '"known_trip_count":{"n":"5"}'
    text = HLO.replace("{TRIPS}", "{" + loop + "}")
    assert traffic.payloads(traffic.collectives(text, 8)) == {
        "all-reduce": 5 * 8 * FLOAT,
        "all-gather": 32 * 8 * 2,
        "reduce-scatter": 2 * 2 * 8 * FLOAT,
        "all-to-all": 6,
        "collective-permute": 0,
    }
    with pytest.raises(ValueError, match="a loop of unknown length"):
        traffic.collectives(text.replace(loop, ""), 8)
