"""Recurrent layers in NumPy against the textbook's formulas in float64, and against Keras' own layers."""

import doctest

import numpy as np
import pytest
from networks import textbook

from wordlm import cells
from wordlm.cells import CELLS, PARTS, Recurrent

D, U, B, T = 4, 3, 2, 6
RNG = np.random.default_rng(0)
X = RNG.standard_normal((T, B, D)).astype(np.float32)


def weights(kind, scale=1.0):
    width = CELLS[kind].gates * U
    shapes = ((D, width), (U, width), (2, width) if kind == "gru" else (width,))
    rng = np.random.default_rng(1)
    return [(scale * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]


def random_state(kind):
    return tuple(RNG.uniform(-0.9, 0.9, (B, U)).astype(np.float32) for _ in range(CELLS[kind].states))


def test_examples():
    result = doctest.testmod(cells)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("kind", CELLS)
def test_scan_is_the_textbook(kind):
    layer = Recurrent(kind, *weights(kind))
    state = start = random_state(kind)
    before = [array.copy() for array in start]
    outputs, end = layer.scan(layer.project(X), start, None)
    for x, output in zip(X, outputs, strict=True):
        _, state = textbook(kind, x, state, *weights(kind))
        np.testing.assert_allclose(output, state[0], rtol=0, atol=1e-6)
    for array, expected in zip(end, state, strict=True):
        np.testing.assert_allclose(array, expected, rtol=0, atol=1e-6)
        assert array.dtype == np.float32
    for array, copy in zip(start, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("kind", CELLS)
def test_scan_is_the_layer_of_keras(kind):
    keras = pytest.importorskip("keras")
    kinds = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
    theirs = kinds[kind](U, return_sequences=True, return_state=True)
    start, mask = random_state(kind), np.array([[1, 1], [1, 0], [0, 1], [1, 1], [0, 0], [1, 1]], bool)
    theirs.build((B, T, D))
    theirs.set_weights(weights(kind))
    expected, *last = theirs(X.swapaxes(0, 1), initial_state=list(start), mask=mask.T)
    layer = Recurrent(kind, *weights(kind))
    outputs, end = layer.scan(layer.project(X), start, mask)
    np.testing.assert_allclose(outputs[mask], np.asarray(expected).swapaxes(0, 1)[mask], rtol=0, atol=1e-6)
    for array, other in zip(end, last, strict=True):
        np.testing.assert_allclose(array, np.asarray(other), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_a_masked_step_changes_nothing(kind):
    layer = Recurrent(kind, *weights(kind))
    start = random_state(kind)
    outputs, end = layer.scan(layer.project(X[:1]), start, np.array([[True, False]]))
    for array, old in zip(end, start, strict=True):
        np.testing.assert_array_equal(array[1], old[1])
        assert not np.isclose(array[0], old[0]).all()
    np.testing.assert_array_equal(outputs[0], end[0])


@pytest.mark.parametrize("kind", CELLS)
def test_saturated_gates_do_not_overflow(kind):
    layer = Recurrent(kind, *weights(kind, scale=1e4))
    with np.errstate(all="raise", under="ignore"):
        outputs, _ = layer.scan(layer.project(X), layer.zeros(B), None)
    assert np.isfinite(outputs).all()
    assert np.abs(outputs).max() <= 1


@pytest.mark.parametrize("kind", CELLS)
def test_no_steps(kind):
    layer = Recurrent(kind, *weights(kind))
    outputs, end = layer.scan(layer.project(X[:0]), layer.zeros(B), None)
    assert outputs.shape == (0, B, U)
    assert all(not array.any() and array.shape == (B, U) for array in end)
    assert len(PARTS) == len(weights(kind))


MASK = np.array([[1, 1], [1, 0], [0, 1], [1, 1], [0, 0], [1, 1]], bool)


@pytest.mark.parametrize("kind", CELLS)
def test_a_trace_is_the_textbook(kind):
    layer, start = Recurrent(kind, *weights(kind)), random_state(kind)
    before = [array.copy() for array in start]
    gates, states, end = layer.trace(X, start, MASK)
    state = start
    for time, (x, is_read) in enumerate(zip(X, MASK, strict=True)):
        expected, new = textbook(kind, x, state, *weights(kind))
        state = tuple(np.where(is_read[:, np.newaxis], after, old) for after, old in zip(new, state, strict=True))
        assert set(gates) == set(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(gates[name][time, is_read], array[is_read], rtol=0, atol=1e-6)
            assert np.isnan(gates[name][time, ~is_read]).all()
        np.testing.assert_allclose(states[:, time], state, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(end, states[:, -1])
    for array, copy in zip(start, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("kind", CELLS)
def test_a_trace_is_a_scan(kind):
    layer, start = Recurrent(kind, *weights(kind)), random_state(kind)
    outputs, end = layer.scan(layer.project(X), start, MASK)
    _, states, last = layer.trace(X, start, MASK)
    np.testing.assert_allclose(states[0], outputs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(last, end, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", CELLS)
def test_a_trace_of_no_steps(kind):
    layer, start = Recurrent(kind, *weights(kind)), random_state(kind)
    gates, states, end = layer.trace(X[:0], start, MASK[:0])
    assert all(array.shape == (0, B, U) for array in gates.values())
    assert states.shape == (len(start), 0, B, U)
    assert end is start
