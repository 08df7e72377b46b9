"""Simulated records of the challenge: as the real one is made, read by everything that reads it."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import wfdb

from sleepfm_jax.input_pipeline import annotations, source_files
from sleepfm_jax.input_pipeline.simulate import SimulatedNight, simulate_night, write_night
from sleepfm_jax.input_pipeline.simulation.cinc2018 import scored_part
from sleepfm_jax.input_pipeline.simulation.cinc2018_labels import target_arousals
from sleepfm_jax.input_pipeline.simulation.events import CENTRAL, Episodes, NightEvents
from sleepfm_jax.input_pipeline.simulation.streams import stream
from tests.input_pipeline.annotation_formats.label_files import real

NAME, EPOCHS = "sim3-0002", 60


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    return simulate_night(seed=3, night=2, hours=0.5, form="cinc2018")


@pytest.fixture(scope="module")
def folder(night: SimulatedNight, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_night(night, folder)
    return folder / "cinc2018"


def test_the_header_is_the_real_ones(folder: Path) -> None:
    """All but the record's name and length, first samples and sums."""

    def told(path: Path) -> list[list[str]]:
        first, *lines = (line.split() for line in path.read_text().splitlines())
        names = [[word.replace(path.stem, "NAME") for word in line] for line in lines]
        return [first[1:3], *([*n[:5], *n[7:]] for n in names)]

    assert told(folder / f"{NAME}.hea") == told(real("annotations/cinc2018/tr03-0005.hea"))


def test_the_labels_are_laid_out_as_the_real_ones(folder: Path) -> None:
    def layout(path: Path) -> dict[str, object]:
        found: dict[str, object] = {}

        def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
            entry: list[object] = [type(item)]
            for key, value in sorted(item.attrs.items()):
                words = [b"".join(word).decode() for word in value] if "fields" in key else value
                entry.append((key, item.attrs.get_id(key).dtype, words))
            if isinstance(item, h5py.Dataset):
                longest = max(item.shape)
                orientation = [side == longest for side in item.shape]
                packing = item.chunks, item.compression, item.compression_opts, item.shuffle
                entry += [item.dtype, len(item.shape), orientation, *packing]
            found[name] = entry

        with h5py.File(path) as file:
            assert file.userblock_size == 512
            file.visititems(note)
        head = path.read_bytes()[:512]
        return {**found, "head": (head[:49], head[116:])}

    expected = layout(real("annotations/cinc2018/tr03-0005-arousal.mat"))
    made = layout(folder / f"{NAME}-arousal.mat")
    assert made == {name: entry for name, entry in expected.items() if "#refs#" not in name}


def test_wfdb_and_matlab_read_the_signals(night: SimulatedNight, folder: Path) -> None:
    record = wfdb.rdrecord(str(folder / NAME))
    stored = scipy.io.loadmat(folder / f"{NAME}.mat")["val"]
    assert stored.dtype == np.int16
    assert stored.shape == (13, EPOCHS * 30 * 200)
    assert record.comments == []
    for index, channel in enumerate(night.channels):
        made = np.clip(night.body.record(channel), *channel.limits)
        factor = {"ABD": 1000, "CHEST": 1000, "AIRFLOW": 1000}.get(channel.label, 1)  # mV to uV
        step = 1 / record.adc_gain[index]
        assert np.abs(record.p_signal[:, index] - factor * made).max() <= 0.501 * step
        assert stored[index].std() > 2, channel.label
        assert stored[index].min() > -32768, "which would mean that nothing was measured"


def test_the_pipeline_reads_a_record_and_finds_its_labels(folder: Path) -> None:
    path = folder / f"{NAME}.hea"
    with source_files.open_recording(path) as recording:
        assert recording.duration == EPOCHS * 30
        sums = [recording.read(signal).sum() for signal in recording.signals]  # checks checksums
    assert np.isfinite(sums).all()
    assert annotations.find(folder, NAME) == folder / f"{NAME}-arousal.mat"


def test_stages_are_told_in_the_scored_part_alone(night: SimulatedNight, folder: Path) -> None:
    first, stop = night.scored
    assert 0 < first < stop <= EPOCHS
    found = annotations.read_hypnogram(folder / f"{NAME}-arousal.mat")
    expected = np.full(EPOCHS, -1)
    expected[first:stop] = night.stages[first:stop]
    steps = found.steps(EPOCHS * 6).reshape(EPOCHS, 6)
    np.testing.assert_array_equal(steps[:, 2], expected)
    with h5py.File(folder / f"{NAME}-arousal.mat") as file:
        undefined = file["data/sleep_stages/undefined"][0]
        total = sum(row[()].astype(int) for row in file["data/sleep_stages"].values())
    assert (total == 1).all()
    edges = np.flatnonzero(np.diff(undefined)) + 1
    assert edges.tolist() == [6000 * first - 1, 6000 * stop - 1]


def test_scored_parts_of_short_and_long_nights() -> None:
    drawn = [scored_part(stream(1, n, "scored part"), 960) for n in range(50)]
    assert {first for first, _ in drawn} == set(range(2, 13))
    assert {960 - stop for _, stop in drawn} == {0, 1, 2}
    for epochs in (1, 2, 10, 20, 60):
        for n in range(20):
            first, stop = scored_part(stream(1, n, "scored part"), epochs)
            assert stop - first >= 0.85 * epochs


def test_arousals_are_marked_by_the_rule_of_the_real_record() -> None:
    """The real events, by the rule, give the real marks."""
    record = "annotations/cinc2018/tr03-0005"
    events = annotations.read(real(f"{record}.arousal")).events
    none = Episodes.of([])
    found = NightEvents(
        apneas=Episodes.of(
            [(e.start, e.duration, CENTRAL) for e in events if e.text.startswith("resp")]
        ),
        arousals=Episodes.of(
            [(e.start, e.duration, 1.0) for e in events if e.text.startswith("arousal")]
        ),
        limb_movements=none,
        body_movements=none,
    )
    with h5py.File(real(f"{record}-arousal.mat")) as file:
        wake, expected = file["data/sleep_stages/wake"][0], file["data/arousals"][:, 0]
    made = target_arousals(wake, found)
    np.testing.assert_array_equal(np.flatnonzero(made != expected), [])


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_night(simulate_night(3, 2, 0.5, form="cinc2018"), tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{NAME}-arousal.mat", f"{NAME}.hea", f"{NAME}.mat"]
    for name in names:
        assert (tmp_path / "cinc2018" / name).read_bytes() == (folder / name).read_bytes()


def test_the_sleeper_is_the_same_in_both_formats(night: SimulatedNight) -> None:
    other = simulate_night(3, 2, 0.5)
    assert other.subject == night.subject
    np.testing.assert_array_equal(other.stages, night.stages)
    assert other.scored == (0, EPOCHS)
