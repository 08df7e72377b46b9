"""The embedding job: numbers, resuming, and nights that fail among nights that do not."""

import shutil
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from conversion.models import create_checkpoint, import_checkpoint
from sleepfm_jax import inference, saved_model
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import embeddings
from sleepfm_jax.input_pipeline.simulate import simulate_night, write_edf
from sleepfm_jax.jobs.embed import embed
from sleepfm_jax.jobs.preprocess import preprocess
from sleepfm_jax.models.foundation import FoundationConfig

CONFIG = FoundationConfig(embed_dim=32, num_heads=4, num_layers=1, pooling_heads=2, feed_forward=64)


def make_model(folder: Path, seed: int = 0) -> Path:
    checkpoint = create_checkpoint(CONFIG, seed)
    saved_model.save(folder, import_checkpoint(checkpoint, CONFIG, {}))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated night of 8 minutes: one whole window and a partial one."""
    path = tmp_path_factory.mktemp("nights") / "night.edf"
    write_edf(path, simulate_night(seed=3, night=0, hours=8 / 60))
    return path


def test_job_and_interface_give_the_same_numbers(night: Path, model: Path, tmp_path: Path) -> None:
    assert embed([night], model, tmp_path).status == 0
    stored = embeddings.read(tmp_path, "night")
    direct = inference.load(model).embed(night)
    assert stored.labels == direct.labels
    for kind in ("pooled", "sequence"):
        for modality, rows in getattr(direct, kind).items():
            np.testing.assert_array_equal(getattr(stored, kind)[modality], rows)
    assert {len(rows) for rows in stored.pooled.values()} == {2}
    assert {len(rows) for rows in stored.sequence.values()} == {96}


def test_preprocessed_or_not_the_numbers_are_the_same(
    night: Path, model: Path, tmp_path: Path
) -> None:
    preprocess([night], tmp_path / "recordings", workers=1)
    embed([tmp_path / "recordings"], model, tmp_path / "two_steps")
    embed([night], model, tmp_path / "one_step")
    one, two = (embeddings.read(tmp_path / kind, "night") for kind in ("one_step", "two_steps"))
    assert one.labels == two.labels
    for modality in one.sequence:
        np.testing.assert_array_equal(one.sequence[modality], two.sequence[modality])


def test_attributes_tell_step_model_and_source_but_no_folder_or_date(
    night: Path, model: Path, tmp_path: Path
) -> None:
    embed([night], model, tmp_path)
    for kind, step in (("pooled", 300.0), ("sequence", 5.0)):
        with h5py.File(tmp_path / kind / "night.hdf5") as file:
            attributes = dict(file.attrs)
            assert all(dataset.dtype == np.float32 for dataset in file.values())
        assert attributes["start"] == 0.0
        assert attributes["step"] == step
        assert attributes["source"] == "night.edf"
        assert attributes["model"] == "small"
        assert attributes["model_sha256"] == saved_model.load(model).content_hash
        assert not any(str(night.parent) in str(value) for value in attributes.values())


def test_a_second_run_skips_what_is_done_and_a_change_is_embedded_again(
    night: Path, model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "night.edf"
    shutil.copy(night, copy)
    output = tmp_path / "out"
    assert embed([copy], model, output).done == 1
    assert embed([copy], model, output).skipped == [(str(copy), "done before")]
    assert embed([copy], model, output, overwrite=True).done == 1
    (output / "pooled" / "night.hdf5").unlink()
    assert embed([copy], model, output).done == 1
    other = make_model(tmp_path / "other", seed=1)
    assert embed([copy], other, output).done == 1
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert embed([copy], other, output).done == 1


def test_failing_nights_are_listed_and_the_others_embedded(
    night: Path, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "nights"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(night, folder / "b.edf")
    shutil.copy(night, folder / "sub" / "b.edf")
    (folder / "a.edf").write_bytes(night.read_bytes()[:5000])
    (folder / "c.hdf5").write_text("no HDF5")
    summary = embed([folder], model, tmp_path / "out")
    assert (summary.done, summary.status) == (2, 1)
    assert sorted(Path(name).name for name, _ in summary.failed) == ["a.edf", "c.hdf5"]
    listed = (tmp_path / "out" / "failures.csv").read_text()
    assert "a.edf" in listed
    assert "c.hdf5" in listed
    assert (tmp_path / "out" / "sequence" / "sub" / "b.hdf5").is_file()


def test_two_nights_of_one_name_do_not_overwrite_one_another(
    night: Path, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "night.edf"
    other.parent.mkdir()
    shutil.copy(night, other)
    summary = embed([night, other], model, tmp_path / "out")
    assert (summary.done, len(summary.failed)) == (1, 1)
    assert "name" in summary.failed[0][1]
    later = embed([other], model, tmp_path / "out")
    assert later.status == 2
    assert "another file named night.edf" in later.failed[0][1]


def test_nights_of_one_montage_are_compiled_for_once(
    night: Path, model: Path, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        shutil.copy(night, tmp_path / f"{name}.edf")
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    embed([tmp_path / "a.edf"], model, tmp_path / "one")
    first = len(compiled)
    embed([tmp_path / f"{name}.edf" for name in "abc"], model, tmp_path / "three")
    assert 0 < len(compiled) - first <= first


def test_no_model_and_no_night_are_refused_in_a_sentence(
    night: Path, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no model is here"):
        embed([night], tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        embed([tmp_path / "none.edf"], model, tmp_path / "out")
