"""A clone of the published repository (spec §4): all of it that can be used here.

Each part is taken by itself: what is missing or unusable is told, and the others go on.
"""

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

from conversion import config_json, parity, samples
from conversion.foundation import import_files
from conversion.samples import Sample
from conversion.writing import write_new
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.montage import read_channel_groups
from sleepfm_jax.saved_model import SavedModel

BASE = Path("sleepfm/checkpoints/model_base")
HEADS = (
    Path("sleepfm/checkpoints/model_sleep_staging"),
    Path("sleepfm/checkpoints/model_diagnosis"),
)
CHANNEL_GROUPS = Path("sleepfm/configs/channel_groups.json")
LABEL_MAPPING = Path("sleepfm/configs/label_mapping.csv")
DEMO_NIGHT = Path("notebooks/demo_data/demo_psg.edf")
FAILED = "FAILED"
LABEL_COLUMNS = {"label_idx", "phecode", "phenotype"}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one part of a clone.

    Attributes:
        part: its path within the clone.
        state: "converted", "copied", "compared", "not used", "not found", "not yet"
            or `FAILED`.
        remark: what was made of it, or why nothing was.
    """

    part: Path
    state: str
    remark: str

    def __str__(self) -> str:
        return f"{self.state:<11}{self.part.as_posix():<42}{self.remark}".rstrip()


class Release:
    """A clone on its way into a folder of models.

    Args:
        clone: the folder that holds `sleepfm` and `notebooks`.
        output: folder for `base`, `channel_groups.json` and `label_mapping.csv`.
        windows: of noise, and of the demo night, on which JAX and PyTorch are compared.
        seed: of the noise.
        dtype: in which they are compared, "float32" or "float64".

    Raises:
        InputError: the folder holds nothing of a release.
    """

    def __init__(self, clone: Path, output: Path, windows: int, seed: int, dtype: str) -> None:
        self._clone = clone
        self._output = output
        self._windows = windows
        self._seed = seed
        self._dtype = dtype
        self._model: SavedModel | None = None
        self._steps: dict[Path, Callable[[Path], tuple[str, str]]] = {
            BASE: self._convert_base,
            DEMO_NIGHT: self._compare_on_night,
            CHANNEL_GROUPS: self._copy_channel_groups,
            LABEL_MAPPING: self._copy_label_mapping,
            **dict.fromkeys(HEADS, _leave_head),
        }
        if not any((clone / part).exists() for part in self._steps):
            raise InputError(
                f"{clone}: is no clone of the published repository, it lacks {BASE} and all else; "
                "give the folder that holds sleepfm and notebooks"
            )

    def take(self) -> list[Outcome]:
        """Converts, copies and compares what is there; prints the comparisons.

        Returns:
            what became of each part. That one is missing is no failure.
        """
        return [self._outcome(part, step) for part, step in self._steps.items()]

    def _outcome(self, part: Path, step: Callable[[Path], tuple[str, str]]) -> Outcome:
        if not (self._clone / part).exists():
            return Outcome(part, "not found", "")
        try:
            return Outcome(part, *step(self._clone / part))
        except InputError as error:
            return Outcome(part, FAILED, str(error))

    def _convert_base(self, folder: Path) -> tuple[str, str]:
        saved_model.save(
            self._output / "base", import_files(folder / "best.pt", folder / "config.json")
        )
        self._model = saved_model.load(self._output / "base")
        return "converted", self._compare(self._model, samples.noise(self._windows, self._seed))

    def _compare_on_night(self, path: Path) -> tuple[str, str]:
        if self._model is None:
            return "not used", "there is no base model to embed it with"
        return "compared", self._compare(self._model, samples.of_night(path, self._windows))

    def _compare(self, model: SavedModel, sample: Sample) -> str:
        if not parity.report(model, sample, self._dtype):
            raise InputError(
                f"JAX and PyTorch differ on {sample.name} by more than rounding, as the table "
                "above shows; please report it"
            )
        return f"equal to PyTorch on {sample.name}"

    def _copy_channel_groups(self, path: Path) -> tuple[str, str]:
        groups = read_channel_groups(path)
        self._copy(path)
        return "copied", ", ".join(f"{m.name} {len(labels)}" for m, labels in groups.items())

    def _copy_label_mapping(self, path: Path) -> tuple[str, str]:
        rows = _read_label_mapping(path)
        self._copy(path)
        return "copied", f"{rows} phecodes"

    def _copy(self, path: Path) -> None:
        write_new(self._output / path.name, path.read_bytes())


def _leave_head(folder: Path) -> tuple[str, str]:
    name = config_json.read_settings(folder / "config.json").get("model", "a model without a name")
    return "not yet", f"{name}: this version converts the base model only"


def _read_label_mapping(path: Path) -> int:
    """The number of phecodes in a label map; each must have an output of its own."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from error
    if not rows or not set(rows[0]) >= LABEL_COLUMNS:
        raise InputError(
            f"{path}: has no rows of {', '.join(sorted(LABEL_COLUMNS))}; download it again"
        )
    outputs = [row["label_idx"] for row in rows]
    odd = [text for text in outputs if not text or not text.isdecimal() or outputs.count(text) > 1]
    if odd:
        raise InputError(
            f"{path}: label_idx {odd[0]!r} is no whole number or stands there twice; download it "
            "again"
        )
    return len(rows)
