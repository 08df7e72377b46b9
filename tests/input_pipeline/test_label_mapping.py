"""The names of a model's outputs."""

from pathlib import Path

import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.label_mapping import read_label_mapping

HEADER = "label_idx,phecode,phenotype\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "label_mapping.csv"
    path.write_text(text)
    return path


def test_labels_come_in_the_order_of_their_index(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + '1,332,"Parkinson\'s, all"\n0,008.5,Infection\n')
    assert read_label_mapping(path) == (("008.5", "Infection"), ("332", "Parkinson's, all"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not number its labels"),
        (HEADER + "0,332,a\n2,333,b\n", r"does not number its labels 0, 1, 2"),
        (HEADER + "0,332,a\n1,332,b\n", "repeats a phecode"),
        (HEADER + "0,,a\n", "does not number its labels"),
        (HEADER + "first,332,a\n", r"is no label mapping \(ValueError"),
        (HEADER + "0,332\n", "is no label mapping"),
        ("phecode,phenotype\n332,a\n", r"is no label mapping \(KeyError: 'label_idx'\)"),
    ],
)
def test_what_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=rf"label_mapping\.csv .*{sentence}"):
        read_label_mapping(write(tmp_path, text))


def test_a_missing_mapping_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        read_label_mapping(tmp_path / "none.csv")
