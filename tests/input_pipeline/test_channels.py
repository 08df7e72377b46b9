"""What labels are taken for: public lists, labels in the wild, real files, the grammar's laws."""

import csv
import json
from pathlib import Path

import mne
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline.channels import Modality, identify
from sleepfm_jax.input_pipeline.spelling import repaired

WILD = json.loads(
    (Path(__file__).parents[1] / "data" / "channel_labels_wild.json").read_text(encoding="utf-8")
)
LABELS = [label for labels in WILD.values() for label in labels]
# The published list puts two efforts and two sensors under EMG; what they mean wins.
ODD_IN_PUBLIC_LIST = {"RIP Tho", "RIP Abd", "Pressur", "Pleth"}


def taken_for(label: str) -> str:
    modality = identify(label).modality
    return "none" if modality is None else modality.name


def wrongly_taken(by_modality: dict[str, list[str]]) -> dict[str, str]:
    return {
        label: taken_for(label)
        for modality, labels in by_modality.items()
        for label in labels
        if taken_for(label) != modality
    }


def edf_labels(path: Path) -> list[str]:
    header = path.read_bytes()
    signals = int(header[252:256])
    fields = (header[256 + 16 * i : 272 + 16 * i] for i in range(signals))
    return [field.decode("utf-8").strip() for field in fields]


@pytest.fixture(scope="module")
def public(psg: Path) -> dict:
    return json.loads((psg.parent / "channel_labels.json").read_text(encoding="utf-8"))


def test_public_labels(public: dict) -> None:
    assert set(wrongly_taken(public["by_modality"])) <= ODD_IN_PUBLIC_LIST
    assert {taken_for(label) for label in ODD_IN_PUBLIC_LIST} == {"RESP"}


def test_labels_that_exact_matching_misses(public: dict) -> None:
    missed = {label for c in public["unlabelled"].values() for label in c["unmatched"]}
    refused = {"POSITION", "Position", "LIGHT", "OX stat", "OX STAT", "STAT", "AUX", "EPMS"}
    brain = {"C3_M2", "C4_M1", "O1_M2", "O2_M1"}
    assert {label for label in missed if taken_for(label) == "none"} == refused
    assert {label for label in missed if taken_for(label) == "BAS"} == brain
    assert {label for label in missed if taken_for(label) == "EMG"} == {"LEG"}
    assert all(taken_for(label) == "RESP" for label in missed - refused - brain - {"LEG"})


def test_labels_in_the_wild() -> None:
    assert wrongly_taken(WILD) == {}
    assert len(LABELS) > 2500


def test_dreams_excerpt(psg: Path) -> None:
    labels = edf_labels(psg / "dreams_excerpt3" / "excerpt3.edf")
    expected = {"ECG": "EKG", "EMG1": "EMG", "POS": "none"}
    expected |= dict.fromkeys(["NAF1", "VAB", "VTH", "PHONO", "SAO2", "PR", "PULSE"], "RESP")
    expected |= dict.fromkeys(["O1-A1", "C3-A1", "FP1-A1", "EOG1-A1", "EOG2-A1"], "BAS")
    for label in labels:
        wanted = "none" if label.startswith(("hypnogram", "event_")) else expected[label]
        assert taken_for(label) == wanted, label


def test_nox_recording(psg: Path) -> None:
    labels = edf_labels(psg / "nox_a1_rsleep" / "subject1.edf")
    brain = {f"{e}" for e in ("C3", "C4", "E1", "E2", "F3", "F4", "O1", "O2", "M1", "M2", "M1M2")}
    brain |= {f"{e}-M2" for e in ("C3", "E1", "F3", "O1")}
    brain |= {f"{e}-M1" for e in ("C4", "E2", "F4", "O2")}
    muscle = {"1-2", "1-F", "2-F", "Left Leg", "Right Leg"}
    refused = {label for label in labels if "Imp" in label or "Voltage" in label}
    refused |= {"EDF Annotations", "1", "2", "F", "K", "Light", "Activity", "Elevation", "PosAngle"}
    refused |= {"X Axis", "Y Axis", "Z Axis"}
    for label in labels:
        wanted = (
            "BAS" if label in brain else "EMG" if label in muscle else "EKG" if label == "ECG"
            else "none" if label in refused else "RESP"
        )  # fmt: skip
        assert taken_for(label) == wanted, label
        # The same bytes read as Latin-1, as some readers do.
        assert identify(label.encode().decode("latin-1")) == identify(label)


def test_other_real_files(psg: Path, edge: Path) -> None:
    def read(path: Path) -> list[str]:
        return [taken_for(label) for label in edf_labels(path)]

    cassette = ["BAS", "BAS", "BAS", "RESP", "EMG", "none", "none"]
    assert read(psg / "sleep_edf_short" / "short_psg.edf") == cassette
    assert read(psg / "cap_brux2_crop" / "sample.edf") == ["BAS"] * 5
    shhs = "RESP RESP BAS EKG EMG BAS BAS BAS RESP RESP none none RESP none"
    assert read(edge / "invalid-date.edf") == shhs.split()
    assert read(edge / "duplicate_channel_labels.edf") == ["BAS", "BAS", "BAS", "none"]
    assert read(edge / "edfcore_edf-asymmetric.edf") == ["BAS", "none", "none"]
    assert read(edge / "edfcore_edf-narrow-digital.edf") == ["none", "none", "none"]
    assert read(edge / "test_uneven_samp.edf") == ["none", "none"]


def test_annotated_collections(psg: Path) -> None:
    annotations = psg.parent / "annotations"
    header = (annotations / "cinc2018" / "tr03-0005.hea").read_text().splitlines()[1:]
    challenge = [taken_for(line.rsplit(maxsplit=1)[-1]) for line in header if line.strip()]
    assert challenge == ["BAS"] * 7 + ["EMG"] + ["RESP"] * 4 + ["EKG"]
    sidecar = annotations / "bids_ds005555" / "sub-60_task-Sleep_acq-psg_channels.tsv"
    with sidecar.open(encoding="utf-8") as file:
        bids = [taken_for(row["name"]) for row in csv.DictReader(file, delimiter="\t")]
    assert bids == ["BAS"] * 7 + ["EMG"] + ["RESP"] * 3


@pytest.mark.parametrize(
    ("label", "site", "reference"),
    [
        ("EEG_C3-A2", "C3", "A2"),
        ("c3m2", "C3", "M2"),
        ("C3:M1+M2", "C3", "M1+M2"),
        ("C3-(M1+M2)", "C3", "M1+M2"),
        ("A1:C4", "C4", "A1"),
        ("01-A2", "O1", "A2"),
        ("EEG F3-A22", "F3", "A2"),
        ("EEG Fpz-Cz", "Fpz", "Cz"),
        ("CZ2-A1", "Cz", "A1"),
        ("EEG C3-CLE", "C3", "linked ears"),
        ("Fz_AVG", "Fz", "average"),
        ("EEG T7-REF", "T7", "Ref"),
        ("O1-x", "O1", "x"),
        ("O2", "O2", None),
        ("M1M2", "M1", "M2"),
        ("EEG(sec)", None, None),
        ("E1_(LEOG)", "E1", None),
        ("EOG LOC-A2", "E1", "A2"),
        ("ROC-M1", "E2", "M1"),
        ("EOGr512:M1", "E2", "M1"),
        ("EOG(L)", "E1", None),
        ("EOG2-A1", "E2", "A1"),
        ("EOG Left Horiz", "E1", None),
        ("EOG horizontal", "HEOG", None),
        ("vEOG", "VEOG", None),
        ("EOG", "EOG", None),
        ("Fp1:E2", "E2", "Fp1"),
        ("Chin1-Chin2", "chin", "chin2"),
        ("EMG CHIN1-CHIN2", "chin", "chin2"),
        ("Chin_R-Cz", "right chin", "Cz"),
        ("LLEG2", "left leg", None),
        ("RLeg1-RLeg2", "right leg", "leg2"),
        ("LAT", "left leg", None),
        ("EMG Tibialis Ant. R", "right leg", None),
        ("Jambe gauche", "left leg", None),
        ("EMG1-EMG2", None, "emg2"),
        ("ECG II", "II", None),
        ("ECG ECGI", "I", None),
        ("ECG1-ECG2", "ECG1", "ECG2"),
        ("EKG2", "ECG2", None),
        ("ECG LA-RA", "LA", "RA"),
        ("nasal_pres", "nasal pressure", None),
        ("Effort_THO", "thorax", None),
        ("Flow Th", "thermal airflow", None),
        ("Flow Pr", "nasal pressure", None),
        ("Finger PPG", "plethysmogram", None),
        ("ECG HR", "heart rate", None),
        ("CPAP Flow", "flow of the PAP device", None),
    ],
)
def test_site_and_reference(label: str, site: str | None, reference: str | None) -> None:
    channel = identify(label)
    assert (channel.site, channel.reference) == (site, reference)


@pytest.mark.parametrize("montage", ["colin27_1005", "easycap-M1", "GSN-HydroCel-256"])
def test_electrodes_of_the_international_systems(montage: str) -> None:
    for name in mne.channels.make_standard_montage(montage).ch_names:
        channel = identify(name)
        assert (channel.modality, channel.site) == (Modality.BAS, name)


def test_the_reason_is_in_words() -> None:
    assert identify("EEG_C3-A2").reason == (
        "C3 is an electrode of the EEG recorded against A2: brain activity (EEG and EOG)"
    )
    assert identify("C3 Impédance").reason == (
        "“impedance” means an electrode's impedance: none of the four modalities"
    )
    assert '--channel "EPMS=RESP"' in identify("EPMS").reason


def test_the_label_is_repaired() -> None:
    assert identify("  Jambe droite ImpÃ©dance ").label == "Jambe droite Impédance"


@given(st.text(max_size=40))
def test_any_text_is_answered(label: str) -> None:
    channel = identify(label)
    assert channel.reason
    assert channel.modality is not None or (channel.site, channel.reference) == (None, None)


def test_a_very_long_label_is_answered() -> None:
    assert identify("legemg" * 10_000).modality is None
    assert identify("leg " * 10_000).modality is Modality.EMG


@given(st.sampled_from(LABELS), st.sampled_from([str.upper, str.lower, str.title]))
def test_case_means_nothing(label: str, change: object) -> None:
    changed, plain = identify(change(label)), identify(label)
    assert (changed.modality, changed.site) == (plain.modality, plain.site)


@given(st.sampled_from(LABELS), st.sampled_from(["", " ", "\t", "\xa0 ", "\n"]))
def test_surrounding_space_means_nothing(label: str, space: str) -> None:
    assert identify(space + label + space) == identify(label)


SITES = st.sampled_from(["F3", "F4", "C3", "C4", "O1", "O2", "Fz", "Cz", "Fp1", "T7", "P4", "AF7"])


@given(
    SITES,
    st.sampled_from(["M1", "M2", "A1", "A2"]),
    st.sampled_from(["-", ":", "/", "_", " ", " - ", "", "."]),
    st.sampled_from(["", "EEG ", "EEG_", "eeg", "PSG_", "POL "]),
    st.sampled_from(["", " 1", "-0", " (uV)", "_2"]),
)
def test_prefix_separator_and_suffix_mean_nothing(
    site: str, reference: str, separator: str, prefix: str, suffix: str
) -> None:
    channel = identify(prefix + site + separator + reference + suffix)
    assert (channel.modality, channel.site, channel.reference) == (Modality.BAS, site, reference)


@given(st.sampled_from([label for label in WILD["BAS"] if identify(label).site]))
def test_the_prefix_eeg_never_changes_a_site(label: str) -> None:
    assert identify("EEG " + label).site == identify(label).site


@given(st.sampled_from(LABELS))
def test_an_impedance_is_none_of_any_channel(label: str) -> None:
    assert identify(label + " Imp").modality is None


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_misread_encodings_are_undone(label: str) -> None:
    assert repaired(label.encode("utf-8").decode("latin-1")) == repaired(label)
