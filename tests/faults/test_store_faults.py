"""Whatever happens to pack, no store is half there; whatever happens to a store, reading tells."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline import store_index, store_shards, windows
from sleepfm_jax.input_pipeline.splits import Splits
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS
from sleepfm_jax.jobs.pack import pack
from tests.input_pipeline import small_nights
from tests.input_pipeline.test_recording_windows import assert_same

ALL_TRAIN = Splits(fractions=(1.0, 0.0, 0.0))
RUN = """
import sys
from sleepfm_jax.commands.pack import main
from sleepfm_jax.errors import InputError
try:
    sys.exit(main(sys.argv[1:]))
except InputError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_nights.cohort(tmp_path_factory.mktemp("cohort"), nights=6, patches=600)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    small_nights.cohort(tmp_path / "few")
    pack([tmp_path / "few"], tmp_path / "store", splits=ALL_TRAIN)
    return tmp_path / "store"


def shard_of(store: Path) -> Path:
    (path,) = store.glob("*train.array_record*")
    return path


def attempt(source: windows.Source, index: int) -> windows.Window | str:
    """A window, or why it cannot be read."""
    try:
        return source[index]
    except InputError as error:
        return str(error)


@pytest.mark.parametrize(
    ("phase", "how"),
    [
        (".cut/*.records", signal.SIGKILL),
        ("sleepfm_windows-train.*", signal.SIGKILL),
        ("sleepfm_windows-train.*", signal.SIGINT),
    ],
)
def test_an_interrupted_run_leaves_the_old_store_or_none(
    cohort: Path,
    tmp_path: Path,
    phase: str,
    how: signal.Signals,
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "store"
    command = [sys.executable, "-c", RUN, "--output", str(output), "--fractions", "1,0,0"]
    process = subprocess.Popen([*command, str(cohort)])
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(f".store.*.partial/{phase}")):
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(how)
    ended = process.wait()
    assert ended == (-9 if how == signal.SIGKILL else 130)
    assert not output.exists()
    assert bool(list(tmp_path.glob(".store.*"))) == (how == signal.SIGKILL)
    assert pack([cohort / "p0-a.hdf5"], output, splits=ALL_TRAIN).done == 1
    assert len(windows.open_store(output)) == 10
    assert ("was left by a run that was killed" in caplog.text) == (how == signal.SIGKILL)


@pytest.mark.parametrize("room", [300_000, 2_000_000])
def test_a_full_disk_is_one_sentence_and_no_store(cohort: Path, tmp_path: Path, room: int) -> None:
    """The smaller stops a night's records, the larger a shard."""
    limit = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
"""
    output = tmp_path / "store"
    command = [sys.executable, "-c", limit + RUN, "--output", str(output)]
    done = subprocess.run(
        [*command, "--fractions", "1,0,0", *map(str, sorted(cohort.iterdir()))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{output} cannot be written (File too large): make room on the disk")
    assert not list(tmp_path.iterdir())


def test_a_truncated_or_missing_shard_is_named_at_once(store: Path) -> None:
    shard = shard_of(store)
    content = shard.read_bytes()
    for cut in (1, 70_000, len(content)):
        shard.write_bytes(content[: len(content) - cut])
        with pytest.raises(InputError, match="is cut short") as caught:
            windows.open_store(store)
        assert str(caught.value).startswith(str(shard))
    shard.write_bytes(content + b"more")
    with pytest.raises(InputError, match="is too long"):
        windows.open_store(store)
    shard.unlink()
    with pytest.raises(InputError, match=f"{shard.name} cannot be read"):
        windows.open_store(store)


def test_no_flipped_bit_of_a_shard_passes(store: Path) -> None:
    """Either every window is as before, or the error names the shard and the night."""
    shard = shard_of(store)
    content = shard.read_bytes()
    before = [*windows.open_store(store)]
    random = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[random.integers(len(content))] ^= 1 << int(random.integers(8))
        shard.write_bytes(damaged)
        source = windows.open_store(store)
        for index, window in enumerate(before):
            read = attempt(source, index)
            if isinstance(read, str):
                found += 1
                assert read.startswith(f"{shard} is damaged")
                assert "\n" not in read
            else:
                assert_same(read, window)
    assert found > 30


def test_damage_to_a_record_names_its_night_and_spares_the_others(store: Path) -> None:
    shard = shard_of(store)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    source = windows.open_store(store)
    read = [attempt(source, index) for index in range(len(source))]
    (bad,) = [index for index, window in enumerate(read) if isinstance(window, str)]
    assert f"is damaged in night {source.nights[source.night_of[bad]]}: " in str(read[bad])


def test_a_shard_of_another_store_is_noticed(store: Path, tmp_path: Path) -> None:
    for number in range(4):
        small_nights.night(tmp_path / "others" / f"x{number}-a.hdf5", number)
    pack([tmp_path / "others"], tmp_path / "other", splits=ALL_TRAIN)
    strange = shard_of(tmp_path / "other").read_bytes()
    shard = shard_of(store)
    assert len(strange) == shard.stat().st_size  # so that its size says nothing
    shard.write_bytes(strange)
    with pytest.raises(InputError, match=r"is damaged in night p0-a: .*a window of x0-a stands"):
        windows.open_store(store)[0]


def test_a_changed_index_is_refused(store: Path) -> None:
    path = store / WINDOWS.file
    text = path.read_text()
    for changed in (text.replace("p0-a", "p0-c"), text[:-30], "[]", "", "no JSON"):
        assert changed != text
        path.write_text(changed)
        with pytest.raises(InputError, match=r"windows.json is damaged: copy"):
            windows.open_store(store)


def test_an_index_of_another_format_is_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_index, "FORMAT", 99)
    with pytest.raises(InputError, match="is of format 1, not 99: pack again"):
        windows.open_store(store)


def test_an_index_that_does_not_add_up_is_refused(store: Path) -> None:
    index = store_index.read(store, WINDOWS)
    store_index.write(store, WINDOWS, store_index.Index(index.nights[:-1], index.shards, {}))
    with pytest.raises(InputError, match="counts other windows in nights and shards of train"):
        windows.open_store(store)


def test_a_shard_with_other_counts_is_refused(store: Path) -> None:
    content = json.loads((store / WINDOWS.file).read_text())
    index = store_index.read(store, WINDOWS)
    (shard,) = index.shards["train"]
    last = index.nights[-1]
    more = store_index.NightEntry(**{**vars(last), "records": last.records + 1})
    shards = {"train": (store_index.Shard(shard.file, shard.records + 1, shard.size),)}
    store_index.write(
        store,
        WINDOWS,
        store_index.Index((*index.nights[:-1], more), shards, content["made_with"]),
    )
    with pytest.raises(InputError, match=f"{shard.records} of {shard.records + 1} windows"):
        windows.open_store(store)[0]


def test_a_write_that_stops_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_shards, "write", breaks)
    small_nights.night(tmp_path / "n.hdf5")
    with pytest.raises(InputError, match=r"store cannot be written \(No space left on device\)"):
        pack([tmp_path / "n.hdf5"], tmp_path / "store", splits=ALL_TRAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["n.hdf5"]


def test_a_shard_that_was_not_written_whole_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store_shards.write

    def cut_short(folder: Path, *rest: Any) -> dict[str, tuple[store_index.Shard, ...]]:
        ((shard,),) = whole(folder, *rest).values()
        path = folder / shard.file
        path.write_bytes(path.read_bytes()[:1000])
        return {"train": (store_index.Shard(shard.file, shard.records, 1000),)}

    monkeypatch.setattr(store_shards, "write", cut_short)
    small_nights.night(tmp_path / "n.hdf5")
    with pytest.raises(InputError, match="0 of 2 windows are found"):
        pack([tmp_path / "n.hdf5"], tmp_path / "store", splits=ALL_TRAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["n.hdf5"]


def test_what_appears_at_the_output_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store_shards.write

    def slowly(*all_: Any) -> dict[str, tuple[store_index.Shard, ...]]:
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / "notes.txt").write_text("mine")
        return write(*all_)

    monkeypatch.setattr(store_shards, "write", slowly)
    small_nights.night(tmp_path / "n.hdf5")
    with pytest.raises(InputError, match="is no window store"):
        pack([tmp_path / "n.hdf5"], tmp_path / "store", splits=ALL_TRAIN, overwrite=True)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["notes.txt"]
    assert not list(tmp_path.glob(".*"))
