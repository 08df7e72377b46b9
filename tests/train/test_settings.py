"""A configuration becomes settings, or a sentence; every variant that is shipped is traced."""

import dataclasses
import functools
import math
import re
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sleepfm_jax.configs import pretrain
from sleepfm_jax.errors import InputError
from sleepfm_jax.train import optimizers, state
from sleepfm_jax.train.configuration import read
from sleepfm_jax.train.head_settings import Diagnosis, Staging
from sleepfm_jax.train.mesh import make_mesh
from sleepfm_jax.train.pretraining import Pretraining as Task
from sleepfm_jax.train.settings import Pretraining
from sleepfm_jax.train.step import train_step

MILLION = 1e6


@functools.cache
def chosen(variant: str) -> Pretraining:
    return read(Pretraining, pretrain.get_config(variant))


def traced(settings: Pretraining) -> tuple[state.TrainState, Any]:
    """Shapes of the state, and of what a step makes of it and of a whole batch, on 8 devices."""
    task = Task(
        settings.model, settings.numerics, settings.loss, settings.temperature, settings.remat
    )
    mesh = make_mesh(**dataclasses.asdict(settings.mesh))
    rate = optimizers.schedule(settings.optimizer, 10_000, 1000)
    optimizer = optimizers.make(settings.optimizer, rate, task.nonnegative)
    abstract = state.abstract_state(task.build, optimizer, mesh)
    graph = state.graphs(task.build).train
    step = train_step(graph, task, optimizer, abstract, mesh, settings.chunks)
    b, slots = settings.batches.batch_size, settings.batches.slots
    batch = {
        "signals": jax.ShapeDtypeStruct((b, slots, 38400), np.float16),
        "modality": jax.ShapeDtypeStruct((b, slots), np.int8),
        "patches": jax.ShapeDtypeStruct((b,), np.int32),
        "night": jax.ShapeDtypeStruct((b,), np.int32),
    }
    return abstract, jax.eval_shape(step, abstract, batch)


@pytest.mark.parametrize("variant", pretrain.VARIANTS)
def test_every_variant_is_traced(variant: str) -> None:
    abstract, (after, metrics) = traced(chosen(variant))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), abstract)
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after)
    assert metrics["loss"].shape == ()
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(abstract.params))
    if variant.startswith("base"):
        assert count == 4_831_656 + 1  # and the temperature
    elif variant == "large":
        assert 280 * MILLION < count < 320 * MILLION
        held = sum(math.prod(_part(leaf)) for leaf in jax.tree.leaves(abstract.params))
        assert held < count / 7  # of eight devices one holds about an eighth
    else:
        assert count < MILLION


def _part(leaf: jax.ShapeDtypeStruct) -> tuple[int, ...]:
    assert leaf.sharding is not None
    return leaf.sharding.shard_shape(leaf.shape)


@pytest.mark.parametrize("variant", pretrain.VARIANTS)
def test_a_variants_docstring_holds_its_command(variant: str) -> None:
    text = " ".join((pretrain.VARIANTS[variant].__doc__ or "").split())
    path = "sleepfm_jax/configs/pretrain.py"
    assert f"sleepfm-jax pretrain --config={path}:{variant} --workdir=runs/{variant}" in text
    assert "--config.data.path=store" in text
    assert "Memory per device" in text
    assert "Expected: " in text


@pytest.mark.parametrize("variant", pretrain.VARIANTS)
def test_a_variant_gives_every_value_its_name(variant: str) -> None:
    """What a variant leaves out could not be set by a flag."""

    def names(tree: Any, name: str = "") -> set[str]:
        if not hasattr(tree, "items"):
            return {name}
        return {found for key, value in tree.items() for found in names(value, f"{name}.{key}")}

    given = names(pretrain.get_config(variant).to_dict())
    known = names(dataclasses.asdict(chosen(variant)))
    assert known - given <= {".batches.seed"}
    assert given <= known


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match=r"no variant 'huge': choose from base, .*tiny"):
        pretrain.get_config("huge")


def test_base_is_the_published_training() -> None:
    settings = chosen("base")
    assert settings == read(Pretraining, {"batches": {"skip_damaged": True}})
    assert settings.batches.batch_size == 128
    assert dataclasses.astuple(settings.optimizer)[:4] == ("sgd", 1e-3, "step", 0.1)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"epoch": 3}, r"--config.epoch is unknown: choose from .*epochs"),
        ({"model": {"embed": 3}}, r"--config.model.embed is unknown: choose from .*embed_dim"),
        ({"epochs": 2.5}, r"--config.epochs is 2.5: give int"),
        ({"epochs": "2"}, r"--config.epochs is '2': give int"),
        ({"epochs": True}, r"--config.epochs is True: give int"),
        ({"remat": 1}, r"--config.remat is 1: give bool"),
        ({"temperature": "hot"}, r"--config.temperature is 'hot': give float"),
        ({"temperature": False}, r"--config.temperature is False: give float"),
        ({"data": {"path": None}}, r"--config.data.path is None: give str"),
        ({"model": 3}, r"--config.model is 3: "),
        ({"loss": "triplet"}, r"--config.loss is 'triplet': give leave_one_out or pairwise"),
        ({"chunks": 0}, r"--config.chunks is 0, which does not divide the batch of 128"),
        ({"chunks": 3}, r"--config.chunks is 3, which does not divide the batch of 128"),
        ({"epochs": 0}, r"--config.epochs is 0"),
        ({"steps": -1}, r"--config.steps is -1"),
        ({"seed": -1}, r"--config.seed is -1"),
        ({"loop": {"log_every": 0}}, r"--config.loop.log_every is 0: give 1 or more"),
        ({"loop": {"validate_every": -5}}, r"--config.loop.validate_every is -5"),
        ({"loop": {"validation_windows": 0}}, r"--config.loop.validation_windows is 0"),
        ({"model": {"num_heads": 3}}, r"model.num_heads is 3, which does not divide embed_dim 128"),
        ({"model": {"num_layers": 0}}, r"--config.model.num_layers is 0: give 1 or more"),
        ({"model": {"max_patches": 59}}, r"--config.model.max_patches is 59: give 60 or more"),
        ({"model": {"dropout": 1.0}}, r"--config.model.dropout is 1.0: give 0 to less than 1"),
        ({"numerics": {"dtype": "int8"}}, r"--config.numerics.dtype is 'int8': choose from"),
        ({"numerics": {"dtype": "float64"}}, r"--config.numerics.dtype is 'float64': choose from"),
        ({"optimizer": {"name": "lion"}}, r"--config.optimizer names 'lion'"),
        ({"batches": {"slots": 3}}, r"slots is 3: give 4 to 24"),
        ({"batches": {"channel_dropout": math.nan}}, r"channel_dropout is nan: give 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(config: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        read(Pretraining, config)
    assert "\n" not in str(caught.value)


@examples(deadline=None, max_examples=25)
@given(st.data())
def test_any_value_of_the_right_type_arrives_and_the_others_stay(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(["data", "processes", "mesh"]))
    default = dataclasses.asdict(getattr(Pretraining(), section))
    name = data.draw(st.sampled_from(sorted(default)))
    kinds = {int: st.integers(1, 99), str: st.text(max_size=5)}
    value = data.draw(kinds[type(default[name])])
    found = dataclasses.asdict(read(Pretraining, {section: {name: value}}))
    wanted = dataclasses.asdict(Pretraining())
    wanted[section][name] = value
    assert found == wanted


def test_whole_numbers_are_taken_for_fractions() -> None:
    found = read(Pretraining, {"temperature": 2, "optimizer": {"learning_rate": 1}})
    assert (found.temperature, found.optimizer.learning_rate) == (2.0, 1.0)
    assert isinstance(found.temperature, float)


def test_settings_are_named_as_they_are_documented() -> None:
    """Every value has its line in the docstring of its class, or of one above it."""
    runs = Pretraining(), Staging(), Diagnosis()
    kinds = {type(value) for run in runs for value in (run, *vars(run).values())}
    for kind in filter(dataclasses.is_dataclass, kinds):
        text = "\n".join(above.__doc__ or "" for above in kind.__mro__)
        for field in dataclasses.fields(kind):
            assert re.search(rf"^ +{field.name}: ", text, re.M), f"{kind}: {field.name}"
