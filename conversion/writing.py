"""Files that an export leaves: complete or absent, and never in the place of another by accident.

Writing the same again changes nothing, so that a command can be repeated.
"""

from pathlib import Path

from sleepfm_jax.atomic import replacing
from sleepfm_jax.errors import InputError


def write_new(path: str | Path, content: bytes, overwrite: bool = False) -> None:
    """Writes a file.

    Args:
        path: where; its folder is made.
        content: what.
        overwrite: whether a file of other content that stands there is replaced.

    Raises:
        InputError: another file stands there, or it cannot be written.
    """
    path = Path(path)
    try:
        if path.exists() and not overwrite:
            if path.read_bytes() != content:
                raise InputError(
                    f"{path}: stands there already with other content, nothing was changed; "
                    "choose another place, or add --overwrite"
                )
            return
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose "
            "another place"
        ) from error
