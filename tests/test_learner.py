import numpy as np
import pytest

keras = pytest.importorskip("keras")

from wordlm.batches import StreamBatches, WindowBatches  # noqa: E402
from wordlm.config import PRESETS, ModelConfig, TrainConfig  # noqa: E402
from wordlm.learner import Learner, make_optimizer  # noqa: E402
from wordlm.model import build_model, get_weights  # noqa: E402
from wordlm.softmax import NegativeSampler  # noqa: E402

V, D, B, T = 30, 5, 3, 4
NO_NEGATIVES = np.zeros(1, "int32")


def matrix(zero_rows=(0,)):
    vectors = np.random.default_rng(0).normal(size=(V, D)).astype("float32")
    vectors[list(zero_rows)] = 0
    return vectors


def make(vectors=None, batch_size=B, sampler=None, **options):
    config = ModelConfig(**({"vocab_size": V, "embedding_dim": D, "units": 6, "dense": 7, "dropout": 0.0} | options))
    keras.utils.set_random_seed(0)
    network = build_model(config, matrix() if vectors is None else vectors)
    return network, Learner(network, config, batch_size, sampler)


def text(n=70):
    return np.random.default_rng(1).integers(2, V, n)


def compiled(learner, **options):
    config = TrainConfig(learning_rate=0.01, **options)
    learner.compile(optimizer=make_optimizer(config), jit_compile=keras.backend.backend() == "jax")
    learner.optimizer.build(learner.trainable_variables)
    return learner


STREAMS = [{"layers": 2}, {"cell": "gru", "layers": 2}, {"cell": "rnn", "dense": 0}, {"masking": True, "layers": 2}]


@pytest.mark.parametrize("options", STREAMS)
def test_carried_state_equals_one_long_run(options):
    """Batch after batch gives what the Sequential gives in one go, words without a vector skipped with masking."""
    vectors = matrix(zero_rows=(0, 4, 5, 6) if "masking" in options else (0,))
    network, learner = make(vectors, **options)
    token_ids = np.random.default_rng(2).integers(1, V, (B, 5 * T)).astype("int32")
    top = keras.Model(network.inputs[0], network.layers[-2].output)  # below the softmax
    expected = np.asarray(top(token_ids))
    for _ in range(2):
        parts = [np.asarray(learner((token_ids[:, i : i + T], NO_NEGATIVES))) for i in range(0, 5 * T, T)]
        assert np.concatenate(parts, axis=1) == pytest.approx(expected, abs=1e-5)
        learner.reset()


def test_without_a_reset_the_state_goes_on():
    _, learner = make()
    token_ids = np.ones((B, T), "int32")
    first, second = (np.asarray(learner((token_ids, NO_NEGATIVES))) for _ in range(2))
    assert not np.allclose(first, second, atol=1e-3)


def seed_options():
    names = ("masking", "cell", "units", "layers", "context", "dense", "dropout", "input_dropout", "recurrent_dropout")
    return {name: PRESETS["seed"][name] for name in names}


@pytest.mark.parametrize(
    "options",
    [
        seed_options(),
        {"context": 6, "bidirectional": True, "layers": 2},
        {"context": 1, "cell": "rnn", "dense": 0},
    ],
)
def test_the_loss_on_windows_is_that_of_keras(options):
    """Of the recipe too: integer targets give the number that one-hot rows would give."""
    network, learner = make(matrix(zero_rows=(0, 4, 5)), batch_size=70, **options)
    compiled(learner)
    x, y, weight = WindowBatches(text(), 70, options["context"]).batch(0, 0)
    ours = learner.test_on_batch((x, NO_NEGATIVES), y, weight)
    probabilities = network(x)
    reference = keras.losses.SparseCategoricalCrossentropy()(y, probabilities)
    assert float(ours) == pytest.approx(float(reference), abs=1e-5)
    one_hot = keras.losses.CategoricalCrossentropy()(keras.utils.to_categorical(y, V), probabilities)
    assert float(ours) == pytest.approx(float(one_hot), abs=1e-5)


def test_the_loss_on_streams_is_that_of_keras_and_leaves_out_what_pads():
    network, learner = make(batch_size=4)
    compiled(learner)
    batches = StreamBatches(text(70), 4, 20)
    x, y, weight = batches.batch(0, 0)
    assert weight.min() == 0
    ours = learner.test_on_batch((x, NO_NEGATIVES), y, weight)
    losses = np.asarray(keras.losses.sparse_categorical_crossentropy(y, network(x)))
    assert float(ours) == pytest.approx((losses * weight).sum() / weight.sum(), abs=1e-5)
    total, correct, words = np.asarray(learner.sums)
    assert total / words == pytest.approx(float(ours), abs=1e-5)
    assert words == weight.sum()
    assert correct == ((np.asarray(network(x)).argmax(-1) == y) * weight).sum()


@pytest.mark.parametrize("options", [{}, {"layers": 2, "cell": "gru"}, {"context": 4}])
def test_parts_of_a_batch_learn_what_the_whole_learns(options, monkeypatch):
    """However many cores: the same losses, step for step, and the same weights."""
    found = []
    for parts in (1, 3):
        monkeypatch.setattr("wordlm.learner.spread_over_cores", lambda _, parts=parts: parts)
        network, learner = make(batch_size=6, sampler=NegativeSampler(np.ones(V), 8), **options)
        compiled(learner)
        assert learner.parts == parts
        batches = WindowBatches(text(), 6, 4) if options.get("context") else StreamBatches(text(), 6, T)
        rng = np.random.default_rng(0)
        losses = []
        for step in range(3):
            x, y, weight = batches.batch(0, step)
            losses.append(float(learner.train_on_batch((x, learner.sampler.draw(rng)), y, weight)))
        learner.publish(network)
        found.append((losses, get_weights(network)))
    (losses, weights), (other_losses, other_weights) = found
    assert losses == pytest.approx(other_losses, abs=1e-5)
    for name in weights:
        assert weights[name] == pytest.approx(other_weights[name], abs=1e-4), name


TRAINED = [
    {},
    {"cell": "gru", "layers": 2, "input_dropout": 0.3},
    {"cell": "rnn", "recurrent_dropout": 0.3},
    {"layers": 2, "input_dropout": 0.3, "dropout": 0.3},
    {"recurrent_dropout": 0.3},
    {"masking": True, "input_dropout": 0.2},
    {"context": 5, "bidirectional": True, "cell": "gru"},
    {"context": 5, "trainable_embedding": True},
    {"trainable_embedding": True},
    {"trained_dim": 2},
    {"trained_dim": 3, "tied": True, "activation": "linear"},
    {"trained_dim": 2, "tied": True, "dense": 0, "units": 2, "context": 5},
    {"trained_dim": 4, "tied": True, "dense": 3},
    {"trainable_embedding": True, "trained_dim": 3, "tied": True},
]


@pytest.mark.parametrize(
    ("options", "samples"),
    [(TRAINED[0], 0), (TRAINED[0], 8), *(pytest.param(options, 8, marks=pytest.mark.slow) for options in TRAINED[1:])],
)
def test_every_kind_learns(options, samples):
    counts = np.bincount(text(), minlength=V)
    network, learner = make(**options, sampler=NegativeSampler(counts, samples) if samples else None)
    compiled(learner)
    before = get_weights(network)
    context = options.get("context")
    batches = WindowBatches(text(), 10, context) if context else StreamBatches(text(), B, T)
    rng, losses = np.random.default_rng(0), []
    for epoch in range(12):
        learner.reset()
        for step in range(batches.steps):
            x, y, weight = batches.batch(epoch, step)
            negatives = learner.sampler.draw(rng) if samples else NO_NEGATIVES
            losses.append(float(learner.train_on_batch((x, negatives), y, weight)))
    steps = batches.steps
    assert np.mean(losses[-steps:]) < np.mean(losses[:steps]) - 0.1
    learner.publish(network)
    after = get_weights(network)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    trained = D if options.get("trainable_embedding") else options.get("trained_dim", 0)
    assert changed == set(before) - (set() if trained else {"embedding"})
    assert np.array_equal(after["embedding"][:, : D - trained], before["embedding"][:, : D - trained])


@pytest.mark.parametrize(("trained", "dense", "shared"), [(2, 7, 2), (4, 3, 3), (0, 7, 0)])
def test_tied_words_have_the_same_numbers_at_both_ends(trained, dense, shared):
    network, learner = make(trained_dim=trained, tied=True, dense=dense, sampler=NegativeSampler(np.ones(V), 8))
    compiled(learner)
    x, y, weight = StreamBatches(text(), B, T).batch(0, 0)
    for _ in range(3):
        learner.train_on_batch((x, learner.sampler.draw(np.random.default_rng(0))), y, weight)
    learner.publish(network)
    weights = get_weights(network)
    assert np.array_equal(weights["embedding"][:, D - shared :], weights["output/kernel"][dense - shared :].T)
    assert learner.shared == shared


def test_the_gradient_of_tied_words_is_that_of_both_ends():
    """As automatic differentiation has it of the Sequential's own loss, with the full softmax."""
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("differentiates with TensorFlow")
    network, learner = make(trained_dim=3, tied=True, batch_size=2, activation="linear")
    learner.publish(network)
    x, y, weight = StreamBatches(text(20), 2, 10).batch(0, 0)
    with tf.GradientTape() as tape:
        loss = learner.compute_loss((x, NO_NEGATIVES), y, learner((x, NO_NEGATIVES), training=True), weight)
    ours = tf.convert_to_tensor(tape.gradient(loss, learner.trained.value)).numpy()
    ends = network.get_layer("embedding").embeddings.value, network.get_layer("output").kernel.value
    with tf.GradientTape() as tape:
        tape.watch(ends)
        reference = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, network(x)))
    of_input, of_output = (tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(reference, ends))
    assert float(loss) == pytest.approx(float(reference), abs=1e-5)
    assert ours == pytest.approx(of_input[:, -3:] + of_output[-3:].T, abs=1e-5)


def test_words_that_are_not_looked_up_keep_their_output():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("rows are sparse on TensorFlow alone")
    _, learner = make(sampler=NegativeSampler(np.ones(V), 3))
    compiled(learner)
    before = np.asarray(learner.rows).copy()
    x, y, weight = StreamBatches(np.array([7, 8] * 12), B, T).batch(0, 0)
    learner.train_on_batch((x, np.array([9, 10, 11], "int32")), y, weight)
    changed = np.flatnonzero((np.asarray(learner.rows) != before).any(axis=1))
    assert changed.tolist() == [7, 8, 9, 10, 11]


def test_publish_and_twin():
    network, learner = make()
    twin = Learner(network, learner.config, 1, twin=learner)
    learner.bias.assign(np.arange(V))
    assert np.asarray(twin.bias)[5] == 5
    assert np.asarray(network.get_layer("output").bias)[5] == 0
    learner.publish(network)
    weights = get_weights(network)
    assert weights["output/bias"].tolist() == list(range(V))
    assert np.array_equal(weights["output/kernel"], np.asarray(learner.rows).T)


def test_the_sequential_is_left_as_it_was():
    """Sharing its layers changes nothing for whoever uses it afterwards."""
    network, learner = make(layers=2, cell="gru")
    x = np.ones((B, T), "int32")
    before = np.asarray(network(x))
    learner((x, NO_NEGATIVES))
    assert np.array_equal(np.asarray(network(x)), before)
    assert not network.get_layer("recurrent_1").return_state
