"""What embedding has in common for every model: nights read ahead, done ones told and skipped."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sleepfm_jax.errors import InputError
from sleepfm_jax.jobs import runner, sources
from sleepfm_jax.jobs.read_ahead import ReadAhead
from sleepfm_jax.jobs.sources import Source

Task = TypeVar("Task", bound=Source)
Night = TypeVar("Night")


class Target:
    """Where embeddings go, and whether those of a night are there already.

    Args:
        folder: of the run.
        path_of: a night's file, by the night's name.
        attributes: what a night's files tell of themselves, by its name; None where they are not
            there or cannot be read.
        made_with: model and settings that all nights share.
        overwrite: no night counts as done.
        more: what else decides a night's numbers, as text; None: nothing.
    """

    def __init__(
        self,
        folder: Path,
        path_of: Callable[[str], Path],
        attributes: Callable[[str], Mapping[str, str | float] | None],
        made_with: Mapping[str, str],
        overwrite: bool,
        more: Callable[[Source], Mapping[str, str]] | None = None,
    ) -> None:
        self.folder = folder
        self._path_of = path_of
        self._attributes = attributes
        self._made_with = made_with
        self._overwrite = overwrite
        self._more = more

    def has(self, source: Source) -> bool:
        """Whether the night's embeddings stand there, of this file, model and settings.

        Raises:
            InputError: they are of another file of the same name.
        """
        found = self._attributes(source.name)
        if self._overwrite or found is None:
            return False
        if found.get("source_place") != sources.place(source.path):
            raise InputError(
                f"{self._path_of(source.name)} was made from another file named "
                f"{source.path.name}: use a different --output for {source.path}, or replace it "
                "with --overwrite"
            )
        return all(found.get(key) == value for key, value in self.made_with(source).items())

    def made_with(self, source: Source) -> dict[str, str]:
        """What a night's files keep, so that a later run knows whether they are up to date."""
        return {
            **self._made_with,
            **(self._more(source) if self._more else {}),
            "source_state": sources.state(source.path),
            "source_place": sources.place(source.path),
        }


def run(
    tasks: Sequence[Task],
    target: Target,
    read: Callable[[Task], Night | str],
    embed: Callable[[Task, Night], None],
    workers: int,
    name: Callable[[Task], str] = lambda task: str(task.path),
) -> runner.Summary:
    """Embeds all nights that are not done, one after the other, the coming ones read ahead.

    Args:
        tasks: nights, hashable.
        target: where they go.
        read: reads a night, in a thread; or tells why there is nothing to do for it.
        embed: embeds a night and writes it.
        workers: nights that are read at a time.
        name: of a night, for people.
    """

    def load(task: Task) -> Night | str:
        task.refuse_rival()
        return "done before" if target.has(task) else read(task)

    with ReadAhead(tasks, load, workers) as ahead:

        def embed_night(task: Task) -> str | None:
            night = ahead.take(task)
            if isinstance(night, str):
                return night
            embed(task, night)
            return None

        return runner.run(embed_night, tasks, target.folder, name=name)
