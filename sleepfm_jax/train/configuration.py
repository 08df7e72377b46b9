"""From a nested mapping to frozen dataclasses, once; unknown keys and wrong types fail."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from sleepfm_jax.errors import InputError

T = TypeVar("T")


def read(kind: type[T], config: Mapping[str, Any], name: str = "config") -> T:
    """A dataclass with the values of a nested mapping; what the mapping leaves out has defaults.

    Args:
        kind: a dataclass of numbers, texts, truth values and further dataclasses.
        config: such as an `ml_collections.ConfigDict`.
        name: of the mapping, for people.

    Raises:
        InputError: a key is unknown, a value has the wrong type or makes no sense.
    """
    if not hasattr(config, "items"):  # a ConfigDict is no Mapping
        raise InputError(f"--{name} is {config!r}: give values by name, --{name}.NAME=VALUE")
    types = typing.get_type_hints(kind)
    unknown = sorted(set(config) - set(types))
    if unknown:
        raise InputError(
            f"--{name}.{unknown[0]} is unknown: choose from {', '.join(sorted(types))}"
        )
    values = {key: _value(types[key], config[key], f"{name}.{key}") for key in config}
    try:
        return kind(**values)
    except ValueError as error:  # of models, which know no files and so no InputError
        raise InputError(f"--{name}: {error}") from error


def _value(kind: type, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return read(kind, value, name)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(kind) is tuple:
        return _numbers(typing.get_args(kind)[0], value, name)
    if type(value) is not kind:
        raise InputError(f"--{name} is {value!r}: give {kind.__name__}")
    return value


def _numbers(kind: type, value: Any, name: str) -> tuple[Any, ...]:
    """Sequences of numbers, the one kind that settings have."""
    known = (int,) if kind is int else (int, float)
    if not isinstance(value, tuple | list) or not all(type(x) in known for x in value):
        example = "(1, 2)" if kind is int else "(1.0, 4.0)"
        raise InputError(f"--{name} is {value!r}: give numbers such as {example}")
    return tuple(map(kind, value))
