"""The output layer against log softmax in float64, whichever way it goes about its product."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import output
from wordlm.errors import OptionError, WordlmError
from wordlm.measures import measure_logprobs
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


def assert_measures(measures, logprobs, targets, atol=1e-5):
    expected = measure_logprobs(logprobs, targets)
    np.testing.assert_allclose(measures.surprisal, expected.surprisal, rtol=0, atol=atol)
    np.testing.assert_allclose(measures.entropy, expected.entropy, rtol=0, atol=atol)
    np.testing.assert_allclose(measures.confidence, expected.confidence, rtol=1e-5)
    np.testing.assert_array_equal(measures.rank, expected.rank)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 33, 700])
def test_measures_are_those_of_float64(rows, large, monkeypatch):
    monkeypatch.setattr(output, "_LARGE", 0 if large else KERNEL.size + 1)
    hidden, targets = hidden_vectors(rows, 7), np.arange(rows) % V
    measures = OutputLayer(KERNEL, BIAS).measure(hidden, targets)
    assert measures.surprisal.dtype == measures.entropy.dtype == measures.confidence.dtype == np.float64
    assert measures.rank.dtype == np.int64
    assert_measures(measures, reference(hidden), targets)


@pytest.mark.parametrize("product", [1, 4 * V, 10 * V])
@pytest.mark.parametrize("block", [1, 3 * V + 1])
@pytest.mark.parametrize("gathered", [1, 10, 1000])
def test_blocks_and_threads_change_nothing(product, block, gathered, monkeypatch):
    hidden, targets = hidden_vectors(41), np.arange(41)
    expected = reference(hidden)
    monkeypatch.setattr(output, "_PRODUCT_FLOATS", product)
    monkeypatch.setattr(output, "_BLOCK_FLOATS", block)
    monkeypatch.setattr(output, "_GATHERED_ROWS", gathered)
    monkeypatch.setattr(output, "_PARALLEL_FLOATS", 1)
    layer = OutputLayer(KERNEL, BIAS)
    assert_measures(layer.measure(hidden, targets), expected, targets)
    pieces = [(hidden[start : start + 6], targets[start : start + 6]) for start in range(0, 41, 6)]
    measures = layer.measure_all(iter(pieces), look=lambda logits, words: logits[np.arange(len(words)), words])
    assert_measures(measures, expected, targets)
    # The logits that are looked at are log-probabilities, but for a number a row.
    best = expected.max(axis=1)
    np.testing.assert_allclose(measures.looked, expected[np.arange(41), targets] - best, rtol=0, atol=1e-5)


def test_equal_logits_share_a_rank():
    # A layer of two words that are the same, and a last one that is likelier.
    kernel = np.float32([[1, 1, 2]])
    measures = OutputLayer(kernel, np.zeros(3, np.float32)).measure(np.ones((3, 1), np.float32), [0, 1, 2])
    np.testing.assert_array_equal(measures.rank, [2, 2, 1])


@given(
    st.lists(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=6),
    st.integers(0, V - 1),
)
def test_what_holds_of_the_measures_of_any_vectors(rows, target):
    hidden = np.array(rows, np.float32)
    targets = np.full(len(rows), target)
    layer = OutputLayer(KERNEL[:3], BIAS)
    measures = layer.measure(hidden, targets)
    assert_measures(measures, layer.logprobs(hidden).astype(np.float64), targets, atol=1e-3)
    assert ((measures.entropy >= 0) & (measures.entropy <= np.log2(V) + 1e-5)).all()
    assert (measures.surprisal >= 0).all()
    certain = measures.rank == 1
    np.testing.assert_allclose(2.0 ** -measures.surprisal[certain], measures.confidence[certain], rtol=1e-5)


@pytest.mark.parametrize("impossible", [np.finfo(np.float32).min, -np.inf])
def test_a_word_that_cannot_be_adds_nothing_to_the_entropy(impossible):
    bias = np.float32([0, impossible, 0, 5])
    layer = OutputLayer(np.zeros((3, 4), np.float32), bias)
    measures = layer.measure(np.ones((2, 3), np.float32), [1, 3])
    others = OutputLayer(np.zeros((3, 3), np.float32), bias[[0, 2, 3]]).measure(np.ones((1, 3), np.float32), [2])
    np.testing.assert_allclose(measures.entropy, others.entropy[[0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(measures.rank, [4, 1])
    assert measures.surprisal[0] > 1e30
    assert measures.surprisal[1] == pytest.approx(others.surprisal[0], rel=1e-6)


@pytest.mark.parametrize("rows", [1, 6, 700])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_measured(bad, rows):
    hidden = hidden_vectors(rows)
    hidden[-1, 3] = bad
    layer = OutputLayer(KERNEL, BIAS)
    with np.errstate(invalid="ignore"), pytest.raises(WordlmError, match="predicts NaN"):
        layer.measure(hidden, np.zeros(rows, int))
    with np.errstate(invalid="ignore"), pytest.raises(WordlmError, match="predicts NaN"):
        layer.logprobs_of(hidden, [rows - 1], [0])


def test_targets_out_of_range_are_not_measured():
    with pytest.raises(OptionError, match="there is 90"):
        OutputLayer(KERNEL, BIAS).measure(hidden_vectors(2), [0, V])


@pytest.mark.parametrize("product", [5 * V, 1 << 23])
def test_logprobs_of_some_words(product, monkeypatch):
    monkeypatch.setattr(output, "_PRODUCT_FLOATS", product)
    monkeypatch.setattr(output, "_PARALLEL_FLOATS", 1)
    monkeypatch.setattr(output, "_BLOCK_FLOATS", 2 * V)
    hidden, rng = hidden_vectors(33), np.random.default_rng(2)
    rows, words = rng.integers(0, 33, 100), rng.integers(0, V, 100)
    logprobs = OutputLayer(KERNEL, BIAS).logprobs_of(hidden, rows, words)
    assert logprobs.dtype == np.float64
    np.testing.assert_allclose(logprobs, reference(hidden)[rows, words], rtol=0, atol=1e-5)
    assert OutputLayer(KERNEL, BIAS).logprobs_of(hidden, [], []).shape == (0,)
    assert OutputLayer(KERNEL, BIAS).logprobs_of(hidden[:0], [], []).shape == (0,)


def test_memory_is_used_again():
    layer, hidden = OutputLayer(KERNEL, BIAS), hidden_vectors(40)
    layer.measure(hidden, np.arange(40))
    rooms = {id(room) for room in layer._spare}
    assert 1 <= len(rooms) <= output._THREADS
    for _ in range(3):
        layer.measure(hidden, np.arange(40))
    assert len(layer._spare) <= output._THREADS
    assert rooms & {id(room) for room in layer._spare}


def test_what_was_looked_at_is_kept_as_it_was():
    # `look` may return a part of the logits, which the next block is written over.
    hidden = hidden_vectors(700)
    found = OutputLayer(KERNEL, BIAS).measure(hidden, np.zeros(700, int), look=lambda logits, words: logits[:, 5])
    expected = reference(hidden)
    np.testing.assert_allclose(found.looked, expected[:, 5] - expected.max(axis=1), rtol=0, atol=1e-5)
