"""What a training step costs each device and moves between them, per mesh: from the compiled step.

    python benchmarks/scaling.py [--variant base] [--per-device 1] [--slots 16] [--meshes 8,1,1 …]

compiles the step for 8 emulated CPU devices, or for the real ones where there are any; nothing is
trained, no weight is made. Per mesh it prints: flops a device, peak memory a device, bytes of each
kind of collective a device and step, how many collectives, and how the traffic compares with the
gradients (4 bytes a parameter). The tokenizer takes all patches at once, as it does on
accelerators; on CPU it would walk through them (`--walk`), which costs time and saves memory.

    python benchmarks/scaling.py --kept [--variant base] [--per-device 4] [--slots 16] [--remat]

compiles nothing and prints what the forward pass keeps for the backward pass, as JAX traces it. XLA
for CPU takes `remat` apart again, so that its memory does not show there.
"""

import argparse
import os
import sys
import time
from typing import Any, NamedTuple

GIGA = 1e9


class Cost(NamedTuple):
    """Of one step on one device.

    Attributes:
        flops: of matrix products and the rest.
        state: bytes of weights, optimiser and the like.
        peak: bytes, the state and the batch included.
        payloads: bytes of collectives by kind.
        collectives: how many run.
        gradients: bytes of all gradients, whole.
        compiling: seconds.
    """

    flops: float
    state: int
    peak: int
    payloads: dict[str, int]
    collectives: int
    gradients: int
    compiling: float


def cost(settings: Any, shape: tuple[int, ...], walk: bool = False) -> Cost:
    """Compiles the step of a configuration and reads what it costs.

    Args:
        settings: of a pretraining.
        shape: of the mesh: data, fsdp, tensor.
        walk: whether the tokenizer walks through the patches as on CPU.
    """
    import math

    import jax

    from benchmarks import traffic
    from sleepfm_jax.models import tokenizer
    from sleepfm_jax.train import optimizers, state, step
    from sleepfm_jax.train.mesh import make_mesh
    from sleepfm_jax.train.pretraining import Pretraining

    if not walk:
        tokenizer.chunks = lambda *_: 1
    devices = math.prod(shape)
    mesh = make_mesh(*shape, devices=jax.devices()[:devices])
    task = Pretraining(
        settings.model, settings.numerics, settings.loss, settings.temperature, settings.remat
    )
    rate = optimizers.schedule(settings.optimizer, 1000, 100)
    optimizer = optimizers.make(settings.optimizer, rate, task.nonnegative)
    abstract = state.abstract_state(task.build, optimizer, mesh)
    graph = state.graphs(task.build).train
    train = step.train_step(graph, task, optimizer, abstract, mesh, settings.chunks)
    began = time.perf_counter()
    compiled = train.lower(abstract, batch(settings)).compile()  # type: ignore[attr-defined]
    compiling = time.perf_counter() - began
    memory = compiled.memory_analysis()
    found = traffic.collectives(compiled.as_text(), devices)
    outputs = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Cost(
        flops=compiled.cost_analysis()["flops"],
        state=memory.alias_size_in_bytes,
        peak=memory.argument_size_in_bytes + memory.temp_size_in_bytes + outputs,
        payloads=traffic.payloads(found),
        collectives=sum(each.times for each in found),
        gradients=sum(4 * leaf.size for leaf in jax.tree.leaves(abstract.params)),
        compiling=compiling,
    )


def kept(settings: Any) -> int:
    """Bytes that the forward pass of a whole batch on one device keeps for the backward pass."""
    import jax
    from jax._src.ad_checkpoint import saved_residuals  # what jax.ad_checkpoint prints

    from sleepfm_jax.models import tokenizer
    from sleepfm_jax.train import optimizers, state
    from sleepfm_jax.train.mesh import make_mesh
    from sleepfm_jax.train.pretraining import Pretraining

    tokenizer.chunks = lambda *_: 1
    task = Pretraining(
        settings.model, settings.numerics, settings.loss, settings.temperature, settings.remat
    )
    optimizer = optimizers.make(settings.optimizer, lambda _: 1e-3, task.nonnegative)
    mesh = make_mesh(devices=jax.devices()[:1])
    abstract = state.abstract_state(task.build, optimizer, mesh)
    graph = state.graphs(task.build).train

    def loss(params: Any, extra: Any, batch: Any) -> jax.Array:
        model = state.model_of(graph, params, extra)
        return task.objective(model, task.forward(model, batch), batch)[0]

    inputs = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
        (abstract.params, abstract.extra, batch(settings)),
    )
    found = saved_residuals(loss, *inputs)
    return sum(aval.size * aval.dtype.itemsize for aval, why in found if "argument" not in why)


def batch(settings: Any) -> dict[str, Any]:
    """Shapes of a batch of 5-minute windows, as the input pipeline makes them."""
    import jax
    import jax.numpy as jnp

    from sleepfm_jax.input_pipeline.windows import SAMPLES

    B, C = settings.batches.batch_size, settings.batches.slots
    return {
        "signals": jax.ShapeDtypeStruct((B, C, SAMPLES), jnp.float16),
        "modality": jax.ShapeDtypeStruct((B, C), jnp.int8),
        "patches": jax.ShapeDtypeStruct((B,), jnp.int32),
        "night": jax.ShapeDtypeStruct((B,), jnp.int32),
    }


def configured(flags: argparse.Namespace, devices: int) -> Any:
    """The settings of a variant with the benchmark's batch."""
    from sleepfm_jax.configs.pretrain import get_config
    from sleepfm_jax.train import configuration, settings

    config = get_config(flags.variant)
    config.batches.batch_size = flags.per_device * devices
    config.batches.slots = flags.slots
    if flags.layers:
        config.model.num_layers = flags.layers
    if flags.remat is not None:
        config.remat = flags.remat
    return configuration.read(settings.Pretraining, config)


def row(shape: tuple[int, ...], found: Cost) -> str:
    """One line of the table."""
    moved = sum(found.payloads.values())
    kinds = ", ".join(f"{kind} {size / 1e6:.2f}" for kind, size in found.payloads.items() if size)
    return (
        f"{shape!s:<10}  {found.flops / GIGA:>8.1f}  {found.state / GIGA:>7.3f}  "
        f"{found.peak / GIGA:>7.3f}  {moved / 1e6:>8.2f}  {moved / found.gradients:>6.3f}  "
        f"{found.collectives:>5}  {found.compiling:>5.0f}  {kinds}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="base", help="(default: %(default)s)")
    parser.add_argument(
        "--per-device", type=int, default=1, help="windows a device (default: %(default)s)"
    )
    parser.add_argument("--slots", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--layers", type=int, default=0, help="of the encoder, if not all")
    parser.add_argument("--remat", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--walk", action="store_true", help="the tokenizer as on CPU")
    parser.add_argument("--kept", action="store_true", help="trace only, see above")
    meshes = ["1,1,1", "8,1,1", "1,8,1", "2,2,2"]
    parser.add_argument("--meshes", nargs="+", default=meshes, help="data,fsdp,tensor each")
    flags = parser.parse_args()
    os.environ["XLA_FLAGS"] = (
        "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0 "
        + os.environ.get("XLA_FLAGS", "")
    )
    print(f"{flags.variant}, {flags.per_device} windows of {flags.slots} slots a device")
    if flags.kept:
        each = kept(configured(flags, 1)) / flags.per_device
        print(f"{each / GIGA:.3f} GB a window kept between the passes")
        return
    print("mesh        Gflop     state    peak    moved   of       calls  comp.  MB moved by kind")
    print("            /device   GB       GB      MB      gradient        s")
    for text in flags.meshes:
        shape = tuple(int(size) for size in text.split(","))
        settings = configured(flags, shape[0] * shape[1])
        print(row(shape, cost(settings, shape, flags.walk)), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    main()
