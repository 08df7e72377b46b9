"""Metrics are written where they are asked for; a resumed run's file is an uninterrupted one's."""

import json
import resource
import struct
import sys
import types
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event, SessionLog

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import loggers, metrics_file
from sleepfm_jax.train.loggers import Console, Loggers, open_loggers
from sleepfm_jax.train.metrics_file import MetricsFile


def value(step: int) -> dict[str, Any]:
    return {"train/loss": np.float32(1 / (step + 1)), "train/accuracy": jnp.asarray(step / 7)}


def run(path: Path, after: int, until: int) -> None:
    file = MetricsFile(path, after)
    for step in range(after + 1, until + 1):
        file.write(step, value(step))
    file.close()


@settings(deadline=None, max_examples=30)
@given(reached=st.integers(0, 12), cut=st.integers(0, 60), saved=st.integers(0, 12))
def test_a_resumed_file_is_that_of_an_uninterrupted_run(
    tmp_path_factory: pytest.TempPathFactory, reached: int, cut: int, saved: int
) -> None:
    """Killed after some step, in the middle of a line, and resumed from an earlier step."""
    folder = tmp_path_factory.mktemp("run")
    run(folder / "whole.jsonl", 0, 14)
    resumed = folder / "resumed.jsonl"
    run(resumed, 0, reached)
    saved = min(saved, reached)
    line = json.dumps({"step": reached + 1, "train/loss": 0.123456789}) + "\n"
    with resumed.open("a") as file:
        file.write(line[:cut])
    run(resumed, saved, 14)
    assert resumed.read_bytes() == (folder / "whole.jsonl").read_bytes()
    assert [entry.name for entry in sorted(folder.iterdir())] == ["resumed.jsonl", "whole.jsonl"]


def test_lines_are_there_at_once_and_exact(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.write(3, value(3) | {"nan": np.nan, "infinite": np.inf})
    text = (tmp_path / "metrics.jsonl").read_text()
    file.close()
    line = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert line["step"] == 3
    assert np.float32(line["train/loss"]) == value(3)["train/loss"]
    assert line["nan"] is None
    assert line["infinite"] is None
    assert metrics_file.read(tmp_path / "metrics.jsonl") == [line]


def test_damaged_lines_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "a": 1.0}\n\xff\x00\n[1]\n{"a": 2}\n{"step": 2, "a": 3.0}\n{"st')
    assert [line["step"] for line in metrics_file.read(path)] == [1, 2]
    assert "3 damaged lines are left out" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b'{"step": 1'])
def test_a_file_without_metrics_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "metrics.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"metrics.jsonl: .*; give the metrics.jsonl of a run"):
        metrics_file.read(path)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    log = open_loggers(tmp_path, say=None)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(InputError, match=r"metrics.jsonl: cannot be written .*free some space"):
            log.write(1, value(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.close()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        open_loggers(tmp_path / "file" / "run")


def events(folder: Path) -> list[Event]:
    """All events of all files, in order of time."""
    found = []
    for path in folder.iterdir():
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return sorted(found, key=lambda event: event.wall_time)


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """What TensorBoard shows: a start hides what earlier files hold from its step on."""
    shown: dict[tuple[str, int], float] = {}
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            shown = {key: v for key, v in shown.items() if key[1] < event.step}
        for item in event.summary.value:
            shown[item.tag, event.step] = item.simple_value
    return shown


def test_tensorboard_shows_an_uninterrupted_run(tmp_path: Path) -> None:
    shown = []
    for after, until in ((0, 5), (3, 3), (3, 6)):  # within one second: files must not meet
        with open_loggers(tmp_path, after, say=None) as log:
            for step in range(after + 1, until + 1):
                log.write(step, {"train/loss": 100 * until + step})
        shown.append({step: v for (_, step), v in scalars(tmp_path / "tensorboard").items()})
    assert shown == [
        {1: 501, 2: 502, 3: 503, 4: 504, 5: 505},
        {1: 501, 2: 502, 3: 503},
        {1: 501, 2: 502, 3: 503, 4: 604, 5: 605, 6: 606},
    ]


def test_the_console_says_the_main_metrics() -> None:
    said: list[str] = []
    Loggers([Console(said.append)]).write(
        7, {"train/loss": jnp.asarray(1.23456), "train/loss/EKG-others/row": 9, "rate": 12}
    )
    assert said == ["step 7  train/loss 1.235  rate 12"]


def test_other_processes_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "is_first", lambda: False)
    with open_loggers(tmp_path / "run", wandb_project="sleep") as log:
        log.write(1, value(1))
    assert not (tmp_path / "run").exists()


def test_all_are_closed_even_if_one_fails() -> None:
    closed = []

    class Failing:
        def __init__(self, name: str) -> None:
            self.name = name

        def write(self, step: int, metrics: Any) -> None:
            raise NotImplementedError

        def close(self) -> None:
            closed.append(self.name)
            raise InputError(self.name)

    log = Loggers([Failing("a"), Failing("b")])
    with pytest.raises(InputError):
        log.close()
    assert sorted(closed) == ["a", "b"]


def test_weights_and_biases_is_missed_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    open_loggers(tmp_path, say=None).close()
    with pytest.raises(InputError, match="run `pip install wandb`, or leave it out"):
        open_loggers(tmp_path, wandb_project="sleep", say=None)


def test_weights_and_biases_goes_on_with_the_run_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in with the calls of wandb 0.31; an offline run was made by hand."""
    calls: list[Any] = []

    class Run:
        id = "abc123"

        def log(self, metrics: dict[str, float], step: int) -> None:
            calls.append((step, metrics))

        def finish(self) -> None:
            calls.append("finished")

    def init(**settings: Any) -> Run:
        calls.append(settings)
        return Run()

    stand_in = types.SimpleNamespace(init=init, Error=RuntimeError)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    for after in (0, 1):
        with open_loggers(tmp_path, after, wandb_project="sleep", config={"a": 1}, say=None) as log:
            log.write(after + 1, {"train/loss": 2})
    opened = {"project": "sleep", "dir": str(tmp_path), "resume": "allow", "config": {"a": 1}}
    assert calls == [
        {**opened, "id": None},
        (1, {"train/loss": 2.0}),
        "finished",
        {**opened, "id": "abc123"},
        (2, {"train/loss": 2.0}),
        "finished",
    ]
