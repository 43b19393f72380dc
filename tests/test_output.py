"""The output layer against log softmax in float64, whichever way it goes about its product."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import output
from wordlm.errors import WordlmError
from wordlm.output import OutputLayer

D, V = 20, 90
RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((D, V)).astype(np.float32)
BIAS = RNG.standard_normal(V).astype(np.float32)


def reference(hidden, kernel=KERNEL, bias=BIAS):
    logits = hidden.astype(np.float64) @ kernel + bias
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def hidden_vectors(rows, active=D, seed=1):
    """Rows of which `active` numbers each are not zero."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((rows, D)).astype(np.float32)
    for row in hidden:
        row[rng.permutation(D)[active:]] = 0
    return hidden


def test_examples():
    result = doctest.testmod(output)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("active", [0, 1, 7, 8, D])
def test_log_softmax(active, large, monkeypatch):
    # Seven of twenty are few enough to go by the rows of the kernel that count, eight are not.
    monkeypatch.setattr(output, "_LARGE", 0 if large else KERNEL.size + 1)
    layer = OutputLayer(KERNEL, BIAS)
    assert layer.size == D
    for rows in (1, 2, 4, 5, 33):
        hidden = hidden_vectors(rows, active)
        logprobs = layer.logprobs(hidden)
        assert logprobs.dtype == np.float32
        np.testing.assert_allclose(logprobs, reference(hidden), rtol=0, atol=1e-5)


def test_rows_may_differ_in_what_is_active(monkeypatch):
    monkeypatch.setattr(output, "_LARGE", 0)
    hidden = np.concatenate([hidden_vectors(1, active) for active in (0, D, 3)])
    np.testing.assert_allclose(OutputLayer(KERNEL, BIAS).logprobs(hidden), reference(hidden), rtol=0, atol=1e-5)


def test_blocks_of_rows_are_all_rows(monkeypatch):
    hidden = hidden_vectors(33)
    for floats in (1, V, 5 * V + 1):
        monkeypatch.setattr(output, "_BLOCK_FLOATS", floats)
        np.testing.assert_allclose(OutputLayer(KERNEL, BIAS).logprobs(hidden), reference(hidden), rtol=0, atol=1e-5)


@given(st.lists(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=6))
def test_any_vectors(rows):
    hidden = np.array(rows, np.float32)
    logprobs = OutputLayer(KERNEL[:3], BIAS).logprobs(hidden)
    np.testing.assert_allclose(logprobs, reference(hidden, KERNEL[:3]), rtol=1e-5, atol=2e-4)
    np.testing.assert_allclose(np.exp(logprobs).sum(axis=1), 1, rtol=1e-4)


def test_no_rows():
    assert OutputLayer(KERNEL, BIAS).logprobs(np.empty((0, D), np.float32)).shape == (0, V)


def test_the_bias_alone_is_the_distribution():
    layer = OutputLayer(np.zeros((3, 4), np.float32), np.log(np.float32([4, 2, 1, 1])))
    np.testing.assert_allclose(np.exp(layer.logprobs(np.ones((2, 3), np.float32))), [[0.5, 0.25, 0.125, 0.125]] * 2)


def test_a_word_may_be_ruled_out_by_its_bias():
    bias = np.zeros(4, np.float32)
    bias[1] = np.finfo(np.float32).min
    logprobs = OutputLayer(np.zeros((3, 4), np.float32), bias).logprobs(np.ones((1, 3), np.float32))
    np.testing.assert_allclose(np.exp(logprobs), [[1 / 3, 0, 1 / 3, 1 / 3]], rtol=1e-6)


def test_inputs_stay_as_they_are():
    hidden, kernel, bias = hidden_vectors(2), KERNEL.copy(), BIAS.copy()
    before = hidden.copy()
    first = OutputLayer(kernel, bias).logprobs(hidden)
    kept = first.copy()
    OutputLayer(kernel, bias).logprobs(hidden[::-1])
    for array, copy in ((hidden, before), (kernel, KERNEL), (bias, BIAS), (first, kept)):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_noticed(bad, rows, large, monkeypatch):
    monkeypatch.setattr(output, "_LARGE", 0 if large else KERNEL.size + 1)
    for active in (1, D):
        hidden = hidden_vectors(rows, active)
        hidden[-1, np.flatnonzero(hidden[-1])[0]] = bad
        with np.errstate(invalid="ignore"), pytest.raises(WordlmError, match="predicts NaN"):
            OutputLayer(KERNEL, BIAS).logprobs(hidden)


@pytest.mark.parametrize("large", [False, True])
def test_overflow_is_noticed(large, monkeypatch):
    monkeypatch.setattr(output, "_LARGE", 0 if large else KERNEL.size + 1)
    kernel = KERNEL.copy()
    kernel[2, 17] = np.finfo(np.float32).max
    hidden = np.full((1, D), 2, np.float32)
    with np.errstate(all="ignore"), pytest.raises(WordlmError, match="predicts NaN"):
        OutputLayer(kernel, BIAS).logprobs(hidden)
