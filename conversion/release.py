"""A clone of the published repository (spec §4): all of it that can be used here.

Each part is taken by itself: what is missing or unusable is told, and the others go on.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

from conversion import parity, samples
from conversion.models import import_files
from conversion.samples import HeadSample, Sample
from conversion.writing import write_new
from sleepfm_jax import saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.label_mapping import read_label_mapping
from sleepfm_jax.input_pipeline.montage import read_channel_groups
from sleepfm_jax.models.kinds import kind_of
from sleepfm_jax.saved_model import ROLES, Outcomes, SavedModel

BASE = Path("sleepfm/checkpoints/model_base")
STAGING = Path("sleepfm/checkpoints/model_sleep_staging")
DIAGNOSIS = Path("sleepfm/checkpoints/model_diagnosis")
CHANNEL_GROUPS = Path("sleepfm/configs/channel_groups.json")
LABEL_MAPPING = Path("sleepfm/configs/label_mapping.csv")
TOWERS = Path("sleepfm/checkpoint/best.pt")  # of the ICML 2024 system, in a repository of its own
DEMO_NIGHT = Path("notebooks/demo_data/demo_psg.edf")
FAILED = "FAILED"
Step = Callable[[Path], tuple[str, str]]  # from a part to its state and remark


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one part of a clone.

    Attributes:
        part: its path within the clone.
        state: "converted", "copied", "compared", "not used", "not found" or `FAILED`.
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
        output: folder for `base`, `staging`, `diagnosis`, `channel_groups.json` and
            `label_mapping.csv`, or for `towers`.
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
        systems: tuple[dict[Path, Step], ...] = (self._parts(), {TOWERS: self._convert_towers})
        self._steps: dict[Path, Step] = {}
        for parts in systems:
            if any((clone / part).exists() for part in parts):
                self._steps |= parts
        if not self._steps:
            raise InputError(
                f"{clone}: is no clone of the published repository, it lacks {BASE} and all else; "
                "give the folder that holds sleepfm and notebooks"
            )

    def _parts(self) -> dict[Path, Step]:
        """Of the foundation model and its heads."""
        return {
            BASE: self._convert_base,
            DEMO_NIGHT: self._compare_on_night,
            CHANNEL_GROUPS: self._copy_channel_groups,
            LABEL_MAPPING: self._copy_label_mapping,
            STAGING: functools.partial(self._convert_head, "staging"),
            DIAGNOSIS: functools.partial(self._convert_head, "diagnosis"),
        }

    def take(self) -> list[Outcome]:
        """Converts, copies and compares what is there; prints the comparisons.

        Returns:
            what became of each part. That one is missing is no failure.
        """
        return [self._outcome(part, step) for part, step in self._steps.items()]

    def _outcome(self, part: Path, step: Step) -> Outcome:
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

    def _convert_head(self, role: str, folder: Path) -> tuple[str, str]:
        model = import_files(folder / "best.pth", folder / "config.json")
        if kind_of(model.config) not in ROLES[role]:
            raise InputError(
                f"{folder / 'config.json'}: is of kind {kind_of(model.config)}, not a {role} "
                "model; give the published folder"
            )
        labels = self._clone / LABEL_MAPPING
        if role == "diagnosis" and labels.exists():
            model = with_labels(model, labels)
        saved_model.save(self._output / role, model)
        model = saved_model.load(self._output / role)
        return "converted", self._compare(model, samples.noise_for_head(model.config, self._seed))

    def _convert_towers(self, checkpoint: Path) -> tuple[str, str]:
        model = import_files(checkpoint)
        if kind_of(model.config) not in ROLES["towers"]:
            raise InputError(
                f"{checkpoint}: holds one tower and not the three of the published system; import "
                "it by itself with --checkpoint"
            )
        saved_model.save(self._output / "towers", model)
        model = saved_model.load(self._output / "towers")
        return "converted", self._compare(model, samples.noise_for_head(model.config, self._seed))

    def _compare_on_night(self, path: Path) -> tuple[str, str]:
        if self._model is None:
            return "not used", "there is no base model to embed it with"
        return "compared", self._compare(self._model, samples.of_night(path, self._windows))

    def _compare(self, model: SavedModel, sample: Sample | HeadSample) -> str:
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
        labels = read_label_mapping(path)
        self._copy(path)
        return "copied", f"{len(labels)} phecodes"

    def _copy(self, path: Path) -> None:
        write_new(self._output / path.name, path.read_bytes())


def with_labels(model: SavedModel, path: Path) -> SavedModel:
    """A model of disease risk that knows what its outputs are of.

    Ages and sexes are taken as derivatives of the published code encode them
    (`demographics.Encoding`).

    Args:
        model: imported.
        path: a label map, `label_idx, phecode, phenotype`.

    Raises:
        InputError: the map cannot be read, or is of another number of labels.
    """
    labels = read_label_mapping(path)
    outputs = getattr(model.config, "labels", 0)
    if len(labels) != outputs:
        raise InputError(
            f"{path}: names {len(labels)} labels, the model has {outputs}; give the map that came "
            "with the checkpoint"
        )
    return dataclasses.replace(model, outcomes=Outcomes(labels))
