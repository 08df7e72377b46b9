"""Kill -9 at random moments of a pretraining run; then every number is as if nothing had been.

A small run on simulated nights is done once undisturbed. The same command is then killed again and
again: between steps, while a checkpoint is being written, while the program starts. What it leaves
in the end is compared bit by bit: logged numbers (but those of the clock), the last checkpoint with
parameters, optimiser, batch statistics, random streams and the data's position, and the model.

    python benchmarks/kill_and_resume.py [--kills 20] [--seed 0] [--steps 60]

prints a row a kill and the verdict; exit status 1 if a bit differs. Some 5 minutes on 2 cores.
"""

import argparse
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEP, SAVE, START = "between steps", "during a save", "at the start"
PATIENCE = 300  # seconds that one phase of a run may take
SMALL = (
    *("model.embed_dim=16", "model.num_heads=2", "model.num_layers=1", "model.pooling_heads=2"),
    *("model.feed_forward=32", "model.dropout=0.1", "batches.batch_size=4", "batches.slots=4"),
    *("batches.channel_dropout=0.3", "batches.amplitude_jitter=0.1", "optimizer.warmup_steps=2"),
    *("loop.log_every=1", "loop.validate_every=5", "loop.validation_windows=8"),
    "loop.checkpoint_every=3",
)


@dataclasses.dataclass(frozen=True)
class Kill:
    """When to kill.

    Attributes:
        kind: between steps, during a save or at the start.
        step: that must have been logged before.
        delay: seconds to wait then, or after the start.
    """

    kind: str
    step: int = 0
    delay: float = 0.0


class Run:
    """A `sleepfm-jax pretrain` in a work directory, in its own process, as often as it takes.

    Args:
        workdir: of the run.
        store: of windows.
        programs: folder in which compiled programs are kept, so that a restart takes seconds.
        values: of the configuration, `loop.log_every=1`.
        module: whose `main` is the command.
    """

    def __init__(
        self,
        workdir: Path,
        store: Path,
        programs: Path,
        values: Sequence[str],
        module: str = "sleepfm_jax.main",
    ) -> None:
        self.workdir = workdir
        self.metrics = workdir / "metrics.jsonl"
        config = f"--config={ROOT}/sleepfm_jax/configs/pretrain.py:tiny"
        given = [f"--config.{value}" for value in (*SMALL, *values, f"data.path={store}")]
        self._command = [sys.executable, "-m", module, "pretrain", config, *given]
        self._command.append(f"--workdir={workdir}")
        self._environment = {
            **os.environ,
            "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
            "JAX_COMPILATION_CACHE_DIR": str(programs),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "PYTHONFAULTHANDLER": "1",  # a run that stands still tells where, see `stacks`
            "PYTHONUNBUFFERED": "1",
        }

    def to_the_end(self) -> str:
        """Lets the run finish; returns what it said."""
        process, said = self._start()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"the run did not end: {stacks(process, said)}") from error
        text = said.read_text()
        if process.returncode:
            raise RuntimeError(f"the run ended with {process.returncode}: {text[-2000:]}")
        return text

    def killed(self, kill: Kill) -> dict[str, Any]:
        """Starts the run and kills it.

        Returns:
            What the process went on from, the last step it logged, its last whole checkpoint, and
            whether one was left unfinished.
        """
        before = self._identity()
        process, said = self._start()
        moment = self._moment(kill, before)
        until = time.monotonic() + PATIENCE
        while not next(moment) and process.poll() is None:
            if time.monotonic() > until:
                raise RuntimeError(f"{kill} did not come: {stacks(process, said)}")
            time.sleep(0.001)
        ended = process.poll()
        process.kill()
        process.wait()
        if ended:
            raise RuntimeError(f"the run ended with {ended}: {said.read_text()[-2000:]}")
        gone_on = re.search(r"going on from step (\d+)", said.read_text())
        return {
            "from": int(gone_on[1]) if gone_on else 0,
            "logged": self._logged(),
            "saved": max(self._saved(), default=0),
            "unfinished": bool(self._unfinished()),
            "killed": ended is None,
        }

    def _start(self) -> tuple[subprocess.Popen[bytes], Path]:
        said = self.workdir.with_suffix(".log")
        with said.open("wb") as file:
            return subprocess.Popen(
                self._command, stdout=file, stderr=subprocess.STDOUT, env=self._environment,
                cwd=ROOT,
            ), said  # fmt: skip

    def _moment(self, kill: Kill, before: int | None) -> Iterator[bool]:
        """False until the moment has come."""
        if kill.kind != START:
            while self._identity() == before:  # the file of the process before
                yield False
            while self._logged() < kill.step:
                yield False
        until = time.monotonic() + kill.delay
        while time.monotonic() < until:
            yield False
        while kill.kind == SAVE and not self._unfinished():
            yield False
        yield True

    def _identity(self) -> int | None:
        return self.metrics.stat().st_ino if self.metrics.exists() else None

    def _logged(self) -> int:
        lines = self.metrics.read_bytes().split(b"\n")[:-1] if self.metrics.exists() else []
        return json.loads(lines[-1])["step"] if lines else 0

    def _saved(self) -> list[int]:
        return [int(name) for name in self._checkpoints() if name.isdigit()]

    def _unfinished(self) -> list[str]:
        return [name for name in self._checkpoints() if "orbax-checkpoint-tmp" in name]

    def _checkpoints(self) -> list[str]:
        folder = self.workdir / "checkpoints"
        return [entry.name for entry in folder.iterdir()] if folder.exists() else []


def stacks(process: subprocess.Popen[bytes], said: Path) -> str:
    """Ends a run that stands still; what it said, and where each of its threads was."""
    process.send_signal(signal.SIGABRT)
    process.wait()
    return said.read_text()


def differences(one: Path, other: Path) -> list[str]:
    """What two finished runs do not have in common, but for the clock; empty where all is equal."""
    found = []
    lines, others = _numbers(one), _numbers(other)
    if [line["step"] for line in lines] != [line["step"] for line in others]:
        found.append("metrics: other steps")
    found += [
        f"metrics of step {a['step']}: {name} is {a.get(name)} and {b.get(name)}"
        for a, b in zip(lines, others, strict=False)
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]
    record, other_record = _last_record(one), _last_record(other)
    for part in ("step", "position"):
        if record[part] != other_record[part]:
            found.append(f"{part} is {record[part]} and {other_record[part]}")
    hashes, other_hashes = record["hashes"], other_record["hashes"]
    found += [
        f"array {name}"
        for name in sorted({*hashes, *other_hashes})
        if hashes.get(name) != other_hashes.get(name)
    ]
    if _model(one) != _model(other):
        found.append("the model")
    return found


def _numbers(workdir: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [{n: v for n, v in line.items() if not n.startswith("speed/")} for line in lines]


def _last_record(workdir: Path) -> dict[str, Any]:
    """Of the last checkpoint: a hash of every bit of every array, and the data's position."""
    folder = workdir / "checkpoints"
    last = max(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
    return json.loads((folder / str(last) / "record" / "record.json").read_text())["content"]


def _model(workdir: Path) -> tuple[str, int]:
    description = json.loads((workdir / "model" / "config.json").read_text())
    return description["sha256"], description["provenance"]["step"]


def draw(kills: int, steps: int, seed: int) -> list[Kill]:
    """Moments in the order of the steps they wait for, mostly between steps."""
    chance = random.Random(seed)
    at = sorted(chance.randrange(1, steps - 5) for _ in range(kills))
    kinds = chance.choices([STEP, SAVE, START], [5, 3, 2], k=kills)
    return [
        Kill(kind, 0, chance.uniform(0, 12)) if kind == START
        else Kill(kind, step, chance.uniform(0, 1) if kind == STEP else 0)
        for kind, step in zip(kinds, at, strict=True)
    ]  # fmt: skip


def make_store(folder: Path) -> Path:
    """Simulated nights of half an hour, packed."""
    program = [sys.executable, "-m", "sleepfm_jax.main"]
    nights = ["--nights", "10", "--hours", "0.5", "--output", str(folder / "nights")]
    packed = ["--output", str(folder / "store"), "--fractions", "0.6,0.4,0"]
    for command in (["simulate", *nights], ["pack", *packed, str(folder / "nights" / "edf")]):
        subprocess.run([*program, *command], check=True, capture_output=True, cwd=ROOT)
    return folder / "store"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill_and_resume") as name:
        folder = Path(name)
        store = make_store(folder)
        fixed = store, folder / "programs", [f"steps={flags.steps}", "freeze_batch_norm_at=40"]
        undisturbed = Run(folder / "undisturbed", *fixed)
        undisturbed.to_the_end()
        run = Run(folder / "killed", *fixed)
        done = 0
        print(f"{flags.steps} steps, seed {flags.seed}")
        print(
            "kill  when             after step  goes on from  logged  saved  save left unfinished"
        )
        for number, kill in enumerate(draw(flags.kills, flags.steps, flags.seed), 1):
            seen = run.killed(kill)
            done += seen["killed"]
            print(
                f"{number:>4}  {kill.kind:<15}  {kill.step:>10}  {seen['from']:>12}  "
                f"{seen['logged']:>6}  {seen['saved']:>5}  {'yes' if seen['unfinished'] else ''}",
                flush=True,
            )
        run.to_the_end()
        odd = differences(undisturbed.workdir, run.workdir)
    print(f"{done} times killed; " + ("\n".join(["not equal:", *odd]) if odd else "bit-equal"))
    return bool(odd) or done < flags.kills


if __name__ == "__main__":
    sys.exit(main())
