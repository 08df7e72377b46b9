"""Tells a later run which nights are done: of the same file, models and settings."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import sources
from sleepfm_jax.jobs.sources import Source
from sleepfm_jax.version import __version__

MADE_WITH = "made_with"  # the key of a night's JSON under which it stands


class MadeWith:
    """What the nights of a run are made with, and of which nights that stands there already.

    Args:
        folder: where the nights' JSON files stand.
        ending: of the JSON files, after the night's name.
        settings: models and settings that all nights share, as text.
        overwrite: no night counts as done.
        more: what else decides a night's numbers, as text; None: nothing.
    """

    def __init__(
        self,
        folder: Path,
        ending: str,
        settings: Mapping[str, str],
        overwrite: bool,
        more: Callable[[Source], Mapping[str, str]] | None = None,
    ) -> None:
        self._folder = folder
        self._ending = ending
        self._settings = {**settings, "made_by": f"sleepfm-jax {__version__}"}
        self._overwrite = overwrite
        self._more = more

    def has(self, source: Source) -> bool:
        """Whether the night is done, of this very file and with these settings.

        Raises:
            InputError: it is that of another file of the same name.
        """
        path = self._folder / f"{source.name}{self._ending}"
        found = _read(path)
        if self._overwrite or not found:
            return False
        if found.get("source_place") != sources.place(source.path):
            raise InputError(
                f"{path} was made from another file named {source.path.name}: use a different "
                f"--output for {source.path}, or replace it with --overwrite"
            )
        return found == self.of(source)

    def of(self, source: Source) -> dict[str, str]:
        """What a night is made with; it tells no folder and no date."""
        return {
            **self._settings,
            **(self._more(source) if self._more else {}),
            "source_state": sources.state(source.path),
            "source_place": sources.place(source.path),
        }


def _read(path: Path) -> dict[str, str]:
    """What a night's JSON says; {} where it is not there or damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))[MADE_WITH])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
