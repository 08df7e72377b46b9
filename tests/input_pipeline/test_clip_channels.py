"""Every laboratory's channels find their places, and no place takes another electrode's."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import edf
from sleepfm_jax.input_pipeline.channels import Modality, identify
from sleepfm_jax.input_pipeline.clip_channels import fill, parse_named
from sleepfm_jax.input_pipeline.clips import CHANNELS
from sleepfm_jax.input_pipeline.simulation.montages import MONTAGES
from tests.conftest import SHARED

# Of PhysioNet/CinC 2018, in the order of its headers.
CINC = (
    *("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "Chin1-Chin2"),
    *("ABD", "CHEST", "AIRFLOW", "SaO2", "ECG"),
)
EEG = ("C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2")
IN_ORDER = {  # from the best version of a place's electrode to the last
    "C3-M2": ["C3-A2", "C3-M1", "C3-AVG", "C3", "C3-Cz"],
    "C4-M1": ["EEG C4-A1", "C4:M2", "C4-LE", "C4-Ref"],
    "O1-M2": ["O1M2", "O1-A1", "O1-x"],
    "O2-M1": ["A1:O2", "O2M2", "O2"],
    "E1-M2": ["LOC-A2", "EOG LOC-A1", "EOG(L)", "E1-Fpz"],
}
FOREIGN = ("C3-C4", "F4-C4", "C4-O2", "E1-E2", "EOG horizontal", "E2-M2", "C3 Imp", "Fz-M2")


def filled(labels: list[str], **named: str | None) -> dict[str, str]:
    """The label that fills each place."""
    channels = fill(labels, named).channels
    return {
        place: labels[index]
        for place, index in zip(CHANNELS, channels, strict=True)
        if index is not None
    }


def test_the_names_of_the_places_fill_them_whatever_else_there_is() -> None:
    rivals = ["C3-A2", "Thorax", "Abdomen", "SpO2", "ECG II", "EOG LOC-A2", "EKG", "Effort THO"]
    assert filled([*rivals, *CINC]) == {place: place for place in CHANNELS}
    assert [identify(place).modality for place in CHANNELS[3:8]] == [Modality.BAS] * 5


@pytest.mark.parametrize(
    ("laboratory", "expected"),
    [
        ("dashes", ("Effort THO", "SaO2", "Effort ABD", *EEG, "ECG II")),
        (
            "prefixes",
            (
                *("RIP Thorax", "SpO2", "RIP Abdomen"),
                *("EEG C3-A2", "EEG C4-A1", "EEG O1-A2", "EEG O2-A1", "EOG LOC-A2", "ECG I"),
            ),
        ),
        (
            "colons",
            ("Thorax", "SpO2 Masimo", "Abdomen", "C3:M2", "C4:M1", "O1:M2", "", "E1:M2", "ECG"),
        ),
        (
            "underscores",
            (
                *("Effort_THO", "SaO2", "Effort_ABD"),
                *("EEG_C3-A2", "EEG_C4-A1", "", "EEG_O2-A1", "EOG_LOC-A2", "ECG_II"),
            ),
        ),
        ("home", ("THOR RES", "SaO2", "ABDO RES", "", "", "", "", "EOG(L)", "ECG")),
        ("compact", ("Chest", "SpO2", "Abdo", "C3M2", "C4M1", "", "O2M1", "E1 (LEOG)", "EKG")),
    ],
)
def test_each_laboratory_fills_what_it_records(laboratory: str, expected: tuple[str, ...]) -> None:
    labels = [channel.label for channel in MONTAGES[laboratory]]
    wanted = {p: label for p, label in zip(CHANNELS, expected, strict=True) if label}
    assert filled(labels) == wanted
    sources = {channel.label: channel.source for channel in MONTAGES[laboratory]}
    for place, label in wanted.items():  # what was simulated is what the place asks for
        told = {"CHEST": "thorax", "ABD": "abdomen", "SaO2": "oxygen", "ECG": "ecg"}
        assert sources[label] == told.get(place, place[:2])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_best_version_is_taken_in_any_order(data: st.DataObject) -> None:
    present = {
        place: data.draw(st.lists(st.sampled_from(versions), unique=True))
        for place, versions in IN_ORDER.items()
    }
    labels = [label for versions in present.values() for label in versions] + [*FOREIGN]
    random.Random(data.draw(st.integers(0, 999))).shuffle(labels)
    best = {p: min(v, key=IN_ORDER[p].index) for p, v in present.items() if v}
    assert filled(labels) == best


def test_of_equals_the_first_in_the_file_is_taken() -> None:
    assert fill(["C3-M2", "ECG", "C3-M2"]).channels[3] == 0
    left_out = fill(["C3-M2", "ECG", "C3-M2"]).left_out
    assert left_out == ((2, "C3-M2", "another channel fits C3-M2 better"),)


def test_the_most_urgent_electrocardiogram_is_taken() -> None:
    assert filled(["ECG V2", "EKG I", "ECG II", "Heart Rate"]) == {"ECG": "ECG II"}
    assert filled(["ECG L", "ECG R", "ECG1-ECG2"]) == {"ECG": "ECG1-ECG2"}


def test_saturation_is_neither_pulse_nor_pulse_wave() -> None:
    assert filled(["Pulse", "Pleth", "SpO2 status", "H.R.", "PPG"]) == {}
    assert filled(["Pulse", "Pleth", "SpO2"]) == {"SaO2": "SpO2"}


def test_both_efforts_together_are_neither() -> None:
    assert filled(["Abd:Chest", "RIP Sum", "Effort"]) == {}
    assert filled(["Abd:Chest", "RIP Chest", "RIP Abd"]) == {"CHEST": "RIP Chest", "ABD": "RIP Abd"}


def test_labels_of_real_recordings_fill_places_of_their_modality() -> None:
    path = SHARED / "data" / "channel_labels.json"
    if not path.is_file():
        pytest.skip("the labels of real recordings are not on this machine")
    listed = json.loads(path.read_text())["by_modality"]
    kinds = {"BAS": set(CHANNELS[3:8]), "RESP": {"CHEST", "SaO2", "ABD"}, "EKG": {"ECG"}}
    kinds["EMG"] = {"CHEST", "ABD"}  # where the list has RIP belts
    counts = dict.fromkeys(CHANNELS, 0)
    for modality, labels in listed.items():
        for label in labels:
            places = set(filled([label]))
            assert places <= kinds[modality], label
            assert len(places) <= 1
            for place in places:
                counts[place] += 1
    least = {"CHEST": 11, "SaO2": 8, "ABD": 11, "C3-M2": 14, "C4-M1": 13, "O1-M2": 16, "O2-M1": 18}
    assert all(counts[place] >= count for place, count in least.items()), counts
    assert counts["E1-M2"] >= 19
    assert counts["ECG"] >= 25


def test_a_real_recording_with_electrodes_and_derivations(psg: object) -> None:
    with edf.open_recording(f"{psg}/nox_a1_rsleep/subject1.edf") as recording:
        labels = [signal.label for signal in recording.signals]
    assert filled(labels) == {
        **{place: place for place in (*EEG, "ECG")},
        "CHEST": "Chest",
        "SaO2": "Saturation",
        "ABD": "Abdomen",
    }


def test_what_the_user_says_outweighs_the_labels() -> None:
    labels = ["EEG(sec)", "EEG", "C3-M2", "SaO2", "SpO2"]
    named = parse_named(["EEG(sec)=c3-m2", "EEG = C4-M1", "SaO2=none", "Thor=CHEST"])
    chosen = fill(labels, named)
    assert chosen.channels == (None, 4, None, 0, 1, None, None, None, None)
    assert chosen.unmatched == ("Thor",)
    assert (3, "SaO2", "you left it out") in chosen.left_out
    both = fill(["a", "b"], {"b": "ECG", "a": "ECG"})
    assert both.channels[8] == 1  # the one named first
    assert both.left_out == ((0, "a", "you gave ECG to another channel too"),)


@pytest.mark.parametrize("text", ["C3", "=ECG", "C3=BAS"])
def test_what_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f'--place "{text}": '):
        parse_named([text])
