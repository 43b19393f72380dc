"""Small networks with random weights, the Keras models of the same weights, and what the textbook computes."""

import itertools
import math

import numpy as np
import pytest

from wordlm.config import ModelConfig
from wordlm.layout import weight_shapes

V, D, U, N = 30, 5, 6, 4  # vocabulary, embedding, units, context
TOLERANCE = 1e-5

KINDS = ("lstm", "gru", "rnn")
FEEDS = ({"context": 0}, {"context": N}, {"context": N, "bidirectional": True})
COMBINATIONS = [
    {"cell": cell, "layers": layers, "dense": dense, "masking": masking, **feed}
    for cell, layers, dense, masking, feed in itertools.product(KINDS, (1, 2), (0, 8), (False, True), FEEDS)
]
# One layer without dense, two with it: for every day. The other half takes as long again.
SOME_DAILY = [
    pytest.param(o, marks=() if (o["layers"] == 2) == bool(o["dense"]) else pytest.mark.slow) for o in COMBINATIONS
]

# Padding at the end, in the middle and at the start, zero rows (3 and 7) everywhere, a row of padding alone.
TOKEN_IDS = np.array(
    [
        [5, 3, 9, 12, 7, 29, 4, 1],
        [2, 8, 3, 0, 0, 0, 0, 0],
        [0, 6, 0, 11, 3, 3, 7, 13],
        [3, 7, 3, 7, 5, 5, 5, 5],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
)


def make(**options):
    return ModelConfig(**{"vocab_size": V, "embedding_dim": D, "units": U, "dense": 0} | options)


def random_weights(config, seed=0, scale=1.5):
    """Glorot-like kernels and random biases; the vectors of padding and, with masking, of words 3 and 7 are zero."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes(config).items():
        fan = sum(shape) / len(shape) if name.endswith("kernel") else 1.0
        weights[name] = (scale * rng.standard_normal(shape) / math.sqrt(fan)).astype(np.float32)
    weights["embedding"][[0, 3, 7] if config.masking else [0]] = 0
    return weights


def zero_weights(config):
    return {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}


def keras_model(config, weights):
    pytest.importorskip("keras")
    from wordlm.model import build_model, set_weights

    model = build_model(config)
    set_weights(model, weights)
    return model


def last_words(token_ids, config):
    """The last `context` words of a row, padded on the right."""
    words = [word for word in token_ids if word != 0][-config.context :]
    return words + [0] * (config.context - len(words))


def arrays_of(state):
    return [array for layer in state.layers for array in layer] + ([] if state.window is None else [state.window])


def assert_same_state(a, b):
    for x, y in zip(arrays_of(a), arrays_of(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def textbook(kind, x, state, kernel, recurrent, bias):
    """One step of a cell in float64 as papers write it, with weights in Keras' order: gates by name, new state."""
    x, kernel, recurrent, bias, h = (np.asarray(a, np.float64) for a in (x, kernel, recurrent, bias, state[0]))
    if kind == "rnn":
        return {}, (np.tanh(x @ kernel + h @ recurrent + bias),)
    if kind == "lstm":
        i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
        gates = {"input": sigmoid(i), "forget": sigmoid(f), "output": sigmoid(o), "candidate": np.tanh(g)}
        c = gates["forget"] * state[1] + gates["input"] * gates["candidate"]
        return gates, (gates["output"] * np.tanh(c), c)
    inputs, states = np.split(x @ kernel + bias[0], 3, axis=-1), np.split(h @ recurrent + bias[1], 3, axis=-1)
    update, reset = (sigmoid(inputs[gate] + states[gate]) for gate in (0, 1))
    candidate = np.tanh(inputs[2] + reset * states[2])
    gates = {"update": update, "reset": reset, "candidate": candidate}
    return gates, (update * h + (1 - update) * candidate,)
