"""Stored embeddings: exactly as they stand, in memory or read again; what is damaged is named."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings, night_files
from sleepfm_jax.input_pipeline.embedded_nights import EmbeddedNights
from sleepfm_jax.input_pipeline.embeddings import NightEmbeddings
from sleepfm_jax.input_pipeline.modality import Modality
from tests.input_pipeline import small_embeddings

RNG = np.random.default_rng(0)


def bare(path: Path, **datasets: object) -> Path:
    """A file in the published layout, without attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file.create_dataset(name, data=data)
    return path


def of(*paths: Path, memory: int = 1 << 20) -> EmbeddedNights:
    return EmbeddedNights({path.stem: path for path in paths}, memory)


@pytest.mark.parametrize("memory", [0, 400, 1 << 20])
def test_runs_of_nights_are_those_stored(tmp_path: Path, memory: int) -> None:
    paths = [small_embeddings.write(tmp_path / f"{n}.hdf5", n, 10 + n) for n in range(4)]
    nights = of(*paths, memory=memory)
    assert (nights.names, nights.width) == (("0", "1", "2", "3"), small_embeddings.WIDTH)
    assert nights.steps.tolist() == [10, 11, 12, 13]
    batch = nights.rows(5, 12)
    for night in range(4):
        nights.fill(batch, night, night, slice(2, 9), RNG)
    for night in range(4):
        for modality in Modality:
            there = modality in small_embeddings.present(night)
            assert batch["present"][night, modality] == there
            expected = small_embeddings.values(night, modality, 10)[2:9] if there else 0
            np.testing.assert_array_equal(batch["embeddings"][night, modality, :7], expected)
    assert not batch["embeddings"][:, :, 7:].any()
    assert batch["steps"].tolist() == [7, 7, 7, 7, 0]
    assert not batch["present"][4].any()


def test_what_embed_writes_is_read_bit_for_bit(tmp_path: Path) -> None:
    rows = RNG.standard_normal((70, 8)).astype(np.float32)
    night = NightEmbeddings(
        "sub/night",
        pooled={"BAS": rows[:2], "EMG": rows[:2]},
        sequence={"BAS": rows, "EMG": -rows},
        labels={"BAS": ("C3-M2",), "EMG": ("Chin",)},
        left_out=(),
        provenance={"model_sha256": "ab"},
    )
    embeddings.write(tmp_path, night)
    nights = EmbeddedNights(night_files.find(tmp_path))
    assert nights.names == ("sub/night",)
    batch = nights.rows(1, 120)
    nights.fill(batch, 0, 0, slice(0, 70), RNG)
    assert batch["embeddings"][0, 0, :70].tobytes() == rows.tobytes()
    assert batch["embeddings"][0, 3, :70].tobytes() == (-rows).tobytes()
    assert batch["present"].tolist() == [[True, False, False, True]]


GOOD = np.ones((6, 3), np.float32)
HOLE = np.where(np.arange(18).reshape(6, 3) == 7, np.nan, GOOD)


@pytest.mark.parametrize(
    ("datasets", "reason"),
    [
        ({"BAS": GOOD, "RESP": HOLE}, "holds values that are no numbers in RESP: embed the night"),
        ({"BAS": HOLE * np.inf}, "holds values that are no numbers in BAS"),
        ({"BAS": GOOD, "EMG": GOOD[:5]}, "holds no embeddings, or modalities of different size"),
        ({"BAS": GOOD, "EMG": GOOD[:, :2]}, "holds no embeddings, or modalities of different size"),
        ({"BAS": GOOD[0]}, "holds no embeddings"),
        ({"BAS": GOOD.astype(int)}, "holds no embeddings"),
        ({"BAS": GOOD[:0]}, "holds no embeddings"),
        ({"EEG": GOOD}, "holds no embeddings"),
    ],
)
def test_a_night_that_cannot_be_used_is_left_out_by_name(
    tmp_path: Path, datasets: dict[str, np.ndarray], reason: str
) -> None:
    bad = bare(tmp_path / "bad.hdf5", **datasets)
    nights = of(bad, bare(tmp_path / "good.hdf5", BAS=GOOD))
    assert nights.names == ("good",)
    ((name, why),) = nights.left_out
    assert name == "bad"
    assert why.startswith(f"{bad} {reason}")


def test_damaged_files_and_groups_are_left_out_by_name(tmp_path: Path) -> None:
    cut = bare(tmp_path / "cut.hdf5", BAS=np.ones((1000, 3), np.float32))
    cut.write_bytes(cut.read_bytes()[:5000])
    (tmp_path / "text.hdf5").write_text("none")
    group = tmp_path / "group.hdf5"
    with h5py.File(group, "w") as file:
        file.create_group("BAS")
    paths = [cut, tmp_path / "text.hdf5", tmp_path / "absent.hdf5", group]
    nights = of(*paths)
    assert nights.names == ()
    assert [name for name, _ in nights.left_out] == ["cut", "text", "absent", "group"]
    assert all(str(path) in why for path, (_, why) in zip(paths, nights.left_out, strict=True))


def test_five_minute_embeddings_are_left_out_by_name(tmp_path: Path) -> None:
    nights = of(small_embeddings.write(tmp_path / "n.hdf5", 0, 5, step=300.0))
    assert "has a row every 300.0 s, not every 5 s: give the folder" in nights.left_out[0][1]


def test_nights_of_different_models_are_refused(tmp_path: Path) -> None:
    one = small_embeddings.write(tmp_path / "one.hdf5", 0, 5, model_sha256="ab")
    two = small_embeddings.write(tmp_path / "two.hdf5", 1, 5, model_sha256="cd")
    with pytest.raises(InputError, match=r"two\.hdf5 and .*one\.hdf5 were embedded by different"):
        of(one, two)
    wide = bare(tmp_path / "wide.hdf5", BAS=np.ones((5, 4), np.float32))
    with pytest.raises(InputError, match=r"wide\.hdf5 holds embeddings of width 4, .* of width 3"):
        of(one, wide)


def test_handles_are_closed(tmp_path: Path) -> None:
    path = small_embeddings.write(tmp_path / "0.hdf5", 0, 5)
    nights = of(path, memory=0)
    nights.fill(nights.rows(1, 60), 0, 0, slice(0, 5), RNG)
    with h5py.File(path, "r+") as file:  # refused while someone reads
        file.attrs["free"] = True
