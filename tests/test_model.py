"""The network as Keras sees it: its layers for every option, masks, weights by name, and the classic recipe."""

import doctest
import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest

from wordlm import model as model_module
from wordlm.config import PRESETS, ModelConfig, configure
from wordlm.errors import OptionError
from wordlm.layout import weight_shapes
from wordlm.model import build_model, get_weights, load_keras, named_variables, set_weights

V, D, U, N = 20, 4, 3, 5
KINDS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
FEEDS = ({"context": 0}, {"context": N}, {"context": N, "bidirectional": True})
COMBINATIONS = [
    {"cell": cell, "layers": layers, "dense": dense, "masking": masking} | feed
    for cell, layers, dense, masking, feed in itertools.product(KINDS, (1, 2), (0, 6), (False, True), FEEDS)
]


def some(options, daily):
    """Each of the options as a parameter; those that `daily` does not choose are slow."""
    return [pytest.param(o, marks=() if daily(o) else pytest.mark.slow, id=str(list(o.values()))) for o in options]


def make(**options):
    return ModelConfig(**{"vocab_size": V, "embedding_dim": D, "units": U, "dense": 0} | options)


def make_matrix(vocab_size=V, dim=D):
    matrix = np.random.default_rng(0).normal(size=(vocab_size, dim)).astype(np.float32)
    matrix[0] = 0
    return matrix


def probabilities(model, *rows):
    return np.asarray(model(np.array(rows, np.int32), training=False))


def test_examples():
    result = doctest.testmod(model_module)
    assert result.failed == 0
    assert result.attempted > 0


# Two values of each option meet in the daily ones, if not each with each.
@pytest.mark.parametrize(
    "options",
    some(COMBINATIONS, lambda o: (o["layers"] == 2) == bool(o["dense"]) == (o["masking"] ^ ("bidirectional" in o))),
)
def test_layers(options):
    config = make(dropout=0.4, input_dropout=0.1, recurrent_dropout=0.2, **options)
    model = build_model(config)
    assert type(model) is keras.Sequential
    names = ["embedding", *["masking"] * config.masking, *(f"recurrent_{n + 1}" for n in range(config.layers))]
    names += [*["dense"] * bool(config.dense), "dropout", "output"]
    assert [layer.name for layer in model.layers] == names
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in model.layers)

    assert model.input_shape == (None, N if config.context else None)
    assert model.inputs[0].dtype == "int32"
    assert model.output_shape == ((None, V) if config.context else (None, None, V))
    embedding = model.get_layer("embedding")
    assert (embedding.input_dim, embedding.output_dim, embedding.mask_zero) == (V, D, True)
    for number in range(1, config.layers + 1):
        layer = model.get_layer(f"recurrent_{number}")
        assert isinstance(layer, keras.layers.Bidirectional) == config.bidirectional
        ways = [layer.forward_layer, layer.backward_layer] if config.bidirectional else [layer]
        assert [way.go_backwards for way in ways] == [False, True][: len(ways)]
        for way in ways:
            assert type(way) is KINDS[config.cell]
            assert (way.units, way.dropout, way.recurrent_dropout, way.stateful) == (U, 0.1, 0.2, False)
            # Only the last word of a window predicts, and only in the last layer.
            assert way.return_sequences == (not config.context or number < config.layers)
    if config.dense:
        assert model.get_layer("dense").units == 6
        assert model.get_layer("dense").activation is keras.activations.relu
    assert model.get_layer("dropout").rate == 0.4
    assert model.get_layer("output").activation is keras.activations.softmax
    assert not any(layer.dtype_policy.compute_dtype != "float32" for layer in model.layers)

    assert {name: array.shape for name, array in get_weights(model).items()} == weight_shapes(config)
    assert model.count_params() == sum(int(np.prod(shape)) for shape in weight_shapes(config).values())
    ids = np.arange(2 * N).reshape(2, N)
    np.testing.assert_allclose(probabilities(model, *ids).sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("trainable", [False, True])
def test_embedding_is_the_matrix_and_frozen_unless_asked(trainable):
    matrix = make_matrix()
    model = build_model(make(trainable_embedding=trainable), matrix)
    np.testing.assert_array_equal(get_weights(model)["embedding"], matrix)
    trained = {variable.path for variable in model.trainable_variables}
    assert (model.get_layer("embedding").embeddings.path in trained) == trainable
    assert len(trained) == 5 + trainable

    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    before = get_weights(model)
    model.train_on_batch(np.array([[3, 4, 5]]), np.array([[4, 5, 6]]))
    changed = {name for name, array in get_weights(model).items() if not np.array_equal(array, before[name])}
    assert changed == set(before) - (set() if trainable else {"embedding"})


@pytest.mark.parametrize(("trained", "dense", "copied"), [(1, 6, 3), (2, 6, 2), (2, 3, 1), (3, 3, 0), (2, 0, 1)])
def test_a_tied_output_begins_with_the_frozen_vectors(trained, dense, copied):
    """The numbers beside the trained ones, which are as many as they share; all others are random."""
    frozen = make_matrix()[:, : D - trained]
    shape = {"trained_dim": trained, "dense": dense}
    kernel = get_weights(build_model(make(tied=True, **shape), frozen))["output/kernel"]
    size = kernel[:copied].std() if copied else 1
    np.testing.assert_allclose(kernel[:copied] / size, frozen.T[:copied] / frozen[:, : max(1, copied)].std(), rtol=1e-5)
    assert not copied or size == pytest.approx(0.5, rel=1e-5)
    assert len(np.unique(kernel[copied:])) == kernel[copied:].size
    free = get_weights(build_model(make(**shape), frozen))["output/kernel"]
    assert len(np.unique(free)) == free.size


def test_without_a_matrix_the_embedding_is_random():
    first, second = (get_weights(build_model(make()))["embedding"] for _ in range(2))
    assert first.shape == (V, D)
    assert first.std() > 0
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(V, D + 1), (V - 1, D), (D, V), (V * D,), (V, D, 1)])
def test_a_matrix_of_another_shape_is_refused(shape):
    with pytest.raises(OptionError) as caught:
        build_model(make(), np.zeros(shape, np.float32))
    rule = f"the matrix of word vectors must have the shape ({V}, {D}), but has {shape}"
    assert str(caught.value) == rule


@pytest.mark.parametrize(("layers", "masking"), [(1, True), (2, False)])
@pytest.mark.parametrize("cell", KINDS)
def test_padding_behind_a_stream_changes_nothing(cell, layers, masking):
    model = build_model(make(cell=cell, layers=layers, dense=6, masking=masking), make_matrix())
    padded = probabilities(model, [5, 9, 3, 0, 0], [7, 2, 8, 11, 4])
    np.testing.assert_allclose(padded[0, :3], probabilities(model, [5, 9, 3])[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(padded[1], probabilities(model, [7, 2, 8, 11, 4])[0], rtol=0, atol=1e-6)
    assert np.abs(padded[0, 2] - padded[0, 1]).max() > 1e-5


@pytest.mark.parametrize(
    "options",
    some(
        [o for o in COMBINATIONS if o["context"] and o["dense"]],
        lambda o: (o["layers"] == 2) == ("bidirectional" not in o) == o["masking"],
    ),
)
def test_a_padded_window_is_a_shorter_window(options):
    """The same weights in a model whose window has just the words."""
    options = options | {"activation": "tanh"}  # of ReLU units, all may be zero
    model = build_model(make(**options), make_matrix())
    short = build_model(make(**options | {"context": 3}))
    set_weights(short, get_weights(model))
    padded = probabilities(model, [5, 9, 3, 0, 0], [7, 2, 8, 11, 4])
    np.testing.assert_allclose(padded[:1], probabilities(short, [5, 9, 3]), rtol=0, atol=1e-6)
    assert np.abs(padded[0] - probabilities(model, [5, 9, 3, 1, 1])[0]).max() > 1e-5


def test_masking_skips_words_whose_vector_is_zero():
    matrix = make_matrix()
    matrix[7] = 0
    with_masking = build_model(make(masking=True, context=N), matrix)
    without = build_model(make(context=N), matrix)
    set_weights(without, get_weights(with_masking))
    skipped, plain = [5, 7, 9, 3, 0], [5, 9, 3, 0, 0]
    expected = probabilities(without, plain)
    np.testing.assert_allclose(probabilities(with_masking, skipped), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(probabilities(with_masking, plain), expected, rtol=0, atol=1e-6)
    assert np.abs(probabilities(without, skipped) - expected).max() > 1e-5


def test_a_bidirectional_model_reads_the_window_both_ways():
    model = build_model(make(bidirectional=True, context=N), make_matrix())
    weights = {name: weight.copy() for name, weight in get_weights(model).items()}
    for part in ("kernel", "recurrent_kernel", "bias"):
        weights[f"recurrent_1/forward/{part}"][:] = 0
    set_weights(model, weights)
    # The backward half alone tells the first word last: a change of any word is seen.
    base = probabilities(model, [5, 9, 3, 4, 6])
    for place in range(N):
        words = [5, 9, 3, 4, 6]
        words[place] = 11
        assert np.abs(probabilities(model, words) - base).max() > 1e-7


@pytest.mark.parametrize("dropped", ["dropout", "input_dropout", "recurrent_dropout"])
def test_dropout_is_of_training_alone(dropped):
    options = {"dropout": 0.0} | {dropped: 0.5}
    model = build_model(make(**options, units=64), make_matrix())
    ids = np.array([[5, 9, 3]], np.int32)
    # Of one text, two masks of its five input numbers are the same once in 32 times.
    texts = np.repeat(ids, 16, axis=0)
    first, second = (np.asarray(model(texts, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(probabilities(model, *ids), probabilities(model, *ids))


@pytest.mark.parametrize("options", COMBINATIONS[::11], ids=str)
def test_weights_round_trip(options):
    config = make(**options)
    model = build_model(config, make_matrix())
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    set_weights(model, weights)
    back = get_weights(model)
    assert list(back) == list(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == np.float32
    # Each of the model's variables has a name, and none has two.
    variables = [variable.path for variable in named_variables(model).values()]
    assert sorted(variables) == sorted(variable.path for variable in model.weights if "seed" not in variable.path)
    twin = build_model(config)
    set_weights(twin, back)
    ids = [list(range(1, N + 1))]
    np.testing.assert_array_equal(probabilities(twin, *ids), probabilities(model, *ids))


def test_the_model_opens_in_plain_keras(tmp_path):
    model = build_model(make(layers=2, dense=6, masking=True, bidirectional=True, context=N), make_matrix())
    model.save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras")
    ids = [list(range(1, N + 1)), [3, 4, 0, 0, 0]]
    np.testing.assert_array_equal(probabilities(opened, *ids), probabilities(model, *ids))


def settings(layer):
    """What a layer was made with, without its name and random seeds."""
    config = {key: value for key, value in layer.get_config().items() if key not in ("name", "seed")}
    return keras.saving.serialize_keras_object(config)


def classic(matrix):
    """The classic recipe, written out by hand."""
    vocab_size, dim = matrix.shape
    model = keras.Sequential()
    model.add(keras.Input((50,), dtype="int32"))
    model.add(keras.layers.Embedding(vocab_size, dim, weights=[matrix], trainable=False, mask_zero=True))
    model.add(keras.layers.Masking(mask_value=0.0))
    model.add(keras.layers.LSTM(64, return_sequences=False, dropout=0.1, recurrent_dropout=0.1))
    model.add(keras.layers.Dense(64, activation="relu"))
    model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Dense(vocab_size, activation="softmax"))
    return model


def test_preset_seed_is_the_classic_recipe():
    matrix = make_matrix(120, 50)
    ours = build_model(configure("seed").model.replace(vocab_size=120, embedding_dim=50), matrix)
    theirs = classic(matrix)
    assert [type(layer) for layer in ours.layers] == [type(layer) for layer in theirs.layers]
    for our, their in zip(ours.layers, theirs.layers, strict=True):
        assert settings(our) == settings(their)
    assert ours.input_shape == theirs.input_shape == (None, 50)
    assert ours.inputs[0].dtype == theirs.inputs[0].dtype == "int32"
    lstm, dense, output = 4 * 64 * (50 + 64 + 1), 64 * 65, 120 * 65
    assert ours.count_params() == theirs.count_params() == 120 * 50 + lstm + dense + output
    assert [v.shape for v in ours.trainable_variables] == [v.shape for v in theirs.trainable_variables]
    assert sum(int(np.prod(v.shape)) for v in ours.trainable_variables) == lstm + dense + output
    assert not ours.get_layer("embedding").trainable
    np.testing.assert_array_equal(ours.get_layer("embedding").get_weights()[0], matrix)

    theirs.set_weights(ours.get_weights())
    ids = np.random.default_rng(2).integers(1, 120, (4, 50))
    ids[1, 30:] = 0
    np.testing.assert_array_equal(probabilities(ours, *ids), probabilities(theirs, *ids))


def test_preset_seed_trains_as_the_classic_recipe_does():
    """Without dropout, whose masks are random, a step of Adam gives both the same weights."""
    matrix = make_matrix(40, 8)
    train = configure("seed").train
    config = configure("seed").model.replace(
        vocab_size=40, embedding_dim=8, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0
    )
    ours, theirs = build_model(config, matrix), classic(matrix)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
        elif isinstance(layer, keras.layers.LSTM):
            layer.cell.dropout = layer.cell.recurrent_dropout = 0.0
    theirs.set_weights(ours.get_weights())
    ours.compile(keras.optimizers.Adam(train.learning_rate), "sparse_categorical_crossentropy", jit_compile=False)
    theirs.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    rng = np.random.default_rng(3)
    ids, targets = rng.integers(1, 40, (16, 50)), rng.integers(3, 40, 16)
    for _ in range(2):
        ours.train_on_batch(ids, targets)
        theirs.train_on_batch(ids, np.eye(40)[targets])
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds(preset):
    config = configure(preset).model.replace(vocab_size=30)
    model = build_model(config, make_matrix(30, config.embedding_dim))
    assert {name: array.shape for name, array in get_weights(model).items()} == weight_shapes(config)


def test_keras_loads_without_a_word_of_its_backend():
    code = "from wordlm.model import load_keras; load_keras(); import keras, sys; print(keras.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == keras.__version__ + "\n"
    assert done.stderr == ""
    load_keras()  # a second time does nothing


def test_a_failing_import_shows_what_was_said():
    code = (
        "import sys, os\n"
        "class Finder:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'keras':\n"
        "            os.write(2, b'no such driver'); raise ImportError('broken')\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from wordlm.model import load_keras\n"
        "try:\n    load_keras()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("broken\n", "no such driver")
