"""Files of embeddings of any model: what is known of one without its rows, and what is refused."""

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path

import h5py

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.modality import Modality

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)  # as h5py tells it


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known of a file of embeddings without reading its rows.

    Attributes:
        path: of the file.
        rows: how many.
        width: E.
        model: digest of the weights; empty where the file does not tell.
        step: seconds from one row to the next.
        subject: whose night it is; None: not told.
        split: that the night is in; None: not told.
    """

    path: Path
    rows: int
    width: int
    model: str
    step: float
    subject: str | None = None
    split: str | None = None


def describe(path: str | os.PathLike[str], step: float) -> Description:
    """What a file holds, without reading its rows.

    Args:
        path: ours or in the published layout.
        step: seconds from row to row where the file does not tell, as published ones.

    Raises:
        InputError: the file is damaged or holds no embeddings, or modalities of different size.
    """
    try:
        with h5py.File(path, "r") as file:
            shapes = {file[m.name].shape for m in Modality if m.name in file}
            told = float(file.attrs.get("step", step))
            model = str(file.attrs.get("model_sha256", ""))
    except (*DAMAGE, AttributeError) as error:  # a group has no shape
        raise InputError(f"{path} cannot be read ({error}): embed the night again") from error
    if len(shapes) != 1 or len(size := shapes.pop()) != 2 or 0 in size:
        raise no_embeddings(Path(path))
    rows, width = size
    return Description(Path(path), rows, width, model, told)


def refuse_mixture(first: Description, other: Description) -> None:
    """Nights of two models have nothing in common, even where their width is the same.

    Args:
        first: a night.
        other: another one.

    Raises:
        InputError: they are not of one model.
    """
    if first.width != other.width:
        raise InputError(
            f"{other.path} holds embeddings of width {other.width}, {first.path} of width "
            f"{first.width}: embed all nights with one model"
        )
    if first.model != other.model:
        raise InputError(
            f"{other.path} and {first.path} were embedded by different models: embed all nights "
            "with one model"
        )


def refuse_no_numbers(path: str | os.PathLike[str], modalities: Collection[str]) -> None:
    """Raises an InputError if there are modalities that hold values that are no numbers."""
    if modalities:
        raise InputError(
            f"{path} holds values that are no numbers in {', '.join(modalities)}: embed the night "
            "again"
        )


def no_embeddings(path: Path) -> InputError:
    """The error where a file holds something else."""
    return InputError(
        f"{path} holds no embeddings, or modalities of different size: embed the night again"
    )
