"""Damaged files are read rightly or refused with one sentence, never anything else."""

import gzip
import itertools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf
from tests.input_pipeline import edf_files
from tests.input_pipeline.edf_files import put, set_fixed, set_signal, set_times


def refusal(path: Path) -> str:
    """The sentence with which a file is refused: its name, the fault, the way out."""
    with pytest.raises(InputError) as caught:
        edf.open_recording(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    fault, way_out = sentence.removeprefix(str(path)).rsplit(": ", 1)
    assert fault
    assert re.match("(copy|export|download|give|check|unpack|convert) ", way_out)
    assert "\n" not in sentence
    return fault.strip()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return edf_files.write(tmp_path / "night.edf")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("zero_bytes_bids_placeholder.edf", "is empty (0 bytes)"),
        ("zero-data-records.edf", "holds no data records"),
        ("invalid-date.edf", "holds no data records"),
    ],
)
def test_files_without_data_are_refused(edge: Path, name: str, fault: str) -> None:
    assert refusal(edge / name) == fault


def test_every_unusual_file_is_read_or_refused(edge: Path) -> None:
    refused = set()
    for path in sorted(edge.iterdir()):
        try:
            read_all(path)
        except InputError:
            refused.add(path.name)
    assert refused == {
        "zero_bytes_bids_placeholder.edf",
        "zero-data-records.edf",
        "invalid-date.edf",
    }


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: os.truncate(f, 100), "ends within its header"),
    (lambda f: os.truncate(f, 700), "ends within its header"),
    (lambda f: os.truncate(f, 1024), "is truncated (0 of 12 data records are complete)"),
    (lambda f: os.truncate(f, 3900), "is truncated (11 of 12 data records are complete)"),
    (lambda f: put(f, 4000, b"\0" * 10), "is 10 bytes longer than its header says"),
    (lambda f: put(f, 4000, b"\0" * 248), "is 248 bytes longer than its header says"),
    (lambda f: set_fixed(f, "records", "11"), "is 248 bytes longer than its header says"),
    (lambda f: set_fixed(f, "records", "0"), "is 2976 bytes longer than its header says"),
    (lambda f: set_fixed(f, "records", "-2"), "has '-2' as its number of records"),
    (lambda f: set_fixed(f, "records", "many"), "has 'many' as its number of records"),
    (lambda f: set_fixed(f, "records", "12.5"), "has '12.5' as its number of records"),
    (lambda f: set_fixed(f, "record duration", "-1"), "says that a record lasts -1 s"),
    (lambda f: set_fixed(f, "record duration", "0"), "says that a record lasts 0 s"),
    (lambda f: set_fixed(f, "record duration", "nan"), "has 'nan' as its duration of a record"),
    (lambda f: set_fixed(f, "record duration", "1e40"), "has '1e40' as its duration of a record"),
    (lambda f: set_fixed(f, "record duration", "9999999"), "each of its 12 records lasts"),
    (lambda f: set_fixed(f, "record duration", "1e-9"), "100 samples were taken in 1e-09 s"),
    (lambda f: set_fixed(f, "record duration", "2"), "has data records that overlap"),
    (lambda f: set_fixed(f, "signals", "0"), "has '0' as its number of signals"),
    (lambda f: set_fixed(f, "signals", ""), "has '' as its number of signals"),
    (lambda f: set_fixed(f, "signals", "4"), "has a damaged header"),
    (lambda f: set_fixed(f, "header bytes", "1x24"), "has '1x24' as its header length"),
    (lambda f: set_fixed(f, "version", "1"), "does not begin as an EDF or BDF file"),
    (
        lambda f: set_signal(f, 0, "samples per record", "x"),
        "has 'x' as its samples per record of 'C3-M2'",
    ),
    (
        lambda f: set_signal(f, 1, "samples per record", "-10"),
        "has '-10' as its samples per record of 'Airflow'",
    ),
    (
        lambda f: set_signal(f, 0, "physical minimum", "low"),
        "has 'low' as its physical minimum of 'C3-M2'",
    ),
    (
        lambda f: set_signal(f, 0, "physical maximum", "1e999"),
        "has '1e999' as its physical maximum of 'C3-M2'",
    ),
    (
        lambda f: set_signal(f, 1, "digital minimum", "1.5"),
        "has '1.5' as its digital minimum of 'Airflow'",
    ),
    (
        lambda f: [set_signal(f, i, "samples per record", "0") for i in range(3)],
        "describes only signals without samples",
    ),
    (lambda f: set_times(f, [f"+{12 - i}" for i in range(12)]), "has data records that overlap"),
    (lambda f: set_times(f, ["+0"] * 12), "has data records that overlap"),
    (lambda f: set_times(f, [f"+{i / 2}" for i in range(12)]), "has data records that overlap"),
    (
        lambda f: set_times(f, [*[f"+{i}" for i in range(11)], "+99999999"]),
        "has a data record 1e+08 s after the first",
    ),
    (
        lambda f: (set_fixed(f, "reserved", "EDF+D"), set_times(f, ["+0", "", "+2"] + [""] * 9)),
        "says it has gaps but 10 of its 12 data records do not tell their time",
    ),
    (
        lambda f: (set_fixed(f, "reserved", "EDF+D"), set_signal(f, 2, "label", "Notes")),
        "says it has gaps but has no annotation channel",
    ),
]


@pytest.mark.parametrize(("damage", "fault"), DAMAGES, ids=[fault for _, fault in DAMAGES])
def test_damage_is_named(night: Path, damage: Callable[[Path], object], fault: str) -> None:
    damage(night)
    assert fault in refusal(night)


def test_unwritten_record_count_is_taken_from_the_size(night: Path) -> None:
    before = read_all(night)
    set_fixed(night, "records", "-1")
    np.testing.assert_array_equal(read_all(night)[0], before[0])
    os.truncate(night, 3900)
    assert "was not closed by its recorder and ends within a record (11 are" in refusal(night)


def test_impossible_dates_cost_nothing(night: Path) -> None:
    before = read_all(night)
    set_fixed(night, "date", "99.99.99")
    set_fixed(night, "time", b"\xff\xfe\0\0abcd")
    set_fixed(night, "recording", "Startdate 31-FEB-2003 X X X")
    set_fixed(night, "patient", b"\xe9\xff" * 40)
    np.testing.assert_array_equal(read_all(night)[0], before[0])


def test_signal_without_samples_is_left_out(night: Path) -> None:
    content = night.read_bytes()
    without = b"".join(
        content[1024 + 248 * i : 1224 + 248 * i] + content[1244 + 248 * i : 1272 + 248 * i]
        for i in range(12)
    )
    night.write_bytes(content[:1024] + without)
    set_signal(night, 1, "samples per record", "0")
    with edf.open_recording(night) as recording:
        assert [signal.label for signal in recording.signals] == ["C3-M2"]
        assert recording.annotations() == [(1.0, 0.0, "N2"), (3.5, 1.25, "Arousal é")]


def test_annotations_alone_need_no_record_duration(tmp_path: Path) -> None:
    notes = b"+0\x14\x14\0+30\x1560\x14Sleep stage W\x14\0".ljust(60, b"\0")
    fields = [("EDF Annotations", 16), ("", 80), ("", 8), ("-1", 8), ("1", 8), ("-32768", 8)]
    fields += [("32767", 8), ("", 80), ("30", 8), ("", 32)]
    fixed = b"0".ljust(184) + b"512".ljust(8) + b"EDF+C".ljust(44) + b"1".ljust(8) + b"0".ljust(8)
    path = tmp_path / "hypnogram.edf"
    path.write_bytes(
        fixed + b"1".ljust(4) + b"".join(text.encode().ljust(n) for text, n in fields) + notes
    )
    with edf.open_recording(path) as recording:
        assert recording.signals == ()
        assert recording.duration == 0.0
        assert recording.annotations() == [(30.0, 60.0, "Sleep stage W")]


def test_other_files_are_named_for_what_they_are(tmp_path: Path, night: Path) -> None:
    text = tmp_path / "notes.edf"
    text.write_text("Start,Stop,StageName\n" * 100)
    assert "does not begin as an EDF or BDF file" in refusal(text)
    packed = tmp_path / "night.edf.gz"
    packed.write_bytes(gzip.compress(night.read_bytes()))
    assert "gzip" in refusal(packed)
    with h5py.File(tmp_path / "night.hdf5", "w") as file:
        file["C3"] = np.zeros(128)
    assert "HDF5" in refusal(tmp_path / "night.hdf5")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert "is not a file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "absent.edf")
    assert "Not a directory" in refusal(edf_files.write(tmp_path / "a.edf") / "b.edf")
    os.mkfifo(tmp_path / "pipe.edf")
    assert "is not a file" in refusal(tmp_path / "pipe.edf")


def test_unreadable_file(night: Path) -> None:
    night.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # permissions do not bind root
    try:
        assert "Permission denied" in refusal(night)
    finally:
        os.seteuid(user)


def test_file_cut_while_it_is_read(night: Path) -> None:
    with edf.open_recording(night) as recording:
        os.truncate(night, 2000)
        with pytest.raises(InputError, match=r"became shorter while it was read: run this again"):
            recording.read(recording.signals[0])


def test_disk_error_while_reading(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with edf.open_recording(night) as recording:
        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(InputError, match=r"cannot be read \(Input/output error\)"):
            recording.read(recording.signals[0])


def test_refusing_leaves_no_file_open(night: Path) -> None:
    os.truncate(night, 3900)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(20):
        refusal(night)
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after <= before


HEADER_BYTES = 1024
NUMBERS = [*range(184, 192), *range(236, 256), *range(256 + 3 * 104, 256 + 3 * 136)]
NUMBERS += range(256 + 3 * 216, 256 + 3 * 224)
SAID_BUT_NOT_READ = [*range(8, 184), *range(256 + 3 * 16, 256 + 3 * 96)]
SAID_BUT_NOT_READ += [*range(256 + 3 * 136, 256 + 3 * 216), *range(256 + 3 * 224, HEADER_BYTES)]


def flips(positions: list[int], values: Iterable[int]) -> st.SearchStrategy:
    pairs = st.tuples(st.sampled_from(positions), st.sampled_from(list(values)))
    return st.lists(pairs, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night with a gap of 20 s after its fifth record."""
    path = edf_files.write(tmp_path_factory.mktemp("original") / "night.edf")
    set_times(path, [f"+{i + 20 * (i > 4)}" for i in range(12)])
    return set_fixed(path, "reserved", "EDF+D")


@settings(max_examples=500, deadline=None)
@given(flips=flips(list(range(HEADER_BYTES)), range(256)))
def test_any_bytes_in_the_header(original: Path, flips: list[tuple[int, int]]) -> None:
    read_or_refuse(damaged(original, flips))


@settings(max_examples=500, deadline=None)
@given(flips=flips(NUMBERS, b" +-.,0123456789eE\0"))
def test_plausible_characters_in_the_numbers(original: Path, flips: list[tuple[int, int]]) -> None:
    read_or_refuse(damaged(original, flips))


@settings(max_examples=200, deadline=None)
@given(
    flips=flips([HEADER_BYTES + 248 * r + 220 + i for r in range(12) for i in range(6)], range(256))
)
def test_any_bytes_in_the_annotations(original: Path, flips: list[tuple[int, int]]) -> None:
    read_or_refuse(damaged(original, flips))


@settings(max_examples=100, deadline=None)
@given(flips=flips(SAID_BUT_NOT_READ, range(256)))
def test_patient_date_and_equipment_cost_nothing(
    original: Path, flips: list[tuple[int, int]]
) -> None:
    path = damaged(original, flips)
    for ours, theirs in zip(read_all(path), read_all(original), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gap_survives_a_damaged_mark(original: Path) -> None:
    with edf.open_recording(damaged(original, [(192 + 4, ord("E"))])) as recording:
        assert recording.format == "EDF"
        assert recording.segments == ((0.0, 5.0), (25.0, 32.0))


def damaged(original: Path, flips: list[tuple[int, int]]) -> Path:
    content = bytearray(original.read_bytes())
    for position, value in flips:
        content[position] = value
    path = original.with_name("damaged.edf")
    path.write_bytes(content)
    return path


def read_or_refuse(path: Path) -> None:
    try:
        recording = edf.open_recording(path)
    except InputError:
        refusal(path)
        return
    with recording:
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(recording.segments))
        for signal in recording.signals:
            parts = [recording.read(signal, i) for i in range(len(recording.segments))]
            assert sum(part.size for part in parts) == signal.samples > 0
            assert all(np.isfinite(part).all() for part in parts)
            assert 0 < signal.rate <= recording.highest_rate
        recording.annotations()


def read_all(path: Path) -> list[np.ndarray]:
    with edf.open_recording(path) as recording:
        return [
            np.concatenate([recording.read(signal, i) for i in range(len(recording.segments))])
            for signal in recording.signals
        ]
