"""Label files: known by content and in any encoding, found by the night's name, never half-read."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import annotations
from tests.conftest import SHARED
from tests.input_pipeline.annotation_formats.label_files import real
from tests.input_pipeline.annotation_formats.test_exports import LUNA, NOXTURNAL, REMLOGIC
from tests.input_pipeline.annotation_formats.test_xml import EVENT, profusion
from tests.input_pipeline.annotation_formats.test_yasa_json import NIGHT

CSV = "Start,Stop,StageName,StageNumber\n0,30,Wäke,0\n30,60,N2,2\n"
REAL = (
    ("annotations/sleepedf_hypnograms/SC4001EC-Hypnogram.edf", 154, 0),
    ("annotations/edfplus_events/demoEDFplus.edf", 117, 211),
    ("annotations/nsrr_profusion_xml/learn-nsrr01.xml", 1364, 905),
    ("annotations/cinc2018/tr03-0005-arousal.mat", 102, 27),
    ("annotations/bids_ds005555/sub-60_task-Sleep_acq-psg_events.tsv", 922, 0),
    ("psg/dreams_excerpt3/Hypnogram_excerpt3.txt", 360, 0),
)
NO_LABELS = (
    "annotations/bids_ds005555/dataset_description.json",
    "annotations/bids_ds005555/sub-60_task-Sleep_acq-psg_channels.tsv",
    "annotations/bids_ds005555/sub-60_task-Sleep_acq-psg_events.json",
    "annotations/cinc2018/tr03-0005.hea",
    "psg/dreams_excerpt3/DREAMS_databases_License.txt",
)


def test_stages_are_found_by_time_not_by_row(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    path.write_text(CSV + "120,150,REM,4\n60,90,N3,3\n")
    steps = annotations.read_hypnogram(path).steps(32)
    np.testing.assert_array_equal(steps, np.repeat([0, 2, 3, -1, 4, -1], [6, 6, 6, 6, 6, 2]))


@pytest.mark.parametrize(("name", "stages", "events"), REAL)
@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_the_name_decides_nothing(
    tmp_path: Path, name: str, stages: int, events: int, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    path.symlink_to(real(name).resolve())
    found = annotations.read(path)
    assert found.hypnogram is not None
    assert len(found.hypnogram.stages) == stages
    assert len(found.events) == events


@pytest.mark.parametrize("name", NO_LABELS)
def test_what_holds_no_labels_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"is in no format that is known for labels: docs/"):
        annotations.read(real(name))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "night.csv"
    path.write_bytes(CSV.replace("\n", end).encode(encoding))
    np.testing.assert_array_equal(annotations.read_hypnogram(path).stages, [0, 2])


def test_a_letter_across_the_end_of_the_head(tmp_path: Path) -> None:
    path = tmp_path / "night.csv"
    row = "0,30,{},0\n"
    name = "x" * (4095 - len(CSV.splitlines()[0]) - 1 - len("0,30,")) + "ä"
    path.write_text(CSV.splitlines()[0] + "\n" + row.format(name), encoding="utf-8")
    assert path.read_bytes()[4095:4097] == "ä".encode()
    assert annotations.read_hypnogram(path).stages == [0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        ("\n \n".encode("utf-16"), "is empty"),
        (bytes(range(256)), "is in no format"),
        (b"Dear colleague,\nthe stages are in the mail.\n", "is in no format"),
        (b"<html><body>404</body></html>", "is in no format"),
        (b"{}", "is in no format"),
        (b"0       \nno EDF", r"is not|holds|ends|has|is "),
    ],
)
def test_what_is_no_label_file_is_refused_by_name(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"labels\.txt ({words})"):
        annotations.read(path)


def test_missing_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        annotations.read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is not a file"):
        annotations.read(tmp_path)


def test_a_huge_file_is_no_label_file(tmp_path: Path) -> None:
    path = tmp_path / "recording.csv"
    with path.open("wb") as file:
        file.write(b"time,C3\n0,1\n")
        file.truncate(1 << 27)
    with pytest.raises(InputError, match=r"recording\.csv has 128 MiB"):
        annotations.read(path)


NSRR = f"<PSGAnnotation><ScoredEvents>{EVENT}</ScoredEvents></PSGAnnotation>".format(
    "Stages|Stages", "Wake|0", 0, 30
)
WRITTEN = (REMLOGIC, NOXTURNAL, LUNA, profusion("0123"), json.dumps(NIGHT), CSV, NSRR)
HERE = [SHARED / "data" / name for name, _, _ in REAL if not name.endswith(".mat")]
HERE = [path for path in HERE if path.exists()]
ODD = (b"nan", b"inf", b"-1", b"1e999", b'"', b"\t", b",", b"\n", b"\0", b"25:61:00", b"<", b"...")


@settings(max_examples=100, deadline=None)
@given(
    content=st.sampled_from([text.encode() for text in WRITTEN])
    | st.sampled_from(HERE or [CSV.encode()]),
    place=st.floats(0, 1),
    put=st.sampled_from(ODD) | st.binary(min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_damage_is_read_or_told_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory,
    content: bytes | Path,
    place: float,
    put: bytes,
    cut: bool,
) -> None:
    content = content.read_bytes() if isinstance(content, Path) else content
    at = int(place * len(content))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[:at] + put + (b"" if cut else content[at + len(put) :]))
    try:
        found, told = annotations.read(path).hypnogram, ""
    except InputError as error:
        found, told = None, str(error)
    assert not told or str(path) in told
    assert found is None or (found.stops > found.starts).all()


@pytest.mark.parametrize(
    ("file", "night"),
    [
        ("n1.csv", "n1"),
        ("n1.annot", "n1"),
        ("n1-profusion.xml", "n1"),
        ("n1-arousal.mat", "n1"),
        ("n1_hypnogram.edf", "n1"),
        ("sub/n1.XML", "sub/n1"),
        ("sub-1_task-sleep_events.tsv", "sub-1_task-sleep_eeg"),
        ("SC4001EC-Hypnogram.edf", "SC4001E0-PSG"),
        ("ST7011JP-Hypnogram.edf", "ST7011J0-PSG"),
        ("Hypnogram_excerpt3.txt", "excerpt3"),
        ("n1.edf", "n1"),
    ],
)
def test_a_nights_labels_are_found_by_its_name(tmp_path: Path, file: str, night: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    for other in ("n10.csv", "n1.hea", "xn1.csv", "SC4002EC-Hypnogram.edf"):
        (tmp_path / other).write_text("of another night")
    assert annotations.find(tmp_path, night) is None
    (tmp_path / file).write_text("labels")
    assert annotations.find(tmp_path, night) == tmp_path / file


def test_labels_come_before_the_recording_of_the_same_name(tmp_path: Path) -> None:
    for name in ("n1.edf", "Hypnogram_n1.txt", "n1-nsrr.xml", "n1.xml"):  # each before the last
        (tmp_path / name).write_text("")
        assert annotations.find(tmp_path, "n1") == tmp_path / name


def test_every_real_night_finds_its_labels() -> None:
    for labels, night in (
        ("psg/dreams_excerpt3/Hypnogram_excerpt3.txt", "excerpt3"),
        ("annotations/sleepedf_hypnograms/SC4001EC-Hypnogram.edf", "SC4001E0-PSG"),
        ("annotations/cinc2018/tr03-0005.arousal", "tr03-0005"),
        ("annotations/nsrr_profusion_xml/learn-nsrr01.xml", "learn-nsrr01"),
        (
            "annotations/bids_ds005555/sub-60_task-Sleep_acq-psg_events.tsv",
            "sub-60_task-Sleep_acq-psg_eeg",
        ),
    ):
        assert annotations.find(real(labels).parent, night) == real(labels)
