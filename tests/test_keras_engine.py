"""Keras models as engines, against calls of Keras written out."""

import doctest
import warnings

import numpy as np
import pytest
from networks import COMBINATIONS, TOKEN_IDS, TOLERANCE, D, N, U, V, keras_model, last_words, make, random_weights

keras = pytest.importorskip("keras")

from wordlm import keras_engine  # noqa: E402
from wordlm.engine import Engine  # noqa: E402
from wordlm.errors import OptionError, WordlmError  # noqa: E402
from wordlm.keras_engine import KerasEngine, engine_of  # noqa: E402

layers = keras.layers


def test_examples():
    result = doctest.testmod(keras_engine)
    assert result.failed == 0
    assert result.attempted > 0


def build(*middle, length=None, mask=True, seed=5):
    """Embedding, the given layers and a softmax, with weights that make no flat predictions."""
    embedding = layers.Embedding(V, D, mask_zero=mask)
    model = keras.Sequential([keras.Input((length,), dtype="int32"), embedding, *middle, layers.Dense(V, "softmax")])
    randomize(model, seed)
    return model


def randomize(model, seed=5):
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * (1.0 if len(variable.shape) == 1 else 0.7))


@keras.saving.register_keras_serializable("tests")
class Attention(layers.Layer):
    """Each word looks at those before it, by a layer of the user's own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, 4)
        self.supports_masking = True

    def build(self, shape):
        self.attention.build(shape, shape)

    def call(self, x):
        return self.attention(x, x, use_causal_mask=True)


def normalized_lstm(each, **options):
    return build(layers.LSTM(U, return_sequences=each), layers.LayerNormalization(), **options)


UNKNOWN = {
    "LSTM with layer normalization": lambda: normalized_lstm(True),
    "the same with one prediction": lambda: normalized_lstm(False),
    "the same of N words": lambda: normalized_lstm(False, length=N),
    "the same of N words, without a mask": lambda: normalized_lstm(False, length=N, mask=False),
    "the same without a mask": lambda: normalized_lstm(False, mask=False),
    "attention": lambda: build(Attention()),
    "convolution": lambda: build(layers.Conv1D(6, 2, padding="causal"), mask=False),
    "GRU of version 1": lambda: build(layers.GRU(U, reset_after=False, return_sequences=True)),
    "all words at once": lambda: build(layers.Flatten(), length=N, mask=False),
    "their mean": lambda: build(layers.GlobalAveragePooling1D()),
    "both ways, a prediction each": lambda: build(layers.Bidirectional(layers.LSTM(U, return_sequences=True))),
    "a functional model": lambda: functional(),
    "a model of a class": lambda: Subclassed(),
}


def functional():
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(V, D)(ids)
    model = keras.Model(
        ids, layers.Dense(V, "softmax")(layers.Concatenate()([x, layers.LSTM(U, return_sequences=True)(x)]))
    )
    randomize(model)
    return model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = layers.Embedding(V, D), layers.LSTM(U, return_sequences=True)
        self.dense = layers.Dense(V, "softmax")
        self(np.ones((1, 2), np.int32))
        randomize(self)

    def call(self, ids):
        return self.dense(self.lstm(self.embedding(ids)))


def by_hand(model, words, length):
    """What follows some words, as log-probabilities: one text, one call, padding only where the input wants it."""
    padding = [0] * (length - len(words)) if length else []
    outputs = keras.ops.convert_to_numpy(model(np.array([words + padding], np.int32)))[0].astype(np.float64)
    return np.log(outputs[len(words) - 1] if outputs.ndim == 2 else outputs)


# One of each kind for every day.
DAILY = {"LSTM with layer normalization", "the same with one prediction", "all words at once", "attention"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in DAILY else pytest.mark.slow) for n in UNKNOWN])
def test_an_unknown_model_is_run_by_keras(name):
    model = UNKNOWN[name]()
    length = N if "N words" in name or name == "all words at once" else None
    with pytest.warns(UserWarning, match="which only Keras can run: each word costs a call of Keras"):
        engine = engine_of(model, N)
    assert isinstance(engine, KerasEngine)
    assert (engine.config.vocab_size, engine.config.context) == (V, N)

    token_ids = np.array([[5, 3, 9, 12, 7, 29, 4], [2, 8, 3, 0, 0, 0, 0], [4, 6, 0, 11, 3, 3, 7]])
    texts = [[[word for word in row[: t + 1] if word][-N:] for t in range(7)] for row in token_ids.tolist()]
    expected = np.array([[by_hand(model, words, length) for words in text] for text in texts])
    assert np.ptp(expected) > 1  # not a comparison of flat distributions

    logprobs, state = engine.run(token_ids)
    assert logprobs.dtype == np.float32
    np.testing.assert_allclose(logprobs, expected, rtol=0, atol=TOLERANCE)

    begun = engine.read(token_ids[:, :2])
    rest, end = engine.run(token_ids[:, 2:], begun)
    np.testing.assert_allclose(rest, expected[:, 2:], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(end.window, state.window)

    for time in range(2, 7):
        stepped, begun = engine.step(token_ids[:, time], begun)
        np.testing.assert_allclose(stepped, expected[:, time], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(begun.window, state.window)


@pytest.mark.parametrize("options", COMBINATIONS[::10], ids=str)
def test_a_known_model_is_run_by_numpy(options):
    config = make(**options)
    model = keras_model(config, random_weights(config))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        engine = engine_of(model)
    assert type(engine) is Engine
    logprobs, _ = engine.run(TOKEN_IDS)
    expected, _ = Engine(config, random_weights(config)).run(TOKEN_IDS)
    np.testing.assert_array_equal(logprobs, expected)


@pytest.mark.parametrize(
    "options", [{"dense": 8}, {"context": N, "masking": True}, {"context": N, "bidirectional": True}]
)
def test_both_engines_are_equal(options):
    """A model that NumPy knows, run by Keras all the same: step, run, state."""
    config = make(**options)
    model = keras_model(config, random_weights(config))
    ours, theirs = Engine(config, random_weights(config)), KerasEngine(model, config.context or 8)
    token_ids = TOKEN_IDS[:4]
    expected, _ = ours.run(token_ids)
    logprobs, state = theirs.run(token_ids)
    np.testing.assert_allclose(logprobs, expected, rtol=0, atol=TOLERANCE)
    if config.context:
        windows = [last_words(row, config) for row in token_ids.tolist()]
        np.testing.assert_array_equal(state.window, windows)
    stepped, states = [], theirs.initial_state(4)
    for column in token_ids.T:
        logprobs, states = theirs.step(column, states)
        stepped.append(logprobs)
    np.testing.assert_allclose(np.stack(stepped, axis=1), expected, rtol=0, atol=TOLERANCE)


def quiet_engine(model, context=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return engine_of(model, context)


def test_states_are_kept_selected_and_joined():
    engine = KerasEngine(normalized_lstm(True), N)
    state = engine.read([[5, 9], [7, 8]])
    before = state.window.copy()
    first, after = engine.step([4, 6], state)
    engine.run([[1, 2, 3], [1, 2, 3]], state)
    np.testing.assert_array_equal(state.window, before)
    both = state.select([1, 0, 1]).join(after)
    again, _ = engine.step([6, 4, 6, 0, 0], both)
    np.testing.assert_allclose(again, first[[1, 0, 1, 0, 1]], rtol=0, atol=TOLERANCE)


def test_words_before_the_last_ones_are_forgotten():
    engine = KerasEngine(normalized_lstm(True), 3)
    assert engine.read([[5, 6, 7, 8]]).window.tolist() == [[6, 7, 8]]
    after, _ = engine.run([[5, 6, 7, 8]])
    alone, _ = engine.run([[6, 7, 8]])
    np.testing.assert_allclose(after[0, -1], alone[0, -1], rtol=0, atol=TOLERANCE)


def calls_of(engine, monkeypatch):
    """The shapes of the ids that the engine gives to Keras from now on."""
    shapes, predict = [], engine._model.predict_on_batch

    def counted(ids):
        shapes.append(ids.shape)
        return predict(ids)

    monkeypatch.setattr(engine._model, "predict_on_batch", counted)
    return shapes


def test_a_step_is_one_call(monkeypatch):
    for model, expected in (
        (normalized_lstm(True), [(2, 4)]),  # 3 words, and one of padding that changes nothing
        (normalized_lstm(False), [(2, 3)]),
        (normalized_lstm(False, length=9), [(2, 9)]),
    ):
        engine = KerasEngine(model)
        state = engine.read([[5, 6], [7, 8]])
        shapes = calls_of(engine, monkeypatch)
        engine.step([9, 9], state)
        assert shapes == expected


def test_reading_calls_nothing(monkeypatch):
    engine = KerasEngine(normalized_lstm(True))
    shapes = calls_of(engine, monkeypatch)
    engine.read([[5, 6, 7]], engine.initial_state(1))
    assert shapes == []


def test_a_text_that_fits_is_one_call(monkeypatch):
    engine = KerasEngine(normalized_lstm(True), 8)
    shapes = calls_of(engine, monkeypatch)
    engine.run([[5, 6, 7, 8, 9], [5, 6, 7, 8, 0]])
    assert shapes == [(2, 8)]
    # A longer one: its beginning, and a window for each word behind that.
    shapes.clear()
    engine.run(np.full((2, 10), 5))
    assert shapes == [(6, 8)]


def test_large_outputs_come_in_several_calls(monkeypatch):
    engine = KerasEngine(normalized_lstm(True), 4)
    whole, _ = engine.run(TOKEN_IDS)
    monkeypatch.setattr(keras_engine, "_FLOATS_AT_ONCE", 4 * V * 3)
    shapes = calls_of(engine, monkeypatch)
    again, _ = engine.run(TOKEN_IDS)
    assert max(rows for rows, _ in shapes) == 3
    np.testing.assert_allclose(again, whole, rtol=0, atol=TOLERANCE)


def test_no_words():
    engine = KerasEngine(normalized_lstm(True), N)
    logprobs, state = engine.run(np.zeros((2, 0), int))
    assert logprobs.shape == (2, 0, V)
    assert state.window.tolist() == [[0] * N] * 2
    logprobs, state = engine.step([0], engine.initial_state(1))
    np.testing.assert_allclose(np.exp(logprobs).sum(), 1, rtol=1e-5)


def test_impossible_words_have_finite_logprobs():
    model = build(layers.LSTM(U))
    model.layers[-1].bias.assign(np.where(np.arange(V) == 3, -1e9, 0))
    logprobs, _ = KerasEngine(model, N).run([[5, 6]])
    assert np.isfinite(logprobs).all()
    assert logprobs[0, :, 3].max() < -87


def test_the_inside_is_not_told():
    with pytest.raises(WordlmError, match="cannot be looked into"):
        KerasEngine(normalized_lstm(True)).trace([[5]])


def test_nan_is_noticed():
    model = normalized_lstm(True)
    engine = KerasEngine(model)
    model.layers[-1].bias.assign(np.full(V, np.nan))
    with pytest.raises(WordlmError, match="predicts NaN"):
        engine.step([5], engine.initial_state(1))
    with pytest.raises(WordlmError, match="predicts NaN"):
        KerasEngine(model)


def test_wrong_ids_are_refused():
    engine = KerasEngine(normalized_lstm(True))
    with pytest.raises(OptionError, match="there is 30"):
        engine.step([V], engine.initial_state(1))
    with pytest.raises(OptionError, match="1 texts, but have 2"):
        engine.run([[5], [6]], engine.initial_state(1))
    with pytest.raises(OptionError, match="`batch_size` must be at least 1"):
        engine.initial_state(0)


@pytest.mark.parametrize("make_engine", [KerasEngine, quiet_engine])
@pytest.mark.parametrize(
    ("make_model", "context", "message"),
    [
        (
            lambda: normalized_lstm(False, length=N),
            N + 1,
            "`context` must be between 1 and 4, the length of the model's",
        ),
        (lambda: normalized_lstm(True), 0, "`context` must be at least 1, but is 0"),
        (lambda: keras.Sequential([keras.Input((2, 3)), layers.Dense(V)]), None, r"takes \(None, 2, 3\)"),
        (lambda: build(layers.LSTM(U), layers.Dense(3), layers.Reshape((1, 3, 1))), None, r"makes \(2, 1, 3, 30\)"),
        (lambda: keras.Sequential([keras.Input((N,)), layers.Embedding(V, 3)]), None, "does not sum to one"),
        (
            lambda: keras.Sequential([keras.Input((None,)), layers.Embedding(V, 3), layers.Reshape((7,))]),
            None,
            "but fails at",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input(batch_shape=(1, N)), layers.Embedding(V, 3), layers.LSTM(V, stateful=True)]
            ),
            None,
            "keeps a state",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused(make_model, context, message, make_engine):
    with pytest.raises(OptionError, match=message):
        make_engine(make_model(), context)


def test_a_model_without_weights_is_refused():
    with pytest.raises(OptionError, match="has no weights yet"):
        engine_of(keras.Sequential([layers.Embedding(V, D), layers.LSTM(U), layers.Dense(V, "softmax")]))


def test_the_warning_says_which_layer():
    with pytest.warns(UserWarning, match="the layer `norm` is of the type LayerNormalization, which only Keras"):
        engine_of(build(layers.LSTM(U), layers.LayerNormalization(name="norm")))
