"""Jobs take a WFDB record wherever they take an EDF; its signals are looked for beside it."""

from pathlib import Path

import numpy as np
import pytest

from sleepfm_jax.input_pipeline import nights, windows
from sleepfm_jax.input_pipeline.nights import Night
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.jobs import embed, head_nights
from sleepfm_jax.jobs.pack import pack
from sleepfm_jax.jobs.preprocess import preprocess
from tests.input_pipeline import wfdb_records


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    wfdb_records.write(folder, wfdb_records.digits(seconds=330))
    return folder


def test_a_record_is_packed_as_its_recording_is(cohort: Path, tmp_path: Path) -> None:
    assert preprocess([cohort], tmp_path / "hdf5", workers=1).done == 1
    splits = Splits(fractions=(1.0, 0.0, 0.0))
    for name, source in (("direct", cohort), ("through", tmp_path / "hdf5")):
        assert pack([source], tmp_path / name, splits=splits).done == 1
    direct, through = (windows.open_store(tmp_path / name) for name in ("direct", "through"))
    assert len(direct) == len(through) == 1
    assert direct[0].modality.tolist() == through[0].modality.tolist()
    np.testing.assert_array_equal(direct[0].signals, through[0].signals)


def test_what_embeds_and_what_stages_reads_the_same_night(cohort: Path, tmp_path: Path) -> None:
    path = cohort / "night.hea"
    expected = nights.load(path)
    (source,) = head_nights.find([cohort])
    foundation = head_nights.Foundation(tmp_path, None, "float32", "highest", 1, needed=False)
    for night in (embed.load(path, None, 1), foundation.read(source)):
        assert isinstance(night, Night)
        np.testing.assert_array_equal(night.signals, expected.signals)
        assert night.provenance["sha256"] == expected.provenance["sha256"]
