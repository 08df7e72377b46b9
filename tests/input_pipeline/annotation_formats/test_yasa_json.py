"""YASA's JSON hypnograms."""

import json
from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from tests.input_pipeline.annotation_formats.label_files import seconds

NIGHT = {"values": ["WAKE", "N3", "ART", "UNS", "REM"], "n_stages": 5, "freq": "30s", "start": None}


@pytest.mark.parametrize(("freq", "length"), [("30s", 30), ("1min", 60), ("min", 60), ("5S", 5)])
def test_epochs_of_any_length(tmp_path: Path, freq: str, length: int) -> None:
    path = tmp_path / "night.json"
    path.write_text(json.dumps({**NIGHT, "freq": freq}))
    times = {0: 1, 3: 1, -1: 2, 4: 1}
    found = seconds(annotations.read_hypnogram(path))
    assert found == {stage: length * count for stage, count in times.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"freq": "1h"}, "is no YASA hypnogram .*1h"),
        ({"n_stages": 4}, "has 4 stages, which cannot become five"),
        ({"n_stages": None}, "is no YASA hypnogram"),
        ({"values": ["N5"]}, "holds the stage 'N5'"),
        ({"values": [0]}, "holds the stage '0'"),
        ({"values": 3}, "is no YASA hypnogram"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = tmp_path / "night.json"
    path.write_text(json.dumps({**NIGHT, **changes}))
    with pytest.raises(InputError, match=rf"night\.json {words}"):
        annotations.read(path)
    path.write_text(json.dumps(NIGHT)[:-5])
    with pytest.raises(InputError, match=r"night\.json is no YASA hypnogram"):
        annotations.read(path)
