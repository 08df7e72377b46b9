"""The contrastive losses against the published numbers, and what absent modalities mean."""

import functools
from collections.abc import Callable

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm_jax import losses
from tests import golden

LOSSES = np.load(golden.DATA / "losses.npz")
KINDS = {"leave_one_out": losses.leave_one_out, "pairwise": losses.pairwise}


@functools.cache
def compiled(kind: str) -> Callable:
    def value(embeddings, present, temperature):
        out = KINDS[kind](embeddings, present, temperature)
        return out.loss, out

    return jax.jit(jax.value_and_grad(value, argnums=(0, 2), has_aux=True))


def evaluate(kind: str, embeddings: np.ndarray, present: np.ndarray, temperature: float = 0.5):
    """The loss and all about it, the gradient of the embeddings and of the temperature."""
    with jax.enable_x64(True):
        (_, out), gradients = compiled(kind)(embeddings, present, np.float64(temperature))
        return jax.tree.map(np.asarray, (out, *gradients))


def unit(B: int = 8, M: int = 4, E: int = 16) -> np.ndarray:
    raw = np.stack([golden.signal(f"emb/{m}", B, E) for m in range(M)], axis=1)
    return raw / np.linalg.norm(raw, axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_gradients_equal_the_published_ones(kind: str) -> None:
    out, gradient, slope = evaluate(kind, unit(), np.ones((8, 4), bool), 1.3)
    assert 8 * float(out.loss) == pytest.approx(float(LOSSES[f"{kind}/loss"]), rel=1e-14)
    assert 8 * float(slope) == pytest.approx(float(LOSSES[f"{kind}/dtemperature"]), rel=1e-13)
    for m in range(4):
        assert golden.error(8 * gradient[:, m], LOSSES[f"{kind}/demb{m}"]) < 1e-14


@pytest.mark.parametrize("kind", KINDS)
def test_length_of_an_embedding_does_not_matter(kind: str) -> None:
    long = unit() * np.linspace(0.01, 100, 32).reshape(8, 4, 1)
    everywhere = np.ones((8, 4), bool)
    expected = evaluate(kind, unit(), everywhere)[0]
    np.testing.assert_allclose(
        evaluate(kind, long, everywhere)[0].terms, expected.terms, rtol=1e-12
    )


def by_hand(kind: str, embeddings: np.ndarray, present: np.ndarray, temperature: float) -> float:
    """The definition, term by term, over the samples that take part in it."""
    e = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    M = e.shape[1]
    terms = []
    if kind == "pairwise":
        for i, j in losses.pairs(M):
            rows = present[:, i] & present[:, j]
            terms.append((e[rows, i], e[rows, j]))
    else:
        for m in range(M):
            rows = present[:, m] & (present.sum(axis=1) > 1)
            others = present & (np.arange(M) != m)
            rest = np.array(
                [row[kept].mean(axis=0) for row, kept in zip(e[rows], others[rows], strict=True)]
            )
            terms.append((e[rows, m], rest))
    total = pairs = 0.0
    for queries, keys in terms:
        if not len(queries):
            continue
        logits = queries @ keys.T * np.exp(temperature)
        for direction in (logits, logits.T):
            total += (np.log(np.exp(direction).sum(1)) - np.diag(direction)).sum()
            pairs += len(direction)
    return total / max(pairs, 1)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(present=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=6, max_size=6))
def test_absent_modalities_are_left_out(kind: str, present: list[list[bool]]) -> None:
    mask = np.array(present)
    embeddings = unit(6)
    out, gradient, _ = evaluate(kind, embeddings, mask)
    assert float(out.loss) == pytest.approx(by_hand(kind, embeddings, mask, 0.5), rel=1e-12)
    assert np.isfinite(gradient).all()
    assert not gradient[~mask].any()
    assert not gradient[mask.sum(axis=1) < 2].any(), "a sample needs two modalities"
    # What an absent modality holds changes nothing: not zero, not huge, not NaN.
    for filling in (0.0, 1e300, np.nan):
        filled = np.where(mask[..., None], embeddings, filling)
        again, other, _ = evaluate(kind, filled, mask)
        np.testing.assert_array_equal(again.loss, out.loss)
        np.testing.assert_array_equal(other, gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_without_partners_leaves_the_others_alone(kind: str) -> None:
    some = np.ones((8, 4), bool)
    some[5:] = [True, False, False, False]
    expected = evaluate(kind, unit()[:5], some[:5])[0]
    found = evaluate(kind, unit(), some)[0]
    np.testing.assert_allclose(found.terms, expected.terms, rtol=1e-12)
    np.testing.assert_array_equal(found.accuracy, expected.accuracy)
    np.testing.assert_array_equal(found.samples, expected.samples)


def test_accuracy_stands_beside_its_own_loss() -> None:
    """Rows all find their partner while some columns do not, or the other way round."""
    E = np.eye(3)
    queries = np.stack([E[0], E[0] + 0.1 * E[1], E[2]])
    keys = np.stack([E[0], E[0] + 0.3 * E[1], E[2]])
    out = evaluate("pairwise", np.stack([queries, keys], axis=1), np.ones((3, 2), bool))[0]
    q, k = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, keys))
    rows = ((q @ k.T).argmax(axis=1) == np.arange(3)).mean()
    columns = ((k @ q.T).argmax(axis=1) == np.arange(3)).mean()
    assert rows != columns
    np.testing.assert_allclose(out.accuracy, [[rows, columns]])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_present_is_a_loss_of_zero(kind: str) -> None:
    out, gradient, slope = evaluate(kind, unit(), np.zeros((8, 4), bool))
    assert float(out.loss) == 0.0
    assert not gradient.any()
    assert float(slope) == 0.0
