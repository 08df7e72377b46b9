"""How far JAX is from PyTorch with the same weights, layer by layer and output by output.

A layer is fed what reaches it in PyTorch, so that an error shows where it arises; the outputs are
those of the whole networks. The yardstick is PyTorch's own rounding: its float32 against its
float64.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from conversion.layers import Layer, layers
from conversion.models import load_reference
from conversion.samples import HeadSample, Sample
from sleepfm_jax.input_pipeline.modality import Modality
from sleepfm_jax.models.foundation import SleepFM
from sleepfm_jax.models.kinds import KINDS, kind_of
from sleepfm_jax.models.layers import Numerics
from sleepfm_jax.saved_model import SavedModel, build

FLOAT32_BOUND = 4.0  # times PyTorch's own float32 error
FLOAT64_BOUND = 1e-12  # of the largest value

HEADER = f"{'':<20}{'largest difference':>20}{'relative':>12}"
YARDSTICK_HEADER = f"{'own error of PyTorch':>22}{'ratio':>8}"


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far one layer or output of JAX is from PyTorch's.

    Attributes:
        name: of the layer or output.
        largest: difference between the two.
        relative: the same over the largest value.
        own: PyTorch's own float32 error, relative alike; 0 in float64. Outputs share the largest of
            all modalities: that of one, of a few numbers only, is a matter of luck.
    """

    name: str
    largest: float
    relative: float
    own: float

    @property
    def is_equal(self) -> bool:
        """Whether the difference is no more than rounding; a NaN is more."""
        return self.relative <= max(FLOAT32_BOUND * self.own, FLOAT64_BOUND)

    def __str__(self) -> str:
        columns = f"{self.name:<20}{self.largest:>20.1e}{self.relative:>12.1e}"
        if self.own:
            columns += f"{self.own:>22.1e}{self.relative / self.own:>8.1f}"
        return columns if self.is_equal else f"{columns}  NOT EQUAL"


def report(model: SavedModel, sample: Sample | HeadSample, dtype: str = "float32") -> bool:
    """Measures and prints every layer and output and a verdict.

    Args:
        model: the weights of both sides.
        sample: the input of both sides.
        dtype: in which both compute, "float32" or "float64".

    Returns:
        whether all are equal but for rounding.
    """
    print(f"{sample.description}; {dtype}")
    print(HEADER + (YARDSTICK_HEADER if dtype == "float32" else ""))
    differences = measure(model, sample, dtype)
    print("\n".join(map(str, differences)))
    unequal = [difference.name for difference in differences if not difference.is_equal]
    bound = f"{FLOAT64_BOUND:g} of the largest value"
    if dtype == "float32":
        bound = f"{FLOAT32_BOUND:g} times PyTorch's own float32 error"
    if unequal:
        print(f"NOT equal: {', '.join(unequal)} differ by more than {bound}\n")
    else:
        print(f"equal: every layer and output is within {bound}\n")
    return not unequal


def measure(
    model: SavedModel, sample: Sample | HeadSample, dtype: str = "float32"
) -> list[Difference]:
    """Measures every layer and output.

    Args:
        model: the weights of both sides.
        sample: the input of both sides; a `HeadSample` for a head.
        dtype: in which both compute, "float32" or "float64".

    Returns:
        a difference for each layer, over all modalities; then for `pooled` and `sequence` of each
        modality in the sample, or for the output of a head.
    """
    with jax.enable_x64(dtype == "float64"), torch.no_grad():
        sides = _Sides(model, dtype)
        every = layers(model.config)
        if isinstance(sample, HeadSample):
            calls = [tuple(_cast(inputs, dtype) for inputs in call) for call in sample.calls]
            given = [_tensors(theirs) for theirs, _ in calls]
            network = KINDS[kind_of(model.config)].network
            ours = [sides.jax(network.__call__, *inputs) for _, inputs in calls]
            return [*_of_layers(sides, every, given), _of_head(sides, ours, given)]
        signals = sample.signals.astype(dtype)
        inputs = {
            m: torch.from_numpy(signals[:, sample.modality == m])  # (B, C of m, T)
            for m in Modality
            if m in sample.modality
        }
        tags = np.broadcast_to(sample.modality, signals.shape[:2])  # (B, C)
        return [
            *_of_layers(sides, every, [(x,) for x in inputs.values()]),
            *_of_outputs(sides, sides.jax(SleepFM.__call__, signals, tags), inputs),
        ]


_Tensors = tuple[torch.Tensor | None, ...]


def _cast(arrays: Iterable[Any], dtype: str) -> tuple[Any, ...]:
    """Real numbers in this type, all else as it is."""
    return tuple(
        a.astype(dtype) if a is not None and np.issubdtype(a.dtype, np.floating) else a
        for a in arrays
    )


def _tensors(arrays: Iterable[np.ndarray | None]) -> _Tensors:
    return tuple(None if array is None else torch.from_numpy(array) for array in arrays)


class _Sides:
    """The same weights in PyTorch, in PyTorch in float64, and in JAX."""

    def __init__(self, model: SavedModel, dtype: str) -> None:
        self.exact = load_reference(model).double()
        self.torch = self.exact if dtype == "float64" else load_reference(model).float()
        self._graph, self._weights = nnx.split(build(model, Numerics(dtype, dtype)))

    def jax(self, function: Callable, *inputs: np.ndarray) -> Any:
        return _run(function, self._graph, self._weights, *inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _run(function: Callable, graph: nnx.GraphDef, weights: nnx.State, *inputs: jax.Array) -> Any:
    return function(nnx.merge(graph, weights), *inputs)


def _of_layers(sides: _Sides, every: tuple[Layer, ...], given: list[_Tensors]) -> list[Difference]:
    caught = _caught_inputs(sides.torch, every, given)
    return [
        _difference(
            layer.name,
            _joined(sides.jax(layer.jax, x.numpy()) for x in caught[layer.caught]),
            _joined(layer.torch(sides.torch, x) for x in caught[layer.caught]),
            _joined(layer.torch(sides.exact, x.double()) for x in caught[layer.caught]),
        )
        for layer in every
        if caught[layer.caught]
    ]


def _caught_inputs(
    network: torch.nn.Module, every: tuple[Layer, ...], given: list[_Tensors]
) -> dict[str, list[torch.Tensor]]:
    """What reaches each layer's module, one tensor for each modality that passes through it."""
    caught: dict[str, list[torch.Tensor]] = {layer.caught: [] for layer in every}
    hooks = [
        network.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, tensors=tensors: tensors.append(inputs[0])
        )
        for name, tensors in caught.items()
    ]
    for inputs in given:
        network(*inputs)
    for hook in hooks:
        hook.remove()
    if "patch_embedding" in caught:
        # A channel's tokens depend on it alone: one call, one compilation do for all modalities.
        caught["patch_embedding"] = [torch.cat(caught["patch_embedding"], dim=1)]
    return caught


def _of_head(sides: _Sides, ours: list[Any], given: list[_Tensors]) -> Difference:
    exact = [[x if x is None else x.double() for x in inputs] for inputs in given]
    return _difference(
        "output",
        _joined(ours),
        _joined(sides.torch(*inputs) for inputs in given),
        _joined(sides.exact(*inputs) for inputs in exact),
    )


def _of_outputs(sides: _Sides, ours: Any, inputs: dict[Modality, torch.Tensor]) -> list[Difference]:
    theirs = {m: sides.torch(x) for m, x in inputs.items()}
    exact = {m: sides.exact(x.double()) for m, x in inputs.items()}
    differences = []
    for place, kind in enumerate(("pooled", "sequence")):
        of_kind = [
            _difference(
                f"{kind} {m.name}",
                np.asarray(getattr(ours, kind)[:, m]),
                theirs[m][place].numpy(),
                exact[m][place].numpy(),
            )
            for m in inputs
        ]
        own = float(np.max([difference.own for difference in of_kind]))
        differences += [dataclasses.replace(difference, own=own) for difference in of_kind]
    return differences


def _joined(arrays: Iterable[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(array).ravel() for array in arrays])


def _difference(name: str, ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray) -> Difference:
    scale = float(np.abs(exact).max()) or 1.0
    largest = float(np.abs(ours.astype(np.float64) - theirs).max())
    return Difference(name, largest, largest / scale, float(np.abs(theirs - exact).max()) / scale)
