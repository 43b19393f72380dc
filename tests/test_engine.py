"""The NumPy engine against Keras, closed forms and itself."""

import dataclasses
import doctest
import math

import numpy as np
import pytest
from networks import (
    COMBINATIONS,
    FEEDS,
    KINDS,
    SOME_DAILY,
    TOKEN_IDS,
    TOLERANCE,
    N,
    U,
    V,
    arrays_of,
    assert_same_state,
    keras_model,
    last_words,
    make,
    random_weights,
    sigmoid,
    zero_weights,
)

from wordlm import engine as engine_module
from wordlm.config import PRESETS, ModelConfig
from wordlm.engine import Engine, State
from wordlm.errors import BundleError, OptionError, WordlmError
from wordlm.layout import weight_shapes
from wordlm.measures import measure_logprobs


def keras_logprobs(config, weights):
    """The Keras model of the same weights, as a function of ids.

    Its logits are taken before the softmax, which would round what is far down: small probabilities are part
    of what is compared. That its probabilities are the engine's too is a test of its own.
    """
    keras = pytest.importorskip("keras")
    model = keras_model(config, weights)
    model.get_layer("output").activation = keras.activations.linear

    def predict(token_ids):
        logits = np.asarray(model(np.asarray(token_ids, np.int32), training=False), np.float64)
        logits -= logits.max(-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    return predict


@pytest.mark.parametrize("options", SOME_DAILY, ids=str)
def test_engine_equals_keras(options):
    config = make(**options)
    weights = random_weights(config)
    predict = keras_logprobs(config, weights)
    engine = Engine(config, weights)

    logprobs, state = engine.run(TOKEN_IDS)
    if config.context:
        windows = [last_words(row[: t + 1], config) for row in TOKEN_IDS.tolist() for t in range(len(row))]
        expected = predict(windows).reshape(logprobs.shape)
    else:
        expected = predict(TOKEN_IDS)
    assert logprobs.dtype == np.float32
    assert np.ptp(expected) > 1  # not a comparison of flat distributions
    np.testing.assert_allclose(logprobs, expected, rtol=0, atol=TOLERANCE)

    stepped, step_state = [], engine.initial_state(len(TOKEN_IDS))
    for column in TOKEN_IDS.T:
        logprobs_t, step_state = engine.step(column, step_state)
        stepped.append(logprobs_t)
    np.testing.assert_allclose(np.stack(stepped, axis=1), expected, rtol=0, atol=TOLERANCE)
    assert_same_state(step_state, state)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_equal_keras(preset):
    # The presets' own shapes, with fewer units, words and dimensions.
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    shape = {name: value for name, value in PRESETS[preset].items() if name in names}
    config = ModelConfig(**shape | {"vocab_size": 50, "embedding_dim": 8, "units": 16})
    weights = random_weights(config, seed=3)
    token_ids = np.random.default_rng(1).integers(1, 50, (2, 60))
    logprobs, _ = Engine(config, weights).run(token_ids)
    if config.context:
        windows = [last_words(row[: t + 1], config) for row in token_ids.tolist() for t in range(len(row))]
        expected = keras_logprobs(config, weights)(windows).reshape(logprobs.shape)
    else:
        expected = keras_logprobs(config, weights)(token_ids)
    np.testing.assert_allclose(logprobs, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("options", FEEDS, ids=str)
def test_probabilities_are_those_of_predict(options):
    config = make(dense=8, **options)
    weights = random_weights(config)
    token_ids = TOKEN_IDS[:, :N]
    logprobs, _ = Engine(config, weights).run(token_ids[[0, 3]])
    expected = keras_model(config, weights).predict(token_ids[[0, 3]], verbose=0)
    np.testing.assert_allclose(np.exp(logprobs[:, -1] if config.context else logprobs), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("cell", KINDS)
def test_large_activations_equal_keras(cell):
    # Saturated gates: sigmoid and softmax must not overflow, and log-probabilities reach far down.
    config = make(cell=cell, layers=2)
    weights = random_weights(config, scale=40.0)
    logprobs, _ = Engine(config, weights).run(TOKEN_IDS[:1])
    expected = keras_logprobs(config, weights)(TOKEN_IDS[:1])
    assert expected.min() < -100
    np.testing.assert_allclose(logprobs, expected, rtol=1e-4, atol=TOLERANCE)


@pytest.mark.parametrize("context", [0, N])
def test_padding_that_is_not_zero_is_read_under_masking(context):
    # Keras' Masking looks at the vectors alone: the engine does as the Keras model does, even here.
    config = make(masking=True, context=context)
    weights = random_weights(config)
    weights["embedding"][0] = 0.5
    predict = keras_logprobs(config, weights)
    engine = Engine(config, weights)
    if context:
        logprobs, _ = engine.run([[5, 3]])
        np.testing.assert_allclose(logprobs[0], predict([[5, 0, 0, 0], [5, 3, 0, 0]]), rtol=0, atol=TOLERANCE)
    else:
        logprobs, _ = engine.run([[5, 0, 4]])
        np.testing.assert_allclose(logprobs, predict([[5, 0, 4]]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("options", COMBINATIONS[:: len(COMBINATIONS) // 9], ids=str)
def test_a_text_may_be_read_in_any_pieces(options):
    engine = Engine(make(**options), random_weights(make(**options)))
    whole, end = engine.run(TOKEN_IDS)
    first, state = engine.run(TOKEN_IDS[:, :3])
    nothing, state = engine.run(TOKEN_IDS[:, :0], state)
    rest, state = engine.run(TOKEN_IDS[:, 3:], state)
    assert nothing.shape == (5, 0, V)
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), whole, rtol=0, atol=1e-6)
    assert_same_state(state, end)


def test_a_text_may_be_longer_than_one_product(monkeypatch):
    engine = Engine(make(), random_weights(make()))
    windowed = Engine(make(context=N), random_weights(make(context=N)))
    whole, end = engine.run(TOKEN_IDS)
    whole_windowed, _ = windowed.run(TOKEN_IDS)
    monkeypatch.setattr(engine_module, "_PRODUCT_FLOATS", 5 * 4 * U * 3)
    monkeypatch.setattr(engine_module, "_WINDOWS_AT_ONCE", 7)
    again, state = engine.run(TOKEN_IDS)
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-6)
    assert_same_state(state, end)
    np.testing.assert_allclose(windowed.run(TOKEN_IDS)[0], whole_windowed, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [*FEEDS, {"cell": "gru"}, {"cell": "rnn"}], ids=str)
def test_rows_of_a_batch_do_not_touch_each_other(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    together, _ = engine.run(TOKEN_IDS)
    for row, expected in zip(TOKEN_IDS, together, strict=True):
        np.testing.assert_allclose(engine.run(row[np.newaxis])[0][0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [*FEEDS, {"cell": "gru"}, {"cell": "rnn"}, {"layers": 2}], ids=str)
def test_old_states_stay_valid_and_can_be_selected(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    _, state = engine.run(TOKEN_IDS[:3])
    before = [array.copy() for array in arrays_of(state)]
    first, _ = engine.step([4, 5, 6], state)
    first_copy = first.copy()
    engine.step([9, 9, 9], state)
    engine.run([[9, 8], [9, 8], [9, 8]], state)
    for array, copy in zip(arrays_of(state), before, strict=True):
        np.testing.assert_array_equal(array, copy)
    again, _ = engine.step([4, 5, 6], state)
    np.testing.assert_array_equal(again, first_copy)
    np.testing.assert_array_equal(first, first_copy)

    selected = state.select([2, 0, 2, 1])
    assert selected.batch_size == 4
    forked, _ = engine.step([6, 4, 6, 5], selected)
    np.testing.assert_allclose(forked, first[[2, 0, 2, 1]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [*FEEDS, {"layers": 2}], ids=str)
def test_padding_repeats_the_prediction_before(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    logprobs, state = engine.run([[5, 9, 12]])
    repeated, after = engine.step([0], state)
    np.testing.assert_allclose(repeated[0], logprobs[0, -1], rtol=0, atol=1e-6)
    assert_same_state(after, state)


def test_masking_skips_words_without_a_vector():
    config = make(masking=True)
    engine = Engine(config, random_weights(config))
    with_unknown, _ = engine.run([[3, 5, 7, 3, 9]])
    without, _ = engine.run([[5, 9]])
    np.testing.assert_allclose(with_unknown[0, [1, 4]], without[0], rtol=0, atol=1e-6)
    unmasked, _ = Engine(make(), random_weights(config)).run([[3, 5, 7, 3, 9]])
    assert not np.allclose(unmasked[0, 4], without[0, 1], atol=1e-3)


def test_run_is_hidden_and_then_logprobs():
    for options in ({}, {"dense": 8}, {"context": N, "bidirectional": True}):
        config = make(**options)
        engine = Engine(config, random_weights(config))
        hidden, _ = engine.hidden(TOKEN_IDS)
        assert hidden.shape == (5, 8, config.dense or U * (2 if config.bidirectional else 1))
        np.testing.assert_allclose(engine.logprobs(hidden), engine.run(TOKEN_IDS)[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(engine.logprobs(hidden[1, 2]), engine.run(TOKEN_IDS)[0][1, 2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", COMBINATIONS[::6], ids=str)
def test_zero_weights_have_perplexity_v(options):
    config = make(**options)
    logprobs, _ = Engine(config, zero_weights(config)).run(TOKEN_IDS)
    np.testing.assert_allclose(np.exp(-logprobs), V, rtol=1e-6)


def test_output_bias_alone_is_the_distribution():
    config = make(vocab_size=4)
    weights = zero_weights(config)
    weights["output/bias"] = np.log([0.5, 0.25, 0.125, 0.125])
    logprobs, _ = Engine(config, weights).step([2], Engine(config, weights).initial_state(1))
    np.testing.assert_allclose(np.exp(logprobs), [[0.5, 0.25, 0.125, 0.125]], rtol=1e-6)


@pytest.mark.parametrize("cell", KINDS)
def test_one_unit_by_hand(cell):
    """Weights that tell the gates apart, one unit, two words: h written out with scalars."""
    config = ModelConfig(vocab_size=3, embedding_dim=1, cell=cell, units=1, dense=0)
    x = {1: 0.5, 2: -1.0}
    weights = zero_weights(config)
    weights["embedding"] = np.array([[0.0], [x[1]], [x[2]]])
    weights["output/kernel"] = np.array([[0.0, 1.0, 2.0]])
    h = c = 0.0
    if cell == "lstm":
        w, u, b = [0.1, 0.2, 0.3, 0.4], [0.5, -0.6, 0.7, -0.8], [0.01, 0.02, 0.03, 0.04]
        weights["recurrent_1/bias"] = np.array(b)
        for word in (1, 2):
            i, f, g, o = (w[k] * x[word] + u[k] * h + b[k] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * math.tanh(g)
            h = sigmoid(o) * math.tanh(c)
    elif cell == "gru":
        w, u = [0.1, 0.2, 0.3], [0.5, -0.6, 0.7]
        b = [[0.01, 0.02, 0.03], [0.3, 0.2, 0.1]]
        weights["recurrent_1/bias"] = np.array(b)
        for word in (1, 2):
            update, reset, candidate = (w[k] * x[word] + b[0][k] for k in range(3))
            update = sigmoid(update + u[0] * h + b[1][0])
            reset = sigmoid(reset + u[1] * h + b[1][1])
            candidate = math.tanh(candidate + reset * (u[2] * h + b[1][2]))
            h = update * h + (1 - update) * candidate
    else:
        w, u = [0.1], [0.5]
        weights["recurrent_1/bias"] = np.array([0.01])
        for word in (1, 2):
            h = math.tanh(w[0] * x[word] + u[0] * h + 0.01)
    weights["recurrent_1/kernel"], weights["recurrent_1/recurrent_kernel"] = np.array([w]), np.array([u])
    logprobs, state = Engine(config, weights).run([[1, 2]])
    assert state.layers[0][0][0, 0] == pytest.approx(h, abs=1e-6)
    total = math.log(1 + math.exp(h) + math.exp(2 * h))
    np.testing.assert_allclose(logprobs[0, 1], [-total, h - total, 2 * h - total], rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [-1, V, 2**40])
def test_ids_out_of_range_are_refused(wrong):
    engine = Engine(make(), random_weights(make()))
    with pytest.raises(OptionError, match=rf"between 0 and 29.* there is {wrong}"):
        engine.step([wrong], engine.initial_state(1))
    with pytest.raises(OptionError, match=rf"there is {wrong}"):
        engine.run([[1, 2, wrong]])


def test_wrong_shapes_of_ids_are_refused():
    engine = Engine(make(), random_weights(make()))
    with pytest.raises(OptionError, match=r"shape \(batch,\)"):
        engine.step([[1]], engine.initial_state(1))
    with pytest.raises(OptionError, match=r"shape \(batch, time\)"):
        engine.run([1, 2])
    with pytest.raises(OptionError, match="2 texts, but have 3"):
        engine.step([1, 2, 3], engine.initial_state(2))
    with pytest.raises(OptionError, match="whole numbers"):
        engine.step([1.5], engine.initial_state(1))
    with pytest.raises(OptionError, match="at least 1"):
        engine.initial_state(0)


@pytest.mark.parametrize("options", [*FEEDS, {"cell": "gru", "layers": 2}, {"cell": "rnn", "dense": 8}], ids=str)
def test_states_join(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    first, second = engine.read(TOKEN_IDS[:2, :5]), engine.read(TOKEN_IDS[3:4])
    before = [array.copy() for array in arrays_of(first)]
    both = first.join(second)
    assert both.batch_size == 3
    expected = [engine.step([7], state.select([row]))[0] for state, row in ((first, 0), (first, 1), (second, 0))]
    np.testing.assert_allclose(engine.step([7, 7, 7], both)[0], np.concatenate(expected), rtol=0, atol=1e-6)
    assert_same_state(both.select([2]), second)
    assert_same_state(both.select([0, 1]), first)
    for array, copy in zip(arrays_of(first), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("options", [*FEEDS, {"cell": "gru", "layers": 2}, {"cell": "rnn", "dense": 8}], ids=str)
def test_read_is_run_without_predictions(options):
    config = make(**options)
    engine = Engine(config, random_weights(config))
    state = engine.read(TOKEN_IDS[:, :3])
    assert_same_state(state, engine.run(TOKEN_IDS[:, :3])[1])
    assert_same_state(engine.read(TOKEN_IDS[:, 3:], state), engine.run(TOKEN_IDS)[1])
    assert_same_state(engine.read(np.zeros((5, 0), int), state), state)


def test_read_does_not_predict():
    weights = random_weights(make(dense=8))
    weights["dense/bias"][:] = np.finfo(np.float32).max
    engine = Engine(make(dense=8), weights)
    state = engine.read([[5, 5]])
    with pytest.raises(WordlmError, match="predicts NaN"):
        engine.step([5], state)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", weight_shapes(make(dense=8)))
def test_weights_that_are_not_finite_are_refused(name, bad):
    weights = random_weights(make(dense=8))
    weights[name].flat[-1] = bad
    with pytest.raises(BundleError, match=f"`{name}` must hold finite numbers"):
        Engine(make(dense=8), weights)


@pytest.mark.parametrize("name", ["dense/bias", "output/kernel"])
def test_overflow_is_noticed(name):
    # Each number is finite, their products are not.
    weights = random_weights(make(dense=8))
    weights[name][:] = np.finfo(np.float32).max
    engine = Engine(make(dense=8), weights)
    with pytest.raises(WordlmError, match="predicts NaN"):
        engine.step([5], engine.initial_state(1))
    with pytest.raises(WordlmError, match="predicts NaN"):
        engine.run([[5, 5]])


def test_weights_of_other_types_become_float32():
    weights = {name: array.astype(np.float64) for name, array in random_weights(make()).items()}
    logprobs, state = Engine(make(), weights).run(TOKEN_IDS)
    assert logprobs.dtype == np.float32
    assert all(array.dtype == np.float32 for array in arrays_of(state))


def test_float32_weights_are_not_copied_where_they_are_large():
    weights = random_weights(make())
    engine = Engine(make(), weights)
    weights["output/kernel"][:] = 0
    weights["embedding"][:] = 0
    weights["output/bias"][:] = np.log(np.arange(1, V + 1))
    logprobs, state = engine.step([5], engine.initial_state(1))
    np.testing.assert_allclose(np.exp(logprobs[0]), np.arange(1, V + 1) * 2 / (V * (V + 1)), rtol=1e-5)
    assert_same_state(state, engine.step([6], engine.initial_state(1))[1])


def test_examples():
    result = doctest.testmod(engine_module)
    assert result.attempted > 0
    assert result.failed == 0
    assert State((), window=np.zeros((3, 2), np.intp)).batch_size == 3


@pytest.mark.parametrize("options", SOME_DAILY, ids=str)
def test_measures_are_those_of_run(options, monkeypatch):
    monkeypatch.setattr(engine_module, "_MEASURED_ROWS", 5)
    config = make(**options)
    engine = Engine(config, random_weights(config))
    is_word = TOKEN_IDS != 0
    assert not is_word.all()
    targets = np.random.default_rng(1).integers(0, V, TOKEN_IDS.shape)
    begun = engine.read(TOKEN_IDS[:, :3])
    for state in (None, begun):
        logprobs, end = engine.run(TOKEN_IDS, state)
        expected = measure_logprobs(logprobs[is_word], targets[is_word])
        measures, measured_end = engine.measure(TOKEN_IDS, targets, state, look=lambda logits, words: words)
        assert_same_state(measured_end, end)
        for name in ("surprisal", "entropy", "rank", "confidence"):
            found = getattr(measures, name)
            assert found.shape == TOKEN_IDS.shape
            np.testing.assert_allclose(found[is_word], getattr(expected, name), rtol=0, atol=TOLERANCE)
            assert not found[~is_word].any()
        np.testing.assert_array_equal(measures.looked, np.where(is_word, targets, 0))


@pytest.mark.parametrize("context", [0, N])
def test_nothing_to_measure(context):
    config = make(context=context)
    engine = Engine(config, random_weights(config))
    for token_ids in (np.zeros((2, 0), int), np.zeros((2, 3), int)):
        measures, state = engine.measure(token_ids, token_ids)
        assert measures.surprisal.shape == token_ids.shape
        assert_same_state(state, engine.initial_state(2))


def test_targets_have_the_shape_of_the_ids():
    config = make()
    with pytest.raises(OptionError, match=r"\(1, 2\), but have \(2,\)"):
        Engine(config, random_weights(config)).measure([[1, 2]], [1, 2])


def test_logprobs_of_some_words():
    config = make()
    engine = Engine(config, random_weights(config))
    hidden = engine.hidden(TOKEN_IDS)[0].reshape(-1, engine.hidden(TOKEN_IDS)[0].shape[-1])
    rows, words = np.array([3, 0, 3]), np.array([1, 2, 0])
    expected = engine.logprobs(hidden)[rows, words]
    np.testing.assert_allclose(engine.logprobs_of(hidden, rows, words), expected, rtol=0, atol=TOLERANCE)
