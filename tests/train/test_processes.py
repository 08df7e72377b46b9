"""Which processes join: those of a Slurm step, those that are told, or none."""

import os
from typing import Any

import jax
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.train import lost_process, processes
from sleepfm_jax.train.settings import ProcessSettings

STEP = {"SLURM_NTASKS": "8", "SLURM_PROCID": "3", "SLURM_STEP_NODELIST": "node[1-2]"}


@pytest.mark.parametrize(
    ("settings", "environment", "asked"),
    [
        (ProcessSettings(), {}, None),
        (ProcessSettings(), STEP | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        (ProcessSettings(), {"SLURM_NTASKS": "8"}, None),  # in an allocation, not in a step
        (ProcessSettings(), {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script
        (ProcessSettings(), STEP, {}),
        (ProcessSettings(count=1), STEP, None),
        (
            ProcessSettings(2, 1, "node:1234", timeout=7),
            STEP,
            {"coordinator_address": "node:1234", "num_processes": 2, "process_id": 1},
        ),
    ],
)
def test_processes_are_found_out_from_slurm_or_told(
    settings: ProcessSettings,
    environment: dict[str, str],
    asked: dict[str, Any] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **given: calls.append(given))
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    prepared: list[bool] = []
    monkeypatch.setattr(lost_process, "speak_when_aborted", lambda: prepared.append(True))
    processes.join(settings)
    assert len(prepared) == len(calls)
    if asked is None:
        assert calls == []
    else:
        (call,) = calls
        assert call["heartbeat_timeout_seconds"] == settings.timeout
        explicit = ("coordinator_address", "num_processes", "process_id")
        assert {name: call[name] for name in explicit if name in call} == asked


def test_processes_that_do_not_meet_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(**_: object) -> None:
        raise RuntimeError("DEADLINE_EXCEEDED")

    monkeypatch.setattr(jax.distributed, "initialize", alone)
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    with pytest.raises(InputError, match=r"the 2 processes .* did not find each other .*node:1234"):
        processes.join(ProcessSettings(2, 0, "node:1234"))


@pytest.mark.parametrize("settings", [ProcessSettings(2, 0), ProcessSettings(2, 2, "node:1")])
def test_settings_that_do_not_fit_are_one_sentence(settings: ProcessSettings) -> None:
    with pytest.raises(InputError, match=r"--config\.processes\.coordinator=HOST:PORT"):
        processes.join(settings)
