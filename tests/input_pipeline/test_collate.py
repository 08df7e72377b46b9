"""Channels keep their modality, what is empty is zero, a place decides of its randomness."""

import logging
import pickle

import numpy as np
import pytest

from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.augment import Augmentation
from sleepfm_jax.input_pipeline.collate import Batch, Parts, WindowRows
from sleepfm_jax.input_pipeline.windows import SAMPLES, Window
from tests.input_pipeline.fake_windows import FakeWindows

EVERYTHING = Augmentation(channel_dropout=0.3, modality_dropout=0.3, amplitude_jitter=0.2)


class Listed:
    """Batches as listed."""

    def __init__(self, *batches: list[int]) -> None:
        self.batches = np.array(batches)

    def batch(self, index: int) -> np.ndarray:
        return self.batches[index]


def parts(*batches: list[int], slots: int = 8, **settings: object) -> Parts:
    rows = settings.pop("rows", slice(None))
    source = settings.pop("source", FakeWindows([6, 6, 6, 6]))
    looks = {name: settings.pop(name) for name in ("seed", "augmentation") if name in settings}
    form = WindowRows(slots, **looks)  # type: ignore[arg-type]
    return Parts(source, Listed(*batches), rows, form, **settings)  # type: ignore[arg-type]


def test_rows_hold_their_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, 7, dtype))
    batch = parts([3, 5, 20], threads=2)[0]
    monkeypatch.undo()
    source = FakeWindows([6, 6, 6, 6])
    assert {name: (values.shape, values.dtype.str) for name, values in batch.items()} == {
        "signals": ((3, 8, SAMPLES), "<f2"),
        "modality": ((3, 8), "|i1"),
        "patches": ((3,), "<i4"),
        "night": ((3,), "<i4"),
    }
    assert list(batch["night"]) == [0, 0, 3]
    assert list(batch["patches"]) == [4, 6, 21]
    for row, window in enumerate((3, 5, 20)):
        whole = source[window]
        real = whole.modality >= 0
        C = real.sum()
        assert np.array_equal(batch["signals"][row, :C], whole.signals[real])
        assert np.array_equal(batch["modality"][row, :C], whole.modality[real])
        assert not batch["signals"][row, C:].any()
        assert (batch["modality"][row, C:] == -1).all()


def matches(batch: Batch, windows: list[int]) -> None:
    """Every slot holds a channel of its modality of its window, as it was but for a gain."""
    source = FakeWindows([6, 6, 6, 6])
    for row, window in enumerate(windows):
        taken = batch["modality"][row] >= 0
        assert taken[: taken.sum()].all()
        signals = batch["signals"][row, taken].astype(np.float64)
        gain = signals[:, 0] / window
        channels = np.rint(signals[:, 1] / gain).astype(int) - 1
        assert (np.diff(channels) > 0).all()
        assert np.array_equal(source.modality(window)[channels], batch["modality"][row, taken])
        assert len(np.unique(batch["modality"][row, taken])) >= 2


@pytest.mark.parametrize("augmentation", [Augmentation(), EVERYTHING])
def test_more_channels_than_slots(augmentation: Augmentation) -> None:
    windows = [6, 13, 20, 5, 12, 19]  # 7 and 8 channels
    batch = parts(windows, slots=4, augmentation=augmentation)[0]
    matches(batch, windows)
    if augmentation == Augmentation():
        assert (batch["modality"] >= 0).all()
        kept = [set(row) for row in batch["modality"]]
        assert kept == [set(FakeWindows([24]).modality(i)) - {-1} for i in windows]


def test_randomness_is_of_the_place_alone() -> None:
    windows = [6, 6, 13, 13]
    made = parts(windows, windows, augmentation=EVERYTHING, seed=3)
    whole = made[0]
    matches(whole, windows)
    again = pickle.loads(pickle.dumps(parts(windows, windows, augmentation=EVERYTHING, seed=3)))[0]
    half = parts(windows, augmentation=EVERYTHING, seed=3, rows=slice(2, 4), threads=3)[0]
    for name in whole:
        assert np.array_equal(whole[name], again[name])
        assert np.array_equal(whole[name][2:], half[name])
    other = parts(windows, augmentation=EVERYTHING, seed=4)[0]
    assert not np.array_equal(whole["signals"], other["signals"])
    assert not np.array_equal(whole["signals"][0], whole["signals"][1])
    assert not np.array_equal(whole["signals"], made[1]["signals"])


def test_gains_reach_every_sample_of_a_channel() -> None:
    class Noise(FakeWindows):
        def __getitem__(self, index: object) -> Window:
            signals = np.random.default_rng(0).standard_normal((3, SAMPLES)).astype(np.float16)
            return Window(signals, np.array([0, 1, 2], np.int8), 60, "", 0.0, ())

    augmentation = Augmentation(amplitude_jitter=0.2)
    jittered = parts([1], source=Noise([6]), augmentation=augmentation)[0]["signals"][0, :3]
    plain = Noise([6])[1].signals
    gains = (jittered.astype(np.float64) * plain).sum(1) / (plain.astype(np.float64) ** 2).sum(1)
    assert len(set(np.round(gains, 4))) == 3
    scaled = (plain.astype(np.float32) * gains[:, None].astype(np.float32)).astype(np.float16)
    np.testing.assert_allclose(jittered.astype(float), scaled.astype(float), rtol=2e-3, atol=1e-6)


def test_empty_rows() -> None:
    batch = parts([5, -1])[0]
    assert list(batch["night"]) == [0, -1]
    assert list(batch["patches"]) == [6, 0]
    assert (batch["modality"][1] == -1).all()
    assert not batch["signals"][1].any()


def test_a_damaged_window_ends_or_stays_empty(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeWindows([6, 6], damaged=(3, 4))
    with pytest.raises(InputError, match="window 3 is damaged: pack it again"):
        parts([1, 3], source=source)[0]
    skipping = parts([1, 3], [3, 4], source=source, skip_damaged=True)
    with caplog.at_level(logging.WARNING):
        batch = skipping[0]
    assert list(batch["night"]) == [0, -1]
    assert not batch["signals"][1].any()
    assert "window 3 is damaged" in caplog.text
    with pytest.raises(InputError, match="window 3 is damaged"):
        skipping[1]  # nothing can be read: go no further
