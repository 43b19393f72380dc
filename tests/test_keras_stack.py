"""Stacks of Keras layers that the engine knows, and those that it does not."""

import doctest

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from networks import COMBINATIONS, D, N, U, V, make, random_weights

keras = pytest.importorskip("keras")

from wordlm import keras_stack  # noqa: E402
from wordlm.engine import Engine  # noqa: E402
from wordlm.errors import OptionError  # noqa: E402
from wordlm.keras_stack import CONTEXT, UnknownLayerError, input_length, read_stack  # noqa: E402
from wordlm.model import build_model, set_weights  # noqa: E402

CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}


def test_examples():
    result = doctest.testmod(keras_stack)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize(
    "options",
    [pytest.param(o, marks=() if i % 5 == 0 else pytest.mark.slow) for i, o in enumerate(COMBINATIONS)],
    ids=str,
)
def test_what_build_model_makes_is_read_back(options):
    config = make(dropout=0.0, **options)
    model = build_model(config)
    weights = random_weights(config)
    set_weights(model, weights)
    back, arrays = read_stack(model)
    assert back == config
    assert list(arrays) == list(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("activation", ["linear", "tanh"])
def test_the_activation_is_read_back_and_the_engine_has_it(activation):
    config = make(dense=8, activation=activation, dropout=0.0)
    model = build_model(config)
    weights = random_weights(config)
    set_weights(model, weights)
    back, arrays = read_stack(model)
    assert back.activation == activation
    token_ids = np.array([[2, 5, 3, 4]])
    ours, _ = Engine(back, arrays).run(token_ids)
    np.testing.assert_allclose(np.exp(ours), np.asarray(model(token_ids)), atol=1e-6)


def stack(*, units=(U,), cell="lstm", context=None, both_ways=False, each=True, mask=True, masking=False, dense=(8,)):
    """A stack as a user of Keras writes it, names and all left to Keras."""
    layers = [keras.Input((context,), dtype="int32"), keras.layers.Embedding(V, D, mask_zero=mask)]
    layers += [keras.layers.Masking()] if masking else []
    for number, size in enumerate(units, 1):
        layer = CELLS[cell](size, return_sequences=each or number < len(units))
        layers += [keras.layers.Bidirectional(layer) if both_ways else layer]
    layers += [keras.layers.Dense(size, "relu") for size in dense]
    model = keras.Sequential([*layers, keras.layers.Dense(V, "softmax")])
    randomize(model)
    return model


def randomize(model):
    rng = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * (1.0 if len(variable.shape) == 1 else 0.7))


@pytest.mark.parametrize(
    ("options", "context", "expected"),
    [
        # A prediction after each word, or an input of any length: a stream.
        ({}, None, 0),
        ({"context": N}, None, 0),
        ({"each": False}, None, 0),
        ({"each": False, "mask": False}, None, 0),
        # One prediction of so many words.
        ({"context": N, "each": False}, None, N),
        # As one says.
        ({}, 3, 3),
        ({"mask": False}, 3, 3),
        ({"each": False}, 3, 3),
        ({"context": N, "each": False}, 3, 3),
        # Both ways is never a stream.
        ({"both_ways": True, "each": False}, None, CONTEXT),
        ({"both_ways": True, "each": False, "context": N}, None, N),
        ({"both_ways": True, "each": False, "mask": False}, 3, 3),
    ],
)
def test_how_far_a_model_reads(options, context, expected):
    config, _ = read_stack(stack(**options), context)
    assert config.context == expected
    assert config.bidirectional == options.get("both_ways", False)


def own_activation(x):
    return keras.activations.tanh(x)


def tanh(x):
    """Has the name of Keras' own."""
    return x


@keras.saving.register_keras_serializable("tests")
class OwnLSTM(keras.layers.LSTM):
    pass


class OwnModel(keras.Sequential):
    pass


LSTM, GRU, Dense, Both = keras.layers.LSTM, keras.layers.GRU, keras.layers.Dense, keras.layers.Bidirectional
RECURRENT = [
    (lambda: LSTM(U, return_sequences=True, use_bias=False), "`use_bias`"),
    (lambda: LSTM(U, return_sequences=True, go_backwards=True), "`go_backwards`"),
    (lambda: LSTM(U, return_sequences=True, activation="relu"), "`activation`"),
    (lambda: LSTM(U, return_sequences=True, activation=own_activation), "`activation`"),
    (lambda: LSTM(U, return_sequences=True, activation=tanh), "`activation`"),
    (lambda: LSTM(U, return_sequences=True, activation=lambda x: x), "`activation`"),
    (lambda: LSTM(U, return_sequences=True, recurrent_activation="hard_sigmoid"), "`recurrent_activation`"),
    (lambda: LSTM(U, return_sequences=True, zero_output_for_mask=True), "`zero_output_for_mask`"),
    (lambda: LSTM(U, return_sequences=True, dtype="mixed_bfloat16"), "`dtype`"),
    (lambda: GRU(U, return_sequences=True, reset_after=False), "`reset_after`"),
    (lambda: OwnLSTM(U, return_sequences=True), "OwnLSTM"),
    (lambda: keras.layers.RNN(keras.layers.LSTMCell(U), return_sequences=True), "type RNN"),
    (lambda: Both(LSTM(U, return_sequences=True)), "reads ahead"),
    (lambda: keras.layers.LayerNormalization(), "stack of|LayerNormalization"),
]


@pytest.mark.parametrize(("layer", "message"), RECURRENT)
def test_other_recurrent_layers_are_not_known(layer, message):
    model = keras.Sequential(
        [keras.Input((None,)), keras.layers.Embedding(V, D, mask_zero=True), layer(), Dense(V, "softmax")]
    )
    with pytest.raises(UnknownLayerError, match=message):
        read_stack(model)


def last(**options):
    return LSTM(U, **options)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [Both(last(), merge_mode="sum"), Dense(V, "softmax")], "`merge_mode`"),
        (lambda: [Both(last(), backward_layer=GRU(U, go_backwards=True)), Dense(V, "softmax")], "`backward_layer`"),
        (lambda: [Both(last(), backward_layer=OwnLSTM(U, go_backwards=True)), Dense(V, "softmax")], "`backward_layer`"),
        (lambda: [Both(OwnLSTM(U)), Dense(V, "softmax")], "OwnLSTM"),
        (lambda: [last(), Dense(8, "gelu"), Dense(V, "softmax")], "`dense.*`activation`"),
        (lambda: [last(), Dense(8, "relu", use_bias=False), Dense(V, "softmax")], "`use_bias`"),
        (lambda: [last(), Dense(V)], "`activation`"),
        (lambda: [last(), Dense(V, "sigmoid")], "`activation`"),
        (lambda: [last(), Dense(V - 1, "softmax")], "`input_dim`"),
        (lambda: [last(), Dense(V), keras.layers.Softmax()], "Softmax"),
        (
            lambda: [last(), Dense(8, "relu"), Dense(8, "relu"), Dense(V, "softmax")],
            "stack of Embedding, LSTM, Dense, Dense",
        ),
        (lambda: [last(), keras.layers.LayerNormalization(), Dense(V, "softmax")], "LayerNormalization"),
        (lambda: [last(return_sequences=True), LSTM(U + 1), Dense(V, "softmax")], "`units`"),
        (lambda: [last(return_sequences=True), GRU(U), Dense(V, "softmax")], "stack of"),
        (lambda: [last(return_sequences=True), Both(last()), Dense(V, "softmax")], "stack of"),
        (lambda: [keras.layers.Masking(1.0), last(), Dense(V, "softmax")], "`mask_value`"),
        (lambda: [keras.layers.Masking(), keras.layers.Masking(), last(), Dense(V, "softmax")], "stack of"),
        (lambda: [last(stateful=True), Dense(V, "softmax")], "`stateful`"),
        (lambda: [Dense(V, "softmax")], "stack of Embedding, Dense"),
        (lambda: [last()], "stack of Embedding, LSTM"),
    ],
)
def test_other_stacks_are_not_known(layers, message):
    embedding = keras.layers.Embedding(V, D, mask_zero=True)
    model = keras.Sequential([keras.Input(batch_shape=(2, N)), embedding, *layers()])
    with pytest.raises(UnknownLayerError, match=message):
        read_stack(model)


def test_a_window_without_a_mask_reads_its_padding():
    with pytest.raises(UnknownLayerError, match="`mask_zero`"):
        read_stack(stack(context=N, each=False, mask=False))
    read_stack(stack(context=N, each=False, mask=False, masking=True))


def test_padding_that_masking_does_not_skip():
    """With as many words as the input has the engine does what Keras does; else it would read other padding."""
    both = {"each": False, "mask": False, "masking": True}
    read_stack(stack(context=N, **both))
    for model, context in ((stack(context=N, **both), N - 1), (stack(both_ways=True, **both), None)):
        with pytest.raises(UnknownLayerError, match="the vector of padding"):
            read_stack(model, context)
        matrix = model.layers[0].embeddings
        matrix.assign(np.asarray(matrix) * (np.arange(V) > 0)[:, np.newaxis])
        read_stack(model, context)


def test_other_models_are_not_known():
    ids = keras.Input((None,))
    functional = keras.Model(ids, stack()(ids))
    with pytest.raises(UnknownLayerError, match="type Functional"):
        read_stack(functional)
    with pytest.raises(UnknownLayerError, match="type OwnModel"):
        read_stack(OwnModel(stack().layers))


def test_a_global_policy_changes_nothing():
    model = stack()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = stack()
        with pytest.raises(UnknownLayerError, match=r"`dtype`|computes bfloat16"):
            read_stack(mixed)
        with pytest.raises(UnknownLayerError, match="`dtype`"):
            read_stack(model)
    finally:
        keras.config.set_dtype_policy("float32")


def test_what_is_of_training_alone_may_differ():
    cell = LSTM(
        U, return_sequences=True, dropout=0.3, recurrent_dropout=0.2, seed=4, unroll=False, stateful=True,
        kernel_regularizer="l2", bias_constraint="max_norm", recurrent_initializer="zeros", unit_forget_bias=False,
    )  # fmt: skip
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(1, None)), keras.layers.Embedding(V, D, embeddings_regularizer="l2", name="words"),
            keras.layers.Dropout(0.1), cell, keras.layers.Dropout(0.9), Dense(8, "relu", trainable=False),
            keras.layers.Dropout(0.97), Dense(V, "softmax", kernel_initializer="zeros"),
        ]
    )  # fmt: skip
    config, _ = read_stack(model)
    assert config == make(dense=8, dropout=0.0, trainable_embedding=True)


STACKS = st.fixed_dictionaries(
    {
        "units": st.lists(st.integers(1, 3), min_size=1, max_size=3),
        "cell": st.sampled_from(list(CELLS)),
        "context": st.sampled_from([None, N]),
        "both_ways": st.booleans(),
        "each": st.booleans(),
        "mask": st.booleans(),
        "masking": st.booleans(),
        "dense": st.lists(st.integers(1, 4), max_size=2),
    }
)


# Without shrinking, in which each trial builds a model too.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "phases": PHASES}


@settings(max_examples=8, derandomize=True, **QUIET)
@given(STACKS, st.lists(st.integers(1, V - 1), min_size=N, max_size=N))
def test_a_stack_is_either_refused_or_equal(options, words):
    assert_refused_or_equal(options, words)


@pytest.mark.slow
@settings(max_examples=400, **QUIET)
@given(STACKS, st.lists(st.integers(1, V - 1), min_size=N, max_size=N))
def test_many_stacks_are_either_refused_or_equal(options, words):
    assert_refused_or_equal(options, words)


def assert_refused_or_equal(options, words):
    model = stack(**options)
    try:
        config, weights = read_stack(model)
    except UnknownLayerError:
        same_size = len(set(options["units"])) == 1
        is_window = not options["each"] and (options["context"] or options["both_ways"])
        unmasked = is_window and options["context"] and not options["mask"] and not options["masking"]
        read_padding = is_window and options["masking"]
        sees_all = options["both_ways"] and options["each"]
        assert not same_size or len(options["dense"]) > 1 or sees_all or unmasked or read_padding
        return
    logprobs, _ = Engine(config, weights).run([words])
    for count in range(1, N + 1):
        padding = [0] * (N - count if options["context"] else 0)
        probabilities = np.asarray(model(np.array([words[:count] + padding], np.int32)))[0]
        expected = np.log(probabilities[count - 1] if options["each"] else probabilities)
        np.testing.assert_allclose(logprobs[0, count - 1], expected, rtol=0, atol=1e-5)


def test_input_lengths():
    assert input_length(stack()) is None
    assert input_length(stack(context=N)) == N
    with pytest.raises(OptionError, match=r"must take ids of the shape \(batch, time\), but takes \(None, 4, 5\)"):
        input_length(keras.Sequential([keras.Input((4, 5)), Dense(3)]))
    two = [keras.Input((4,)), keras.Input((5,))]
    with pytest.raises(OptionError, match=r"but takes \["):
        input_length(keras.Model(two, keras.layers.Concatenate()(two)))
