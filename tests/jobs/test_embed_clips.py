"""Embedding clips: from a store and from recordings, again and again, with nights that fail."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm_jax import inference
from sleepfm_jax.errors import InputError
from sleepfm_jax.inference import Towers
from sleepfm_jax.input_pipeline import clip_embeddings, clips
from sleepfm_jax.input_pipeline.clip_embeddings import ClipEmbeddings
from sleepfm_jax.jobs import runner
from sleepfm_jax.jobs.cut_clips import HowToCut
from sleepfm_jax.jobs.embed_clips import embed_clips
from tests.inference import small_towers
from tests.jobs import small_clip_nights

NIGHTS = ("a_1", "a_2", "b_1")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip_nights.nights(tmp_path_factory.mktemp("nights"))


@pytest.fixture(scope="module")
def store(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip_nights.store(tmp_path_factory.mktemp("packed") / "store", recordings)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name is its seed; what is compiled is compiled once."""

    def load_towers(path: str, dtype: str, precision: str) -> Towers:  # noqa: ARG001
        return small_towers.towers(int(path))

    monkeypatch.setattr(inference, "load_towers", load_towers)
    return "0"


def read(folder: Path, name: str) -> ClipEmbeddings:
    return clip_embeddings.read(clip_embeddings.path_of(folder, name), name)


def run(paths: list[Path], model: str, output: Path, **more: object) -> runner.Summary:
    return embed_clips(paths, model, output, **more)  # type: ignore[arg-type]


def test_a_store_is_embedded_night_by_night_with_all_its_splits(
    store: Path, model: str, tmp_path: Path
) -> None:
    assert run([store], model, tmp_path).counts == "3 done, 0 skipped, 0 failed"
    for split, names in (("train", NIGHTS[:2]), ("test", NIGHTS[2:])):
        source = clips.open_store(store, split)
        for number, name in enumerate(names):
            rows = np.flatnonzero(source.night_of == number)
            of_night = [source[int(row)] for row in rows]
            signals = np.stack([clip.signals for clip in of_night])
            present = np.stack([clip.present for clip in of_night])
            found = read(tmp_path, name)
            expected = small_towers.towers().embed(signals, present)
            np.testing.assert_array_equal(found.rows, expected)
            assert found.present.tolist() == [[True] * 3] * len(rows)
            assert found.stages.tolist() == source.stages[rows].tolist()
            assert found.starts.tolist() == source.starts[rows].tolist()
            assert (found.subject, found.split) == (name[0], split)
            assert found.labels == ("Thor", "", "", "C3-M2", "", "", "", "", "ECG")


def test_recordings_give_the_numbers_of_the_store(
    recordings: Path, store: Path, model: str, tmp_path: Path
) -> None:
    run([store], model, tmp_path / "stored")
    run([recordings], model, tmp_path / "cut", how=HowToCut(labels=recordings))
    run([recordings], model, tmp_path / "beside")
    for name in NIGHTS:
        stored, cut, beside = (read(tmp_path / f, name) for f in ("stored", "cut", "beside"))
        assert cut.split is cut.subject is None
        for field in ("rows", "present", "starts", "stages"):
            np.testing.assert_array_equal(getattr(cut, field), getattr(stored, field))
            np.testing.assert_array_equal(getattr(beside, field), getattr(stored, field))
    assert read(tmp_path / "cut", "b_1").stages.tolist() == [2, 4, 0, 2]


def test_attributes_tell_model_and_source_but_no_folder(
    recordings: Path, model: str, tmp_path: Path
) -> None:
    run([recordings / "a_1.edf"], model, tmp_path)
    with h5py.File(tmp_path / "clips" / "a_1.hdf5") as file:
        told = dict(file.attrs)
    assert (told["step"], told["source"]) == (30.0, "a_1.edf")
    assert told["model_sha256"] == small_towers.saved().content_hash
    assert not any(str(recordings) in str(value) for value in told.values())


def test_a_second_run_skips_what_is_done_and_a_change_is_embedded_again(
    recordings: Path, store: Path, model: str, tmp_path: Path
) -> None:
    copy, output = tmp_path / "nights", tmp_path / "out"
    shutil.copytree(recordings, copy)
    assert run([copy], model, output).done == 3
    assert [reason for _, reason in run([copy], model, output).skipped] == ["done before"] * 3
    assert run([copy], model, output, overwrite=True).done == 3
    (output / "clips" / "a_1.hdf5").write_bytes(b"half a file")
    assert run([copy], model, output).done == 1
    small_clip_nights.score(copy, "b_1", np.array([3, 3, 3]), start=30.0)  # scored otherwise
    assert run([copy], model, output).done == 1
    assert read(output, "b_1").stages.tolist() == [3, 3, 3]
    assert run([copy], "1", output).done == 3  # another model
    places = HowToCut(places={"Thor": None})
    assert run([copy], "1", output, how=places).done == 3
    assert not read(output, "a_1").present[:, 0].any()
    rival = run([store], "1", output)
    assert (rival.done, rival.status) == (0, 2)
    assert "made from another file" in rival.failed[0][1]


def test_failing_nights_are_listed_and_the_others_embedded(
    recordings: Path, store: Path, model: str, tmp_path: Path
) -> None:
    folder = tmp_path / "nights"
    shutil.copytree(recordings, folder)
    (folder / "a_1.edf").write_bytes((folder / "a_1.edf").read_bytes()[:3000])
    (folder / "a_2.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,9\n")
    found = run([folder], model, tmp_path / "out")
    assert (found.done, found.status) == (1, 1)
    assert sorted(Path(name).name for name, _ in found.failed) == ["a_1.edf", "a_2.edf"]
    assert "a_1.edf" in (tmp_path / "out" / "failures.csv").read_text()
    damaged = tmp_path / "store"
    shutil.copytree(store, damaged)
    (shard,) = damaged.glob("*train*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    found = run([damaged], model, tmp_path / "of_store")
    assert found.done in (1, 2)
    assert found.status == 1
    assert "is damaged in night" in found.failed[0][1]


def test_embeddings_that_are_no_numbers_are_not_written(
    store: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Towers, "embed", lambda *_: np.full((2, 3, 6), np.nan, np.float32))
    found = run([store], model, tmp_path)
    assert (found.done, found.status) == (0, 2)
    assert "a_1: its embeddings are no numbers" in found.failed[0][1]
    assert not list(tmp_path.rglob("*.hdf5"))


def test_nights_of_one_name_do_not_overwrite_one_another(
    recordings: Path, store: Path, model: str, tmp_path: Path
) -> None:
    found = run([store, recordings / "a_1.edf"], model, tmp_path)
    assert (found.done, len(found.failed)) == (3, 1)
    assert "would take the name a_1" in found.failed[0][1]


def test_what_cannot_be_done_is_refused_in_a_sentence(
    recordings: Path, store: Path, model: str, tmp_path: Path
) -> None:
    how = HowToCut(labels=recordings)
    with pytest.raises(InputError, match="holds their stages: leave --labels out"):
        run([store], model, tmp_path, how=how)
    with pytest.raises(InputError, match="none is no folder"):
        run([recordings], model, tmp_path, how=dataclasses.replace(how, labels=tmp_path / "none"))
    with pytest.raises(InputError, match="does not exist"):
        run([tmp_path / "none.edf"], model, tmp_path)
