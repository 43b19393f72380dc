import doctest
from functools import partial

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from wordlm import fast_tensorflow, softmax  # noqa: E402
from wordlm.fast_tensorflow import LazyAdam, _rows_together, full_loss, lstm, spread_over_cores  # noqa: E402


def test_docstrings():
    result = doctest.testmod(fast_tensorflow)
    assert result.failed == 0 < result.attempted


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("batch", "time", "width", "units"), [(3, 5, 4, 6), (1, 1, 2, 1), (2, 12, 7, 3)])
def test_lstm_equals_the_layer(batch, time, width, units, compiled):
    """Outputs, both states, and the gradients of all of them by every input and weight."""
    rng = np.random.default_rng(0)
    layer = keras.layers.LSTM(units, return_sequences=True, return_state=True, use_cudnn=False)
    layer.build((batch, time, width))
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    shapes = (batch, time, width), (batch, units), (batch, units)
    x, h, c = (tf.Variable(rng.normal(size=shape).astype("float32")) for shape in shapes)
    weights = [weight.value for weight in layer.weights]
    pull = [rng.normal(size=shape).astype("float32") for shape in ((batch, time, units), *shapes[1:])]

    def differentiate(function):
        with tf.GradientTape() as tape:
            results = function()
            loss = sum(tf.reduce_sum(result * weight) for result, weight in zip(results, pull, strict=True))
        return [*results, *tape.gradient(loss, [x, h, c, *weights])]

    ours = lambda: differentiate(lambda: lstm(x, h, c, *weights))  # noqa: E731
    reference = differentiate(lambda: layer(x, initial_state=[h, c]))
    for one, other in zip((tf.function(ours) if compiled else ours)(), reference, strict=True):
        assert one.shape == other.shape
        assert one.numpy() == pytest.approx(other.numpy(), rel=1e-5, abs=1e-5)


def test_lstm_equals_the_layer_with_dropout():
    """With the same masks: the units that are dropped of the inputs, and of the state where it is read."""
    rng = np.random.default_rng(0)
    batch, time, width, units = 3, 6, 4, 5
    layer = keras.layers.LSTM(units, return_sequences=True, dropout=0.3, recurrent_dropout=0.4, use_cudnn=False)
    layer.build((batch, time, width))
    x_mask, h_mask = ((rng.random((batch, size)) > 0.4).astype("float32") * 1.5 for size in (width, units))
    # The layer has a mask for each gate.
    layer.cell.get_dropout_mask = lambda _: [x_mask] * 4
    layer.cell.get_recurrent_dropout_mask = lambda _: [h_mask] * 4
    x = tf.Variable(rng.normal(size=(batch, time, width)).astype("float32"))
    pull = rng.normal(size=(batch, time, units)).astype("float32")
    zeros = tf.zeros((batch, units))
    weights = [weight.value for weight in layer.weights]

    def ours():
        return lstm(x * x_mask[:, None], zeros, zeros, *weights, recurrent_mask=h_mask)[0]

    found = []
    for run in (ours, lambda: layer(x, training=True)):
        with tf.GradientTape() as tape:
            outputs = run()
            loss = tf.reduce_sum(outputs * pull)
        found.append([outputs, *tape.gradient(loss, [x, *weights])])
    for one, other in zip(*found, strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("rows", [8, 6, 5, 1])
def test_lstm_in_blocks_of_rows_is_the_same(rows, monkeypatch):
    """Outputs, both states, and the gradients of all of them by every input and weight, with a mask for each row."""
    rng = np.random.default_rng(0)
    batch, time, width, units = 24, 5, 4, 3
    shapes = (batch, time, width), (batch, units), (batch, units), (width, 12), (units, 12), (12,)
    variables = [tf.Variable(rng.normal(size=shape).astype("float32")) for shape in shapes]
    mask = (rng.random((batch, units)) > 0.4).astype("float32") * 1.5
    pull = [rng.normal(size=shape).astype("float32") for shape in ((batch, time, units), *shapes[1:3])]
    found = []
    for gates, together in ((1 << 15, 8), (100, rows)):
        monkeypatch.setattr("wordlm.fast_tensorflow._GATES", gates)
        monkeypatch.setattr("wordlm.fast_tensorflow._ROWS_TOGETHER", together)
        with tf.GradientTape() as tape:
            results = lstm(*variables, mask)
            loss = sum(tf.reduce_sum(result * weight) for result, weight in zip(results, pull, strict=True))
        found.append([*results, *tape.gradient(loss, variables)])
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        assert one.numpy() == pytest.approx(other.numpy(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "units", "together"),
    [
        (16, 320, 16),
        (16, 512, 8),
        (32, 650, 8),
        (10, 650, 10),
        (10, 1024, 10),
        (18, 1024, 9),
        (17, 1024, 17),
        (4, 4096, 4),
    ],
)
def test_rows_that_an_lstm_takes_together(rows, units, together):
    assert _rows_together(rows, units) == together


@pytest.mark.parametrize(
    ("cores", "batch_size", "parts"),
    [(2, 32, 2), (2, 20, 2), (2, 7, 1), (1, 32, 1), (8, 32, 8), (16, 32, 8), (6, 64, 4)],
)
def test_parts_are_even_and_not_too_small(cores, batch_size, parts, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores), raising=False)
    assert spread_over_cores(batch_size) == parts


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_the_full_loss_in_blocks_is_the_full_loss(block, parts, monkeypatch):
    """The loss and its gradients, words that are targets twice and weights of 0 among them."""
    monkeypatch.setattr("wordlm.fast_tensorflow._LOGITS", block * 11)
    monkeypatch.setattr("wordlm.fast_tensorflow._LEAST_ROWS", 1)
    rng = np.random.default_rng(0)
    variables = [tf.Variable(rng.normal(size=shape).astype("float32")) for shape in ((7, 5), (11, 5), (11,))]
    targets = np.array([3, 0, 3, 10, 3, 7, 0], "int32")
    weights = np.array([1, 0.5, 2, 0, 1, 1, 1], "float32")
    found = []
    for function in (partial(full_loss, parts=parts), softmax.full_loss):
        with tf.GradientTape() as tape:
            loss = function(*variables, targets, weights)
            scaled = 3 * loss
        found.append([loss, *tape.gradient(scaled, variables)])
    for one, other in zip(*found, strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), rel=1e-5, abs=1e-5)


def train(kind, gradients, rows=6, **options):
    variables = [
        keras.Variable(array.astype("float32")) for array in (np.arange(rows * 2).reshape(rows, 2) / 10, np.ones(3))
    ]
    optimizer = kind(learning_rate=0.1, **options)
    optimizer.build(variables)
    for gradient in gradients:
        optimizer.apply([gradient, tf.ones(3)], variables)
    return [np.asarray(variable) for variable in variables]


def sparse(indices, values, rows=6):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(indices), tf.constant([rows, 2]))


@pytest.mark.parametrize("betas", [{}, {"beta_1": 0.0, "beta_2": 0.95}])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_lazy_adam_is_adam_where_every_row_is_touched(clip, betas):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 6, 2)).astype("float32")
    orders = [rng.permutation(6) for _ in values]
    dense = train(keras.optimizers.Adam, [tf.constant(value) for value in values], global_clipnorm=clip, **betas)
    in_order = [sparse(o, value[o]) for o, value in zip(orders, values, strict=True)]
    lazy = train(LazyAdam, in_order, clip_norm=clip, **betas)
    also_dense = train(LazyAdam, [tf.constant(value) for value in values], clip_norm=clip, **betas)
    for one, two, three in zip(dense, lazy, also_dense, strict=True):
        assert two == pytest.approx(one, abs=1e-6)
        assert three == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_rows_that_occur_twice_are_added_up(clip):
    indices, values = [0, 3, 0, 5, 3, 0], np.arange(12).reshape(6, 2) - 4.0
    whole = np.zeros((6, 2), "float32")
    np.add.at(whole, indices, values)
    dense = train(keras.optimizers.Adam, [tf.constant(whole)], global_clipnorm=clip)
    lazy = train(LazyAdam, [sparse(indices, values)], clip_norm=clip)
    for one, other in zip(dense, lazy, strict=True):
        assert other == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("clip", [None, 1e9])
def test_rows_that_are_left_out_stand_still(clip):
    first = np.arange(12).reshape(6, 2) / 10
    after = train(LazyAdam, [sparse([1], [[1.0, 1.0]]), sparse([4], [[1.0, -1.0]])], clip_norm=clip)[0]
    assert np.array_equal(after[[0, 2, 3, 5]], first[[0, 2, 3, 5]].astype("float32"))
    assert after[1] == pytest.approx(first[1] - 0.1, abs=1e-5)  # Adam's first step is the learning rate
    # A second step with moments that begin there: m = 0.1 g, v = 0.001 g², corrected for two steps.
    expected = 0.1 * np.sqrt(1 - 0.999**2) / (1 - 0.9**2) * 0.1 / np.sqrt(0.001)
    assert after[4] == pytest.approx(first[4] - [expected, -expected], abs=1e-5)


def test_without_a_mean_of_the_gradients_there_is_no_memory_for_one():
    variables = [keras.Variable(np.ones((6, 2), "float32"))]
    sizes = []
    for beta_1 in (0.9, 0.0):
        optimizer = LazyAdam(0.1, beta_1)
        optimizer.build(variables)
        sizes.append(sum(np.size(variable) for variable in optimizer.variables))
    assert sizes[0] - sizes[1] == 12
