"""What the engine tells of its inside, against the textbook in float64 and Keras' cells stepped by hand."""

import numpy as np
import pytest
from networks import (
    COMBINATIONS,
    FEEDS,
    KINDS,
    TOKEN_IDS,
    TOLERANCE,
    N,
    U,
    arrays_of,
    assert_same_state,
    last_words,
    make,
    random_weights,
    textbook,
)

from wordlm.engine import Engine
from wordlm.layout import prefixes

GATES = {"lstm": ["input", "forget", "output", "candidate"], "gru": ["update", "reset", "candidate"], "rnn": []}


def reference(config, weights, token_ids):
    """Each layer's name, gates and states at the words of one row, from nothing; and the top."""
    embedding = weights["embedding"].astype(np.float64)
    is_read = embedding[token_ids].any(axis=1) if config.masking else np.array(token_ids) != 0
    x, layers = embedding[token_ids], []
    for number in range(1, config.layers + 1):
        outputs, last = [], []
        for name, way in zip(prefixes(config, number), (1, -1), strict=False):
            arrays = [weights[f"{name}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
            state = tuple(np.zeros(config.units) for _ in range(2 if config.cell == "lstm" else 1))
            gates, states = [None] * len(x), [None] * len(x)
            for time in range(len(x))[::way]:
                new_gates, new = textbook(config.cell, x[time], state, *arrays)
                state = new if is_read[time] else state
                gates[time] = {k: v if is_read[time] else np.full_like(v, np.nan) for k, v in new_gates.items()}
                states[time] = state
            layers.append((name, gates, states))
            outputs.append([state[0] for state in states])
            last.append(state[0])
        x = np.concatenate(outputs, axis=-1)
    top = np.concatenate(last)[np.newaxis] if config.context else x
    if config.dense:
        top = np.maximum(top @ weights["dense/kernel"].astype(np.float64) + weights["dense/bias"], 0)
    return is_read, layers, top


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_a_trace_is_the_textbook(options):
    config = make(**options)
    weights = random_weights(config)
    trace, _ = Engine(config, weights).trace(TOKEN_IDS)
    assert [layer.name for layer in trace.layers] == [
        name for number in range(1, config.layers + 1) for name in prefixes(config, number)
    ]
    for row, token_ids in enumerate(TOKEN_IDS.tolist()):
        words = last_words(token_ids, config) if config.context else token_ids
        assert trace.token_ids[row].tolist() == words
        is_read, layers, top = reference(config, weights, words)
        np.testing.assert_array_equal(trace.is_read[row], is_read)
        for ours, (name, gates, states) in zip(trace.layers, layers, strict=True):
            assert ours.name == name
            assert list(ours.gates) == GATES[config.cell]
            for gate, array in ours.gates.items():
                np.testing.assert_allclose(array[row], [g[gate] for g in gates], rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(ours.hidden[row], [state[0] for state in states], rtol=0, atol=TOLERANCE)
            if config.cell == "lstm":
                np.testing.assert_allclose(ours.cell[row], [state[1] for state in states], rtol=0, atol=TOLERANCE)
            else:
                assert ours.cell is None
        np.testing.assert_allclose(trace.top[row], top, rtol=0, atol=2 * TOLERANCE)


@pytest.mark.parametrize("options", COMBINATIONS[::2], ids=str)
def test_a_trace_ends_where_a_run_ends(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    start = engine.read(TOKEN_IDS[:, :3])
    before = [array.copy() for array in arrays_of(start)]
    trace, end = engine.trace(TOKEN_IDS[:, 3:], start)
    logprobs, expected = engine.run(TOKEN_IDS[:, 3:], start)
    assert_same_state(end, expected)
    if config.context:
        logprobs = logprobs[:, -1:]
    np.testing.assert_allclose(engine.logprobs(trace.top), logprobs, rtol=0, atol=1e-6)
    for array, copy in zip(arrays_of(start), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert trace.top.dtype == np.float32
    for layer in trace.layers:
        assert layer.hidden.shape == (*trace.token_ids.shape, U)
        assert all(array.shape == layer.hidden.shape for array in layer.gates.values())


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", KINDS)
def test_a_trace_is_the_cells_of_keras_stepped_by_hand(cell, layers):
    keras = pytest.importorskip("keras")
    kinds = {"lstm": keras.layers.LSTMCell, "gru": keras.layers.GRUCell, "rnn": keras.layers.SimpleRNNCell}
    config = make(cell=cell, layers=layers)
    weights = random_weights(config)
    token_ids = TOKEN_IDS[[0, 3]]
    trace, state = Engine(config, weights).trace(token_ids)
    inputs = weights["embedding"][token_ids.T]
    for number, layer in enumerate(trace.layers, 1):
        theirs = kinds[cell](U)
        theirs.build((None, inputs.shape[-1]))
        theirs.set_weights([weights[f"recurrent_{number}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")])
        states = [np.zeros((2, U), np.float32) for _ in range(2 if cell == "lstm" else 1)]
        outputs = []
        for time, x in enumerate(inputs):
            output, states = theirs(x, states)
            outputs.append(np.asarray(output))
            np.testing.assert_allclose(layer.hidden[:, time], np.asarray(states[0]), rtol=0, atol=TOLERANCE)
            if cell == "lstm":
                np.testing.assert_allclose(layer.cell[:, time], np.asarray(states[1]), rtol=0, atol=TOLERANCE)
        for ours, last in zip(state.layers[number - 1], states, strict=True):
            np.testing.assert_allclose(ours, np.asarray(last), rtol=0, atol=TOLERANCE)
        inputs = np.stack(outputs)


def test_gates_make_the_states():
    """The equations of an LSTM hold between the arrays of a trace."""
    config = make(layers=2)
    trace, _ = Engine(config, random_weights(config)).trace([[5, 9, 12, 8]])
    for layer in trace.layers:
        gates = layer.gates
        before = np.concatenate([np.zeros((1, 1, U)), layer.cell[:, :-1]], axis=1)
        cell = gates["forget"] * before + gates["input"] * gates["candidate"]
        np.testing.assert_allclose(layer.cell, cell, rtol=0, atol=1e-6)
        np.testing.assert_allclose(layer.hidden, gates["output"] * np.tanh(cell), rtol=0, atol=1e-6)
        for name, array in gates.items():
            assert np.abs(array).max() <= 1
            assert name == "candidate" or array.min() >= 0


def test_a_window_is_traced_as_far_as_texts_reach():
    config = make(context=N, bidirectional=True)
    engine = Engine(config, random_weights(config))
    trace, _ = engine.trace([[5, 6, 0], [7, 0, 0]])
    assert trace.token_ids.tolist() == [[5, 6], [7, 0]]
    assert trace.is_read.tolist() == [[True, True], [True, False]]
    assert [layer.name for layer in trace.layers] == ["recurrent_1/forward", "recurrent_1/backward"]
    assert trace.top.shape == (2, 1, 2 * U)
    # The backward layer comes from the end: its state at the first word has seen all.
    np.testing.assert_array_equal(trace.top[:, 0, U:], trace.layers[1].hidden[:, 0])
    np.testing.assert_array_equal(trace.top[:, 0, :U], trace.layers[0].hidden[:, -1])


@pytest.mark.parametrize("options", FEEDS, ids=str)
def test_nothing_has_an_empty_trace(options):
    engine = Engine(make(**options), random_weights(make(**options)))
    trace, state = engine.trace(np.zeros((2, 0), int))
    assert trace.token_ids.shape == trace.is_read.shape == (2, 0)
    assert all(layer.hidden.shape == (2, 0, U) for layer in trace.layers)
    assert_same_state(state, engine.initial_state(2))


def test_the_trace_keeps_no_memory_of_the_state():
    # Or a state held for later would hold all arrays of the trace.
    engine = Engine(make(), random_weights(make()))
    _, state = engine.trace(TOKEN_IDS)
    for array in arrays_of(state):
        assert array.base is None
