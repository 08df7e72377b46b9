"""Every configuration of the heads: loaded, named, documented, and its model traced."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import jax
import pytest
from flax import nnx
from ml_collections import ConfigDict

from sleepfm_jax.configs import diagnosis, staging
from sleepfm_jax.models.foundation import FoundationConfig
from sleepfm_jax.train import finetuning, head_settings
from sleepfm_jax.train.configuration import read
from sleepfm_jax.train.diagnosis import Diagnosis
from sleepfm_jax.train.staging import Staging
from tests import golden

VARIANTS = [
    *((staging, "staging", variant) for variant in staging.VARIANTS),
    *((diagnosis, "diagnosis", variant) for variant in diagnosis.VARIANTS),
]
KINDS = {"staging": head_settings.Staging, "diagnosis": head_settings.Diagnosis}
PUBLISHED = {  # class, and what of its entries is not trained
    ("staging", "base"): ("SleepEventLSTMClassifier", ("positional_encoding",)),
    ("diagnosis", "base"): (
        "DiagnosisFinetuneFullLSTMCOXPHWithDemo",
        ("positional_encoding", "layer_norm"),
    ),
}


def values(config: ConfigDict, **changed: Any) -> dict[str, Any]:
    config.update_from_flattened_dict(changed)
    return {name: value for name, value in config.to_dict().items() if name != "task"}


@pytest.mark.parametrize(("module", "task", "variant"), VARIANTS)
def test_a_variant_gives_every_value_its_name(module: Any, task: str, variant: str) -> None:
    """What a variant leaves out could not be set by a flag."""

    def names(tree: Any, name: str = "") -> set[str]:
        if not hasattr(tree, "items"):
            return {name}
        return {found for key, value in tree.items() for found in names(value, f"{name}.{key}")}

    given = values(module.get_config(variant))
    backbone = {"backbone": "MODEL"} if given["learn_from"] == "recordings" else {}
    settings = read(KINDS[task], {**given, **backbone})
    assert names(given) == names(dataclasses.asdict(settings))


@pytest.mark.parametrize(("module", "task", "variant"), VARIANTS)
def test_a_variants_docstring_holds_its_command(module: Any, task: str, variant: str) -> None:
    text = " ".join((module.VARIANTS[variant].__doc__ or "").split())
    path = f"sleepfm_jax/configs/{task}.py"
    assert f"sleepfm-jax finetune --config={path}:{variant} --workdir=runs/" in text
    assert "Memory per device" in text
    assert "Expected: " in text


def traced(module: Any, task: str, variant: str) -> tuple[Any, Callable[[], nnx.Module]]:
    """The task as a run would make it, for 1065 labels, and a small backbone if there is one."""
    given = values(module.get_config(variant))
    end_to_end = given["learn_from"] == "recordings"
    settings = read(KINDS[task], {**given, **({"backbone": "MODEL"} if end_to_end else {})})
    small = FoundationConfig(num_layers=1) if end_to_end else None
    if task == "staging":
        assert isinstance(settings, head_settings.Staging)
        made: Any = Staging(settings.model, weights=settings.weights, backbone=small)
    else:
        assert isinstance(settings, head_settings.Diagnosis)
        sized = dataclasses.replace(
            settings, model=dataclasses.replace(settings.model, labels=1065)
        )
        made = Diagnosis(finetuning.head_of(sized), backbone=small)
    return made, lambda: made.build(nnx.Rngs(0))


@pytest.mark.parametrize(("module", "task", "variant"), VARIANTS)
def test_every_variant_is_traced(module: Any, task: str, variant: str) -> None:
    made, build = traced(module, task, variant)
    B, T, E, C = 2, 120, made.model.embed_dim, 4
    batch = {
        "present": jax.ShapeDtypeStruct((B, 4), bool),
        "steps": jax.ShapeDtypeStruct((B,), int),
        "embeddings": jax.ShapeDtypeStruct((B, 4, T, E), float),
        "signals": jax.ShapeDtypeStruct((B, C, T * 640), float),
        "modality": jax.ShapeDtypeStruct((B, C), int),
        "patches": jax.ShapeDtypeStruct((B,), int),
        "demographics": jax.ShapeDtypeStruct((B, 2), float),
    }
    outputs = nnx.eval_shape(lambda batch: made.forward(build(), batch), batch)
    assert outputs.shape == ((B, T, 5) if task == "staging" else (B, 1065))
    if (task, variant) in PUBLISHED:
        params = nnx.state(nnx.eval_shape(build), nnx.Param)
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
        name, untrained = PUBLISHED[task, variant]
        shapes = json.loads((golden.DATA / "state_dict_keys.json").read_text())[name]
        assert count == sum(math.prod(s) for k, s in shapes.items() if not k.startswith(untrained))


@pytest.mark.parametrize("module", [staging, diagnosis])
def test_an_unknown_variant_is_named(module: Any) -> None:
    with pytest.raises(ValueError, match="no variant 'huge': choose from base"):
        module.get_config("huge")


def test_base_is_the_published_training() -> None:
    """Spec §3."""
    for module, task, batch in ((staging, "staging", 16), (diagnosis, "diagnosis", 32)):
        settings = read(KINDS[task], values(module.get_config("base")))
        rule = settings.optimizer
        assert (rule.name, rule.learning_rate, rule.weight_decay) == ("adamw", 1e-3, 0.01)
        assert (rule.decay_all, rule.schedule, rule.decay_rate) == (True, "plateau", 0.1)
        assert rule.patience == 10
        assert settings.batches.batch_size == batch
    assert staging.get_config().weights == (1, 4, 2, 4, 3)
