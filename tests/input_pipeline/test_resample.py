"""Channels come to the model's rate as the published conversion brings them, sample for sample."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.signal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sleepfm_jax.input_pipeline import edf
from sleepfm_jax.input_pipeline.resample import Stretch, model_samples, to_model_rate

DATA = Path(__file__).parents[1] / "data"
STRIDE = 97  # the golden signals hold every 97th sample


def ulps(ours: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """How many float16 numbers lie between."""
    assert ours.dtype == golden.dtype == np.float16
    ranks = [
        np.where(
            values.view(np.int16) < 0, -(values.view(np.int16) & 0x7FFF), values.view(np.int16)
        )
        for values in (ours, golden)
    ]
    return np.abs(ranks[0].astype(int) - ranks[1])


def assert_same_samples(ours: np.ndarray, golden: np.ndarray) -> None:
    apart = ulps(ours, golden)
    assert (apart == 0).mean() >= 0.999
    assert apart.max() <= 1


def whole(samples: np.ndarray, rate: float) -> list[Stretch]:
    return [Stretch(0.0, len(samples) / rate, samples)]


def plainly(samples: np.ndarray, rate: float, highest_rate: float) -> np.ndarray:
    """Spec §4 in the plain words of MNE, SciPy and NumPy, before the z-score."""
    duration = len(samples) / rate
    count = round(duration * highest_rate)
    if count != len(samples):
        samples = mne.filter.resample(samples, count, len(samples), npad=0, verbose="error")
    if highest_rate > 128:
        cutoff = min(64, highest_rate / 2) / (highest_rate / 2)
        samples = scipy.signal.filtfilt(*scipy.signal.butter(4, cutoff), samples)
    old = np.linspace(0, duration, len(samples), endpoint=False)
    new = np.linspace(0, duration, int(duration * 128), endpoint=False)
    return np.interp(new, old, samples)


def z_scored(samples: np.ndarray) -> np.ndarray:
    return ((samples - samples.mean()) / samples.std()).astype(np.float16)


@pytest.mark.parametrize(
    ("name", "file", "constant"),
    [
        ("excerpt3", "dreams_excerpt3/excerpt3.edf", set()),
        ("short_psg", "sleep_edf_short/short_psg.edf", set()),
        ("subject1", "nox_a1_rsleep/subject1.edf", {"Light", "Abdomen CaL"}),
    ],
)
def test_every_channel_of_real_nights_is_golden(
    psg: Path, name: str, file: str, constant: set[str]
) -> None:
    golden = np.load(DATA / f"signals_{name}.npz")
    told = json.loads((DATA / f"signals_{name}.json").read_text())["channels"]
    ours, theirs = [], []
    with edf.open_recording(psg / file) as recording:
        for signal in recording.signals:
            samples = to_model_rate(
                whole(recording.read(signal), signal.rate),
                recording.highest_rate,
                recording.duration,
            )
            label = signal.label.replace("/", "∕")
            if label not in told:  # MNE reads UTF-8 as Latin-1
                label = label.encode().decode("latin-1")
            assert len(samples) == told.pop(label)["samples"]
            if signal.label in constant:
                assert not samples.any()
            else:
                ours.append(samples[::STRIDE])
                theirs.append(golden[f"signal/{label}"])
                assert_same_samples(ours[-1], theirs[-1])
    assert not told  # none is missing
    assert_same_samples(np.concatenate(ours), np.concatenate(theirs))


@given(
    rates=st.sampled_from([1, 4, 10, 25, 32, 50, 64, 100, 125, 128, 200, 256, 400, 500, 512, 1000])
    .flatmap(
        lambda highest: st.tuples(st.sampled_from([1, 8, 32, 50, 100, highest]), st.just(highest))
    )
    .filter(lambda rates: rates[0] <= rates[1]),
    seconds=st.integers(6, 40),
    offset=st.sampled_from([0.0, 95.0, -3e4]),
    seed=st.integers(0, 2**32 - 1),
)
@example(rates=(256, 256), seconds=300, offset=0.0, seed=0)
@example(rates=(512, 512), seconds=200, offset=0.0, seed=0)
@example(rates=(32, 200), seconds=120, offset=0.0, seed=0)
@example(rates=(2000, 2000), seconds=60, offset=0.0, seed=0)
@settings(max_examples=60, deadline=None)
def test_equals_the_plain_chain_at_any_rates(
    rates: tuple[int, int], seconds: int, offset: float, seed: int
) -> None:
    rate, highest_rate = rates
    samples = np.random.default_rng(seed).standard_normal(seconds * rate).cumsum() + offset
    before = samples.copy()
    ours = to_model_rate(whole(samples, rate), highest_rate, seconds)
    assert_same_samples(ours, z_scored(plainly(samples, rate, highest_rate)))
    np.testing.assert_array_equal(samples, before)  # the source is left as it was


@pytest.mark.parametrize(("count", "rate"), [(2571, 256), (3333, 200), (1999, 100), (7777, 512)])
def test_broken_seconds_end_where_the_published_ones_do(count: int, rate: int) -> None:
    samples = np.random.default_rng(0).standard_normal(count).cumsum()
    ours = to_model_rate(whole(samples, rate), rate, count / rate)
    assert len(ours) == count * 128 // rate == model_samples(count / rate)
    assert_same_samples(ours, z_scored(plainly(samples, rate, rate)))


@pytest.mark.parametrize("value", [0.0, 1e-9, -7.3, 1e9])
def test_constant_channels_are_zeros(value: float) -> None:
    samples = np.full(20 * 25, value)
    assert not to_model_rate(whole(samples, 25), 256, 20.0).any()


@given(scale=st.floats(1e-6, 1e6), offset=st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_units_do_not_matter(scale: float, offset: float) -> None:
    samples = np.random.default_rng(0).standard_normal(256 * 60)
    volts = to_model_rate(whole(samples, 256), 256, 60.0)
    others = to_model_rate(whole((samples + offset) * scale, 256), 256, 60.0)
    assert_same_samples(others, volts)


def test_stretches_are_converted_each_by_itself_and_gaps_are_zeros() -> None:
    random = np.random.default_rng(0)
    first, second = random.standard_normal(10 * 200), 5 + 2 * random.standard_normal(20 * 200)
    stretches = [Stretch(0.0, 10.0, first), Stretch(40.0, 60.0, second)]
    ours = to_model_rate(stretches, 200, 60.0)
    assert len(ours) == 60 * 128
    assert not ours[10 * 128 : 40 * 128].any()
    real = z_scored(np.concatenate([plainly(first, 200, 200), plainly(second, 200, 200)]))
    assert_same_samples(ours[: 10 * 128], real[: 10 * 128])
    assert_same_samples(ours[40 * 128 :], real[10 * 128 :])


@pytest.mark.parametrize("start", [20.0, 20.001, 20.005, 20.0078125])
def test_what_follows_a_gap_stands_at_its_true_time(start: float) -> None:
    def wave(begin: float, seconds: float) -> np.ndarray:
        return np.sin(2 * np.pi * (begin + np.arange(round(seconds * 256)) / 256))

    stretches = [Stretch(0.0, 10.0, wave(0, 10)), Stretch(start, start + 10, wave(start, 10))]
    ours = to_model_rate(stretches, 256, start + 10)
    times = np.arange(len(ours)) * (start + 10) / len(ours)
    inside = (times > start + 1) & (times < start + 9)  # away from the filter's ends
    expected = np.sin(2 * np.pi * times[inside]) * np.sqrt(2)
    np.testing.assert_allclose(ours[inside], expected, atol=2e-3)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 200, 4095, 4096, 4097, 9000])
def test_stretches_of_any_length(count: int) -> None:
    random = np.random.default_rng(0)
    long, short = random.standard_normal(20 * 256), random.standard_normal(count)
    duration = 30 + count / 256
    ours = to_model_rate([Stretch(0.0, 20.0, long), Stretch(30.0, duration, short)], 256, duration)
    assert np.isfinite(ours).all()
    if count > 15:  # the shortest that filtfilt takes with its usual edges
        low_pass = scipy.signal.butter(4, 0.5)
        times = np.arange(len(ours)) * duration / len(ours)
        expected = [
            np.interp(
                (times[(times >= start) & (times < stop)] - start) * 256,
                np.arange(len(samples)),
                scipy.signal.filtfilt(*low_pass, samples),
            )
            for start, stop, samples in ((0, 20, long), (30, duration, short))
        ]
        real = z_scored(np.concatenate(expected))
        assert_same_samples(ours[times >= 30], real[len(expected[0]) :])
