"""Damaged records are refused with one sentence, and nothing is ever looked for elsewhere."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import source_files
from sleepfm_jax.jobs import sources
from sleepfm_jax.jobs.preprocess import preprocess
from tests.input_pipeline import edf_files, wfdb_records
from tests.input_pipeline.wfdb_records import change

Damage = Callable[[Path], object]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return wfdb_records.write(tmp_path, wfdb_records.digits())


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was looked for elsewhere")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def read_all(path: Path) -> list[np.ndarray]:
    with source_files.open_recording(path) as recording:
        return [recording.read(signal) for signal in recording.signals]


def refusal(path: Path) -> str:
    """The sentence with which a record is refused."""
    with pytest.raises(InputError) as caught:
        read_all(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path.parent))
    assert "\n" not in sentence
    assert ": " in sentence
    return sentence


def shorten(path: Path) -> None:
    os.truncate(path.with_suffix(".dat"), 40000)


def lengthen(path: Path) -> None:
    with path.with_suffix(".dat").open("ab") as file:
        file.write(b"12")


def damage_a_sample(path: Path) -> None:
    with path.with_suffix(".dat").open("r+b") as file:
        file.seek(1002)
        file.write(b"\x11\x11")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda path: path.with_suffix(".dat").unlink(), "night.dat, which cannot be opened"),
        (shorten, "night.dat is truncated (40000 of the 48000 bytes that night.hea tells of)"),
        (lengthen, "night.dat is 2 bytes longer than night.hea says"),
        (damage_a_sample, "does not describe the samples of 'C3-M2'"),
        (lambda path: change(path, "night.dat 16", "night.dat 516"), "format 516"),
        (lambda path: change(path, "night.dat 16", "night.dat 99"), "format 99"),
        (lambda path: change(path, "night.dat", "../night.dat"), "outside its folder"),
        (lambda path: change(path, "night.dat", "http://example.org/night.dat"), "outside its"),
        (lambda path: change(path, "night.dat", "x::s3://example/night.dat"), "outside its"),
        (lambda path: change(path, "night.dat", "~"), "is no file that can be read"),
        (lambda path: change(path, "night 3", "night/2 3"), "several segments"),
        (lambda path: change(path, "night 3", "night 2"), "describes 3 of its 2 signals"),
        (lambda path: path.write_text("night 0 200 8000\n"), "describes no signal"),
        (lambda path: path.write_text("\n# nothing\n"), "is empty"),
        (lambda path: path.write_text("<html>\n"), "is no WFDB header"),
        (lambda path: change(path, " 200 8000", " 0 8000"), "at 0 Hz"),
        (lambda path: change(path, " 200 8000", " 200 8001"), "is truncated"),
        (lambda path: change(path, " 200 8000", " 200 7999"), "longer than"),
        (lambda path: change(path, "uV 16 0", "uV 416 0"), "416 bits"),
        (lambda path: change(path, "uV 16 0", "uV 16 " + "9" * 40), "'C3-M2' has samples of 16"),
        (lambda path: change(path, "night 3 200", "night 3 200" + "9" * 40), "more than 40 digits"),
        (lambda path: change(path, "4.0(-64)", "4.0(-6400000000)"), "'SaO2' has samples of 16"),
        (lambda path: change(path, "1.0(0)", "1e-320(0)"), "9.99989e-321 a unit"),
        (lambda path: path.write_bytes(b"x" * (1 << 21)), "too long for a WFDB header"),
        (Path.unlink, "cannot be opened"),
    ],
)
def test_damaged_records_are_refused(night: Path, damage: Damage, fault: str) -> None:
    assert all(len(samples) == 8000 for samples in read_all(night))
    damage(night)
    assert fault in refusal(night)


def test_signals_of_a_file_stand_together(night: Path, tmp_path: Path) -> None:
    """Wfdb takes a signal's place in its file from its distance to the first one there."""
    lines = night.read_text().splitlines()
    (tmp_path / "other.dat").write_bytes((tmp_path / "night.dat").read_bytes())
    lines[2] = lines[2].replace("night.dat", "other.dat")
    night.write_text("\n".join(lines))
    assert "apart or in two formats" in refusal(night)


def test_addresses_are_never_followed(tmp_path: Path) -> None:
    folder = tmp_path / "s3::bucket"
    folder.mkdir()
    assert "'::'" in refusal(wfdb_records.write(folder, wfdb_records.digits()))
    with pytest.raises(InputError, match="cannot be opened"):
        source_files.open_recording("s3://bucket/night.hea")


def test_the_length_is_told_where_the_header_does_not(night: Path) -> None:
    change(night, " 200 8000", " 200")
    assert "write 8000, " in refusal(night)


def test_a_checksum_that_is_not_told_is_not_missed(night: Path) -> None:
    lines = night.read_text().splitlines()
    night.write_text("\n".join([lines[0], *(" ".join(line.split()[:5]) for line in lines[1:])]))
    assert len(read_all(night)) == 3


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 170), byte=st.integers(0, 255))
def test_any_byte_of_a_header_may_be_wrong(night: Path, place: int, byte: int) -> None:
    whole = night.read_bytes()
    damaged = bytearray(whole)
    damaged[min(place, len(damaged) - 1)] = byte
    night.write_bytes(damaged)
    try:
        samples = read_all(night)
    except InputError as error:
        if not str(error).startswith(str(night.parent)):
            raise
    else:
        assert all(len(values) for values in samples)
    finally:
        night.write_bytes(whole)


def test_signals_without_their_header_are_told_apart(night: Path) -> None:
    with pytest.raises(InputError, match=r"night\.dat holds the signals of a WFDB record: give"):
        source_files.open_recording(night.with_suffix(".dat"))


def test_a_folder_gives_each_record_once_and_a_bad_one_stops_no_other(tmp_path: Path) -> None:
    cohort, output = tmp_path / "cohort", tmp_path / "output"
    cohort.mkdir()
    for name in ("a", "b", "c"):
        wfdb_records.write(cohort, wfdb_records.digits(), name)
    (cohort / "a-arousal.mat").write_bytes(b"labels")
    edf_files.write(cohort / "d.edf")
    (cohort / "b.dat").unlink()
    found = [source.name for source in sources.find([cohort])]
    assert found == ["a", "b", "c", "d"]
    summary = preprocess([cohort], output, workers=1)
    assert [name for name, _ in summary.failed] == [str(cohort / "b.hea")]
    assert sorted(path.stem for path in output.glob("*.hdf5")) == ["a", "c", "d"]
    damage_a_sample(cohort / "a.hea")  # its size stays, its time changes
    again = preprocess([cohort], output, workers=1)
    assert {name for name, _ in again.failed} == {
        str(cohort / "a.hea"),
        str(cohort / "b.hea"),
    }
