"""A folder of embedded nights with stages and outcomes that their embeddings tell."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm_jax.configs import diagnosis, staging
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.annotations import STAGES
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings

E, NIGHTS, HELD_OUT, PHECODES = 16, 24, 8, ("401.1", "250.2", "327.3")


def write(folder: Path) -> Path:
    """embeddings/, stages/ and tables/ of nights of 5 to 10 minutes."""
    draw = np.random.default_rng(0)
    names = [f"night{number:02}" for number in range(NIGHTS)]
    centres = draw.standard_normal((5, E))
    risk = draw.standard_normal(NIGHTS)
    (folder / "stages").mkdir(parents=True)
    for name, trait in zip(names, risk, strict=True):
        epochs = int(draw.integers(10, 21))
        stages = draw.integers(0, 5, epochs)
        rows = np.repeat(centres[stages], 6, axis=0) + 0.3 * draw.standard_normal((epochs * 6, E))
        rows[:, 0] = trait
        present = ("BAS", "RESP", "EKG", "EMG") if trait > -1 else ("BAS", "EMG")
        night = NightEmbeddings(
            name=name,
            pooled={m: np.zeros((1, E), np.float32) for m in present},
            sequence={m: rows.astype(np.float32) for m in present},
            labels=dict.fromkeys(present, ()),
            left_out=(),
            provenance={},
        )
        embeddings.write(folder / "embeddings", night)
        with (folder / "stages" / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("Start", "Stop", "StageName", "StageNumber"))
            table.writerows((30 * n, 30 * n + 30, STAGES[s], s) for n, s in enumerate(stages))
    _write_tables(folder / "tables", names, risk, draw)
    splits = {"train": names[: NIGHTS - HELD_OUT], "validation": names[NIGHTS - HELD_OUT :]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def _write_tables(folder: Path, names: list[str], risk: np.ndarray, draw: Any) -> None:
    folder.mkdir()
    days = np.ceil(draw.exponential(1000 * np.exp(-risk[:, None]), (NIGHTS, len(PHECODES))))
    event = days < 2000
    rows = {
        "is_event": event.astype(int),
        "time_to_event": np.minimum(days, 2000).astype(int),
    }
    for name, values in rows.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("Study ID", *PHECODES))
            table.writerows((n, *row) for n, row in zip(names, values.tolist(), strict=True))
    with (folder / "demographics.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("Study ID", "age", "gender"))
        table.writerows((name, 40 + n, n % 2) for n, name in enumerate(names))


def staging_config(folder: Path, **changed: Any) -> dict[str, Any]:
    """A small stager on these nights."""
    config = staging.tiny()
    config.model.num_heads = 2
    return _small(config, folder, "stages", changed)


def diagnosis_config(folder: Path, **changed: Any) -> dict[str, Any]:
    """A small model of risk on these nights."""
    config = diagnosis.base()
    config.model.num_layers = 1
    return _small(config, folder, "tables", changed)


def _small(config: Any, folder: Path, labels: str, changed: dict[str, Any]) -> dict[str, Any]:
    config.model.embed_dim = E
    config.model.pooling_heads = 2
    config.model.feed_forward = 32
    config.batches.batch_size = 8
    config.batches.crop = 0
    config.epochs = 4
    config.loop.log_every = 1
    config.mesh.data = -1
    config.data.embeddings = str(folder / "embeddings")
    config.data.labels = str(folder / labels)
    config.data.splits = str(folder / "splits.json")
    config.update_from_flattened_dict(changed)
    values = config.to_dict()
    del values["task"]
    return values
