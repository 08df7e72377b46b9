"""Times the preprocessing of one night: ours against the plain way, in turn.

The night is 8 hours of 18 channels, as sleep laboratories record them: 6 EEG, 2 EOG, chin, 2 legs
and ECG at 256 Hz; nasal pressure, thermistor, thorax and abdomen at 32 Hz; SpO2 and pulse at 1 Hz.
The plain way is MNE with everything preloaded, `filtfilt`, `np.interp`, z-score, and gzip HDF5
with one dataset a channel. Both write the same samples; that is checked.

Each run is a process of its own. Times are those of the work, imports done; memory is the largest
resident memory of all of a run's processes together, imports included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import psutil

EEG = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"]
LABELS = {  # by rate
    256: [*EEG, "E1-M2", "E2-M2", "Chin1-Chin2", "LLEG", "RLEG", "ECG"],
    32: ["Nasal Pressure", "Thermistor", "Thorax", "Abdomen"],
    1: ["SpO2", "Pulse"],
}


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def write_night(path: Path, hours: float) -> None:
    """Writes noise that falls with frequency, as EEG does; breaths; slow steps of a percent."""
    import edfio
    from scipy.signal import lfilter

    random = np.random.default_rng(0)
    signals = []
    for rate, labels in LABELS.items():
        for label in labels:
            noise = random.standard_normal(round(hours * 3600 * rate))
            if rate == 1:
                samples = np.round(np.clip(95 + lfilter([0.1], [1, -0.995], noise), 60, 100))
            else:
                samples = 10 * lfilter([1.0], [1, -0.95], noise)
            if rate == 32:
                samples += 100 * np.sin(2 * np.pi * 0.25 * np.arange(len(samples)) / rate)
            signals.append(edfio.EdfSignal(samples, rate, label=label, physical_range=(-500, 500)))
    edfio.Edf(signals).write(path)


def ours(night: Path, output: Path) -> float:
    """Preprocesses as `sleepfm-jax preprocess` does; returns the seconds it took."""
    from sleepfm_jax.jobs.preprocess import preprocess

    start = time.perf_counter()
    summary = preprocess([night], output)
    assert summary.done == 1
    return time.perf_counter() - start


def plain(night: Path, output: Path) -> float:
    """Preprocesses as one would write it down; returns the seconds it took."""
    import mne
    import scipy.signal

    mne.io.read_raw_edf  # noqa: B018 (MNE imports when first asked)
    start = time.perf_counter()
    raw = mne.io.read_raw_edf(night, preload=True, verbose="error")
    data = raw.get_data()  # (C, samples)
    duration = data.shape[1] / raw.info["sfreq"]
    low_pass = scipy.signal.butter(4, 64, fs=raw.info["sfreq"])
    old = np.linspace(0, duration, data.shape[1], endpoint=False)
    new = np.linspace(0, duration, int(duration * 128), endpoint=False)
    output.mkdir(exist_ok=True)
    with h5py.File(output / f"{night.stem}.hdf5", "w") as file:
        for label, samples in zip(raw.ch_names, data, strict=True):
            samples = np.interp(new, old, scipy.signal.filtfilt(*low_pass, samples))
            samples = ((samples - samples.mean()) / samples.std()).astype(np.float16)
            file.create_dataset(label, data=samples, chunks=(300 * 128,), compression="gzip")
    return time.perf_counter() - start


def run(side: str, night: Path, output: Path) -> Run:
    """Runs one side in a process of its own and watches its memory."""
    (output / f"{night.stem}.hdf5").unlink(missing_ok=True)
    command = [sys.executable, __file__, "--side", side, str(night), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        watched = psutil.Process(child.pid)
        peak = 0
        while child.poll() is None:
            peak = max(peak, resident(watched))
            time.sleep(0.01)
        assert child.stdout is not None
        result = json.load(child.stdout)
    return Run(result["seconds"], result["cpu_seconds"], peak)


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total


def largest_difference(one: Path, other: Path) -> int:
    """How many float16 numbers lie between any two samples of two recordings, at most."""
    with h5py.File(one) as ours_file, h5py.File(other) as plain_file:
        assert set(ours_file) == set(plain_file)
        apart = 0
        for label in ours_file:
            ranks = [
                file[label][:].view(np.int16).astype(np.int32) for file in (ours_file, plain_file)
            ]
            ranks = [np.where(rank < 0, -(rank & 0x7FFF), rank) for rank in ranks]
            apart = max(apart, int(np.abs(ranks[0] - ranks[1]).max()))
    return apart


def main() -> None:
    """Prints what both sides take, run by run and in the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=8.0, help="of the night (default: 8)")
    parser.add_argument("--runs", type=int, default=7, help="of each side (default: 7)")
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.side:
        side, night, output = flags.side
        before = time.process_time()
        seconds = {"ours": ours, "plain": plain}[side](Path(night), Path(output))
        used = time.process_time() - before
        print(json.dumps({"seconds": seconds, "cpu_seconds": used}))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), flags.hours, flags.runs)


def compare(folder: Path, hours: float, runs: int) -> None:
    """Runs both sides in turn, after one run of each to warm up."""
    night = folder / "night.edf"
    write_night(night, hours)
    print(f"{hours:g} h, 18 channels, {night.stat().st_size / 1e6:.0f} MB; {os.cpu_count()} cores")
    sides = ("plain", "ours")
    for side in sides:
        run(side, night, folder / side)
    apart = largest_difference(folder / "ours" / "night.hdf5", folder / "plain" / "night.hdf5")
    print(f"samples are at most {apart} float16 steps apart")
    results: dict[str, list[Run]] = {side: [] for side in sides}
    for number in range(runs):
        for side in sides:
            results[side].append(run(side, night, folder / side))
        print(
            f"run {number + 1}: "
            + ", ".join(f"{side} {results[side][-1].seconds:.2f} s" for side in sides)
        )
    print(f"{'':8}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}{'file MB':>10}")
    medians = {}
    for side in sides:
        medians[side] = statistics.median(one.seconds for one in results[side])
        cpu = statistics.median(one.cpu_seconds for one in results[side])
        peak = max(one.peak_bytes for one in results[side]) / 1e6
        size = (folder / side / "night.hdf5").stat().st_size / 1e6
        print(f"{side:8}{medians[side]:10.2f}{cpu:10.2f}{peak:10.0f}{size:10.1f}")
    print(f"ours is {medians['plain'] / medians['ours']:.2f} times as fast")


if __name__ == "__main__":
    main()
