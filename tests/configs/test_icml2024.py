"""The variants of the ICML 2024 system: read, named, and the published values where they are."""

import dataclasses
from typing import Any

import pytest

from sleepfm_jax.configs import icml2024
from sleepfm_jax.train.clip_settings import StageTower, Towers
from sleepfm_jax.train.configuration import read

KINDS: dict[str, type[Towers] | type[StageTower]] = {"towers": Towers, "stage_tower": StageTower}


def chosen(variant: str) -> Any:
    values = icml2024.get_config(variant).to_dict()
    return read(KINDS[values.pop("task")], values)


@pytest.mark.parametrize("variant", icml2024.VARIANTS)
def test_a_variants_docstring_holds_its_command(variant: str) -> None:
    text = " ".join((icml2024.VARIANTS[variant].__doc__ or "").split())
    command = "finetune" if isinstance(chosen(variant), StageTower) else "pretrain"
    path = f"sleepfm_jax/configs/icml2024.py:{variant}"
    assert f"sleepfm-jax {command} --config={path} --workdir=runs/" in text
    assert "--config.data.path=clips" in text
    assert "Memory per device" in text
    assert "Expected: " in text


@pytest.mark.parametrize("variant", icml2024.VARIANTS)
def test_a_variant_gives_every_value_its_name(variant: str) -> None:
    """What a variant leaves out could not be set by a flag."""

    def names(tree: Any, name: str = "") -> set[str]:
        if not hasattr(tree, "items"):
            return {name}
        return {found for key, value in tree.items() for found in names(value, f"{name}.{key}")}

    known = names(dataclasses.asdict(chosen(variant)))
    given = names(icml2024.get_config(variant).to_dict()) - {".task"}
    assert known - given == {".batches.seed"}
    assert given <= known


@pytest.mark.parametrize(("variant", "kind"), [("base", Towers), ("supervised", StageTower)])
def test_base_and_supervised_are_the_published_training(variant: str, kind: type[Any]) -> None:
    settings = chosen(variant)
    assert settings == read(
        kind,
        {
            "batches": {"skip_damaged": True, "batch_size": 32},
            "loop": {"validate_every": 0, "checkpoint_every": 0},
        },
    )
    optimizer = settings.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.momentum) == ("sgd", 1e-3, 0.9)
    assert (optimizer.schedule, optimizer.decay_epochs) == ("step", 5)
    assert settings.epochs == 20


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match=r"no variant 'huge': choose from base, "):
        icml2024.get_config("huge")
