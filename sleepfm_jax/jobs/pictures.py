"""Writes pictures: complete or absent, in one style."""

from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draws and writes a picture.

    Args:
        draw: makes the figure.
        path: of the PNG.

    Raises:
        InputError: there is no room, or the folder cannot be written.
    """
    style = rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    try:
        with style, replacing(path) as temporary:
            draw().savefig(temporary, format="png", dpi=120)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): free some space or choose another "
            "--output"
        ) from error
