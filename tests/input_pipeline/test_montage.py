"""Which channels are used: the AASM's first, no signal twice, never too many, in any order."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.channels import Modality, identify
from sleepfm_jax.input_pipeline.montage import (
    CAPS,
    Choice,
    Montage,
    parse_named,
    read_channel_groups,
)
from tests.input_pipeline.test_channels import LABELS, edf_labels

BAS, RESP, EKG, EMG = Modality


def chosen(labels: Sequence[str], modality: Modality, montage: Montage | None = None) -> list[str]:
    choice = (montage or Montage()).choose(labels)
    return [channel.label for channel in choice.chosen if channel.modality is modality]


def why_left_out(choice: Choice, label: str) -> str:
    return next(reason for _, left, reason in choice.left_out if left == label)


def test_derivations_win_over_single_electrodes() -> None:
    labels = ["C3", "C3-M2", "C3-M1", "C3:M1+M2", "C3-Ref", "M1", "M2", "C4", "LOC", "E1-M2"]
    choice = Montage().choose(labels)
    assert [channel.label for channel in choice.chosen] == ["C4", "C3-M2", "E1-M2"]
    assert why_left_out(choice, "C3") == "“C3-M2” is a better version of the same signal"
    assert "“C3-M2”" in why_left_out(choice, "C3-M1")
    assert why_left_out(choice, "M1").startswith("a single electrode, which derivations")


def test_single_electrodes_are_used_where_nothing_is_derived() -> None:
    assert chosen(["M2", "M1", "LOC", "C3", "ROC", "C4"], BAS) == [
        "C4", "C3", "LOC", "ROC", "M1", "M2",
    ]  # fmt: skip
    assert chosen(["Chin1", "Chin2", "LLeg1", "RLeg1"], EMG) == [
        "Chin1", "LLeg1", "RLeg1", "Chin2",
    ]  # fmt: skip
    assert chosen(["ECG1", "ECG2"], EKG) == ["ECG1", "ECG2"]


def test_bipolar_channels_are_signals_of_their_own() -> None:
    labels = ["F4-C4", "C4-P4", "C4-A1", "Fpz-Cz"]
    assert chosen(labels, BAS) == ["C4-A1", "F4-C4", "C4-P4", "Fpz-Cz"]


def test_electrodes_inside_muscle_and_heart_derivations_are_left_out() -> None:
    labels = ["Chin1", "Chin2", "Chin3", "Chin1-Chin2", "LLeg1", "LLeg1-LLeg2", "RLeg1"]
    assert chosen(labels, EMG) == ["Chin1-Chin2", "LLeg1-LLeg2", "RLeg1"]
    assert chosen(["ECG1", "ECG2", "ECG1-ECG2", "ECG II"], EKG) == ["ECG II", "ECG1-ECG2"]


def test_the_order_of_the_eeg_is_the_aasm_s() -> None:
    recommended = ["F4-M1", "C4-M1", "O2-M1", "F3-M2", "C3-M2", "O1-M2", "E1-M2", "E2-M2"]
    others = ["Pz-M2", "Fz-M2", "Cz-M2", "T3-M2"]
    choice = Montage().choose([*others, *reversed(recommended)])
    assert [channel.label for channel in choice.chosen] == [*recommended, "Cz-M2", "Fz-M2"]
    assert "10 more important" in why_left_out(choice, "T3-M2")


def test_breathing_is_chosen_for_diversity() -> None:
    labels = ["Snore", "Flow", "Nasal Pressure", "Airflow 2", "Airflow", "HR", "Pulse", "PR"]
    labels += ["SpO2", "Abd", "Chest", "Therm"]
    assert chosen(labels, RESP) == [
        "Nasal Pressure", "Therm", "Airflow", "Chest", "Abd", "SpO2", "HR",
    ]  # fmt: skip


def test_muscles_begin_at_the_chin() -> None:
    labels = ["IC", "RAT", "LAT", "L Arm", "Chin1-Chin2"]
    assert chosen(labels, EMG) == ["Chin1-Chin2", "LAT", "RAT", "IC"]


def test_the_published_caps() -> None:
    assert {m.name: n for m, n in CAPS.items()} == {"BAS": 10, "RESP": 7, "EKG": 2, "EMG": 4}
    labels = ["ECG", "ECG2", "ECG3"]
    assert chosen(labels, EKG) == ["ECG", "ECG2"]
    assert chosen(labels, EKG, Montage(caps={EKG: 1})) == ["ECG"]


def test_duplicates_get_names_of_their_own() -> None:
    choice = Montage().choose(["Leg", "Leg-2", "Leg", "C3-M2", "C3-M2"])
    stored = [(channel.index, channel.label) for channel in choice.chosen]
    assert stored == [(3, "C3-M2"), (0, "Leg"), (2, "Leg-3"), (1, "Leg-2")]
    assert choice.left_out == ((4, "C3-M2", "an earlier channel has the same label"),)


def test_stored_names_are_repaired() -> None:
    choice = Montage().choose([" DÃ©bit nasal "])
    assert choice.chosen[0].label == "Débit nasal"


def test_groups_decide_alone_and_as_written() -> None:
    groups = {BAS: ["C3", "Position"], RESP: ["Foo", "flow"]}
    labels = ["Flow", "Foo", "Position", "C3-M2", "C3", "M1"]
    choice = Montage(groups=groups).choose(labels)
    assert [(c.label, c.modality) for c in choice.chosen] == [
        ("C3", BAS), ("Position", BAS), ("Foo", RESP),
    ]  # fmt: skip
    assert why_left_out(choice, "Flow") == "not listed in the channel groups"


def test_named_labels_outweigh_everything() -> None:
    named = {"EPMS": RESP, "C3-M2": None, "ECG3": EKG, "Typo": EMG}
    labels = ["ECG", "ECG2", "ECG3", "EPMS", "C3-M2", "C3"]
    choice = Montage(named=named).choose(labels)
    assert [c.label for c in choice.chosen] == ["C3", "EPMS", "ECG3", "ECG"]
    assert why_left_out(choice, "C3-M2") == "you left it out"
    assert choice.unmatched == ("Typo",)
    grouped = Montage(groups={BAS: ["C3"]}, named={"EPMS": RESP}).choose(labels)
    assert [c.label for c in grouped.chosen] == ["C3", "EPMS"]


def test_nox_recording(psg: Path) -> None:
    labels = edf_labels(psg / "nox_a1_rsleep" / "subject1.edf")
    choice = Montage().choose(labels)
    by_modality = {m: [c.label for c in choice.chosen if c.modality is m] for m in Modality}
    aasm = ["F4-M1", "C4-M1", "O2-M1", "F3-M2", "C3-M2", "O1-M2", "E1-M2", "E2-M1"]
    assert by_modality[BAS] == aasm
    assert by_modality[RESP][:4] == ["Nasal Pressure", "Airflow", "Chest", "Abdomen"]
    assert by_modality[EKG] == ["ECG"]
    assert by_modality[EMG] == ["1-2", "Left Leg", "Right Leg", "1-F"]
    assert len(by_modality[RESP]) == 7


NIGHTS = st.lists(st.sampled_from(LABELS), max_size=40)


@given(NIGHTS)
def test_every_channel_is_used_or_explained(labels: list[str]) -> None:
    choice = Montage().choose(labels)
    used = [channel.index for channel in choice.chosen]
    explained = [index for index, _, _ in choice.left_out]
    assert sorted(used + explained) == list(range(len(labels)))
    assert all(channel.reason for channel in choice.chosen)
    assert all(reason and labels[index] == label for index, label, reason in choice.left_out)
    assert len({channel.label for channel in choice.chosen}) == len(choice.chosen)
    for modality, cap in CAPS.items():
        assert sum(channel.modality is modality for channel in choice.chosen) <= cap
    assert all(identify(labels[c.index]).modality is c.modality for c in choice.chosen)


@given(NIGHTS, st.randoms(use_true_random=False))
def test_the_order_in_the_file_changes_nothing(labels: list[str], random: object) -> None:
    shuffled = list(labels)
    random.shuffle(shuffled)

    def names(night: list[str]) -> list[tuple[str, Modality]]:
        return [(c.label, c.modality) for c in Montage().choose(night).chosen]

    assert names(shuffled) == names(labels)


@given(NIGHTS)
def test_no_modality_is_lost_to_a_better_version(labels: list[str]) -> None:
    present = {identify(label).modality for label in labels} - {None}
    assert {channel.modality for channel in Montage().choose(labels).chosen} == present


@given(NIGHTS)
def test_what_is_no_signal_changes_nothing(labels: list[str]) -> None:
    more = [*labels, "Position", "EDF Annotations", "Battery"]
    assert Montage().choose(more).chosen == Montage().choose(labels).chosen


def test_channel_groups_are_read(tmp_path: Path) -> None:
    path = tmp_path / "channel_groups.json"
    path.write_text(json.dumps({"BAS": ["C3-M2", "E1"], "EKG": []}), encoding="utf-8")
    assert read_channel_groups(path) == {BAS: ("C3-M2", "E1"), EKG: ()}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "is no JSON"),
        ("[]", "lists of labels by modality"),
        ('{"BAS": "C3"}', "lists of labels by modality"),
        ('{"BAS": [3]}', "lists of labels by modality"),
        ('{"EEG": ["C3"]}', "no modality is called 'EEG'; use BAS, RESP, EKG, EMG"),
    ],
)
def test_wrong_channel_groups_are_refused(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "channel_groups.json"
    path.write_text(content)
    with pytest.raises(InputError, match=fault) as refusal:
        read_channel_groups(path)
    assert str(path) in str(refusal.value)


def test_missing_channel_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_channel_groups(tmp_path / "absent.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_channel_groups(tmp_path)


def test_labels_on_the_command_line() -> None:
    texts = ["Foo=RESP", " a=b = ekg ", "Bar=none"]
    assert parse_named(texts) == {"Foo": RESP, "a=b": EKG, "Bar": None}


@pytest.mark.parametrize("text", ["Foo", "=RESP", "Foo=EEG", "Foo="])
def test_wrong_labels_on_the_command_line_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--channel"):
        parse_named([text])
