"""Recurrent layers in NumPy against the textbook's formulas in float64, and against Keras' own layers."""

import doctest

import numpy as np
import pytest

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


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def textbook(kind, x, state, kernel, recurrent, bias):
    """One step as papers write it, gates in Keras' order."""
    x, kernel, recurrent, bias = (array.astype(np.float64) for array in (x, kernel, recurrent, bias))
    h = state[0].astype(np.float64)
    gate = lambda array, number: array[..., number * U : (number + 1) * U]  # noqa: E731
    if kind == "rnn":
        return (np.tanh(x @ kernel + h @ recurrent + bias),)
    if kind == "lstm":
        z = x @ kernel + h @ recurrent + bias
        c = sigmoid(gate(z, 1)) * state[1] + sigmoid(gate(z, 0)) * np.tanh(gate(z, 2))
        return sigmoid(gate(z, 3)) * np.tanh(c), c
    inputs, states = x @ kernel + bias[0], h @ recurrent + bias[1]
    update, reset = (sigmoid(gate(inputs, number) + gate(states, number)) for number in (0, 1))
    candidate = np.tanh(gate(inputs, 2) + reset * gate(states, 2))
    return (update * h + (1 - update) * candidate,)


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
        state = textbook(kind, x, state, *weights(kind))
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
