"""Published checkpoint files: read without running them, checked entry by entry, and written.

A checkpoint is a pickle; only tensors and plain values are let in (`weights_only`), so a hostile
file is refused instead of executed (spec §4, §6).
"""

import dataclasses
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conversion.writing import write_new
from sleepfm_jax.errors import InputError
from sleepfm_jax.models.effnet import EffNetConfig

PREFIX = "module."  # what DataParallel puts before every key
COUNTER = "num_batches_tracked"
TOWERS = tuple(EffNetConfig().channels)  # of the ICML 2024 system, each with a state dict

# Losses are often stored as NumPy scalars, under NumPy 1's or 2's name; all plain values.
_SCALAR: Any = np.float64(0).__reduce__()[0]
NUMPY_SCALARS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")),
]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint in memory.

    Attributes:
        state_dict: arrays by key, without the `module.` prefix.
        temperature: of the contrastive loss, a scalar; None in a bare state dict.
        training: epoch, losses and what else is a plain number or text, for provenance.
        prefix: `module.` if the file's keys carry it, else nothing.
        towers: whose state dicts the file holds one by one; the keys of each begin with its name.
            Empty if the file holds one network.
    """

    state_dict: dict[str, np.ndarray]
    temperature: np.ndarray | None
    training: dict[str, Any]
    prefix: str = ""
    towers: tuple[str, ...] = ()


def read(path: str | Path) -> Checkpoint:
    """Reads a base checkpoint, a bare state dict or three towers, with or without `module.`.

    Raises:
        InputError: the file is missing, damaged, or holds anything but finite float32 or float64
            tensors, counters and plain values.
    """
    content = _load(Path(path))
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: holds a {type(content).__name__}, not a checkpoint; give the file with the "
            "state dict"
        )
    towers = () if "state_dict" in content else _towers(path, content)
    rest = content if "state_dict" in content or towers else {}
    entries = _joined(content) if towers else content.get("state_dict", content)
    if not isinstance(entries, dict) or not entries:
        raise InputError(f"{path}: its state dict is empty; give another checkpoint")
    _check(path, entries)
    begins = [*(f"{name}.{PREFIX}" for name in towers)] or [PREFIX]
    prefix = PREFIX if all(key.startswith(tuple(begins)) for key in entries) else ""
    return Checkpoint(
        {key.replace(prefix, "", 1): value.detach().numpy() for key, value in entries.items()},
        _temperature(path, rest.get("temperature")),
        {key: _plain(value) for key, value in rest.items() if _is_training(key, value)},
        prefix,
        towers,
    )


def _towers(path: str | Path, content: Mapping[Any, Any]) -> tuple[str, ...]:
    """The towers whose state dicts a file holds: all three or none."""
    held = [name for name in TOWERS if isinstance(content.get(f"{name}_state_dict"), dict)]
    lacking = [f"{name}_state_dict" for name in TOWERS if name not in held]
    if held and lacking:
        raise InputError(f"{path}: lacks {' and '.join(lacking)}; give a checkpoint of all towers")
    return tuple(held)


def _joined(content: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        f"{name}.{key}": value
        for name in TOWERS
        for key, value in content[f"{name}_state_dict"].items()
    }


def _load(path: Path) -> Any:
    _check_beginning(path)
    try:
        _check_sums(path)
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # torch raises whatever its parts raise on damaged bytes
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        if foreign:
            raise InputError(
                f"{path}: is refused because it holds {foreign[1]}, more than tensors and plain "
                "values, and unpickling that could run code; save it again with its state dict "
                "alone"
            ) from error
        raise InputError(
            f"{path}: cannot be read as a PyTorch checkpoint, it is truncated, damaged or "
            "something else; download it again, or save it again with torch.save's defaults"
        ) from error


def _check_beginning(path: Path) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(24)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); give the path of a checkpoint"
        ) from error
    if beginning == b"version https://git-lfs.":
        raise InputError(
            f"{path}: is only Git LFS's pointer to the file; run `git lfs pull` in its folder"
        )


def _check_sums(path: Path) -> None:
    """PyTorch itself reads past flipped bits; the archive knows better."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise InputError(
                f"{path}: {damaged} in it does not match its checksum, the file is damaged; "
                "download it again"
            )


def _check(path: str | Path, entries: Mapping[Any, Any]) -> None:
    """Refuses entries that are no tensors, of another type or not finite, naming them."""
    for is_wrong, fault, way_out in CHECKS:
        wrong = [str(key) for key, value in entries.items() if is_wrong(key, value)]
        if wrong:
            raise InputError(f"{path}: {fault} in {', '.join(wrong)}; {way_out}")


def _is_no_tensor(key: Any, value: Any) -> bool:
    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        return True
    strided = value.layout is torch.strided and not value.is_quantized and not value.is_meta
    # A view can pretend to any size; what is stored cannot.
    return not strided or value.untyped_storage().nbytes() < value.nbytes


def _is_of_other_type(key: str, value: torch.Tensor) -> bool:
    kinds = (torch.int64,) if key.endswith(COUNTER) else (torch.float32, torch.float64)
    return value.dtype not in kinds


def _is_not_finite(_: str, value: torch.Tensor) -> bool:
    return not bool(torch.isfinite(value).all())


CHECKS: tuple[tuple[Callable[[Any, Any], bool], str, str], ...] = (
    (
        _is_no_tensor,
        "holds something else than a tensor",
        "give a checkpoint of the published layout",
    ),
    (
        _is_of_other_type,
        "holds numbers other than float32 or float64 (int64 for counters)",
        "save it again with `.float()` tensors",
    ),
    (
        _is_not_finite,
        "holds NaN or infinity, with which every embedding would be NaN,",
        "give a checkpoint from before training diverged",
    ),
)


def _temperature(path: str | Path, value: Any) -> np.ndarray | None:
    if value is None:
        return None
    if isinstance(value, int | float | np.generic):
        value = torch.tensor(float(value), dtype=torch.float64)
    if any(is_wrong("temperature", value) for is_wrong, _, _ in CHECKS) or value.numel() != 1:
        raise InputError(f"{path}: its temperature is no single number; give another checkpoint")
    return value.detach().reshape(()).numpy()


def _is_training(key: Any, value: Any) -> bool:
    plain = _plain(value)
    return isinstance(key, str) and key != "temperature" and isinstance(plain, int | float | str)


def _plain(value: Any) -> Any:
    """A scalar of PyTorch or NumPy as Python's number; anything else as it is."""
    is_scalar = isinstance(value, torch.Tensor | np.generic) and value.ndim == 0
    return value.item() if is_scalar else value


def write(path: str | Path, checkpoint: Checkpoint, overwrite: bool = False) -> None:
    """Writes a checkpoint in the published layout; a temperature makes it a base checkpoint.

    Args:
        path: of the file.
        checkpoint: what to write.
        overwrite: whether another file that stands there is replaced.

    Raises:
        InputError: another file stands there, or it cannot be written.
    """
    beside: dict[str, Any] = dict(checkpoint.training)
    if checkpoint.temperature is not None:
        temperature = torch.from_numpy(np.array(checkpoint.temperature))
        beside = {"temperature": temperature, **beside}
    content: dict[str, Any] = _tensors(checkpoint, "")
    if checkpoint.towers:
        dicts = {f"{name}_state_dict": _tensors(checkpoint, name + ".") for name in TOWERS}
        content = {**dicts, **beside}
    elif beside:
        content = {"state_dict": content, **beside}
    file = io.BytesIO()
    torch.save(content, file)
    write_new(path, file.getvalue(), overwrite)


def _tensors(checkpoint: Checkpoint, begin: str) -> dict[str, torch.Tensor]:
    """Those entries whose keys begin so, under the rest of their keys."""
    return {
        checkpoint.prefix + key.removeprefix(begin): torch.from_numpy(np.array(value))
        for key, value in checkpoint.state_dict.items()
        if key.startswith(begin)
    }
