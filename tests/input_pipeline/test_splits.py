"""A subject stays in its split, whatever else there is; published splits are matched by name."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.splits import FOUR, FOUR_FRACTIONS, NAMES, Splits, read_published

MANY = [f"night{number}" for number in range(4000)]


@pytest.mark.parametrize(
    ("names", "fractions"),
    [
        (NAMES, (0.8, 0.1, 0.1)),
        (NAMES, (0.5, 0.25, 0.25)),
        (NAMES, (0.0, 1.0, 0.0)),
        (FOUR, FOUR_FRACTIONS),
        (FOUR, (0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_fractions_are_kept(names: tuple[str, ...], fractions: tuple[float, ...]) -> None:
    splits = Splits(seed=3, fractions=fractions)
    counts = Counter(splits.split_of(night) for night in MANY)
    assert splits.names == names
    assert set(counts) <= set(names)
    for name, share in zip(names, fractions, strict=True):
        deviation = (share * (1 - share) / len(MANY)) ** 0.5
        assert abs(counts[name] / len(MANY) - share) <= 4 * deviation


def test_four_splits_part_the_training_nights_alone() -> None:
    three, four = Splits(), Splits(fractions=FOUR_FRACTIONS)
    both = Counter((three.split_of(night), four.split_of(night)) for night in MANY)
    assert set(both) == {
        ("train", "pretrain"),
        ("train", "train"),
        ("validation", "validation"),
        ("test", "test"),
    }


def test_the_seed_decides_and_nothing_else() -> None:
    one, again, other = (
        [Splits(seed).split_of(night) for night in MANY[:500]] for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other


def test_no_version_moves_a_night() -> None:
    """Stores that are packed later must not train on what an earlier one tested."""
    test = [night for night in MANY[:30] if Splits().split_of(night) == "test"]
    assert test == [f"night{number}" for number in (5, 7, 14, 16, 18, 20, 27)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.text("abc123", min_size=1, max_size=8), st.integers(0, 99))
def test_nights_of_a_subject_stay_together(seed: int, subject: str, night: int) -> None:
    splits = Splits(seed=seed, subject=r"^([^_]+)_")
    assert splits.subject_of(f"{subject}_{night}") == subject
    assert splits.split_of(f"{subject}_{night}") == splits.split_of(f"{subject}_first")


def test_without_an_expression_every_night_is_a_subject() -> None:
    assert Splits().subject_of("site/p1_night2") == "site/p1_night2"


def test_a_name_without_subject_is_refused() -> None:
    with pytest.raises(InputError, match="p1 has no subject by"):
        Splits(subject=r"^([^_]+)_").split_of("p1")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"fractions": (0.8, 0.1)}, "give one from 0 to 1 for each"),
        ({"fractions": (1.2, -0.1, -0.1)}, "give one from 0 to 1 for each"),
        ({"fractions": (0.8, 0.1, 0.2)}, "add up to 1.1"),
        ({"subject": "["}, "is no regular expression"),
        ({"subject": "abc"}, "has no group"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        Splits(**settings)  # type: ignore[arg-type]


def published(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_published_splits_are_matched_by_file_name(tmp_path: Path) -> None:
    content = {"pretrain": ["/data/mros/n.1.hdf5", "n2.hdf5", "n2.hdf5"], "test": ["C:\\x\\n3.edf"]}
    splits = Splits(published=read_published(published(tmp_path / "splits.json", content)))
    nights = ["n.1", "elsewhere/n2", "n3", "n4"]
    assert [splits.split_of(night) for night in nights] == ["pretrain", "pretrain", "test", None]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([], "does not hold lists of paths"),
        ({"train": "n1"}, "does not hold lists of paths"),
        ({"train": [1]}, "does not hold lists of paths"),
        ({"train": ["a/n1.h5"], "test": ["b/n1.hdf5"]}, "has n1 in train and in test"),
        ({"my split": []}, "split 'my split' is no name"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: object, fault: str) -> None:
    path = published(tmp_path / "splits.json", content)
    with pytest.raises(InputError, match=fault) as caught:
        read_published(path)
    assert str(caught.value).startswith(str(path))


def test_no_json_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("train: n1")
    with pytest.raises(InputError, match="is no JSON"):
        read_published(tmp_path / "text")
    with pytest.raises(InputError, match="cannot be read"):
        read_published(tmp_path / "absent")
