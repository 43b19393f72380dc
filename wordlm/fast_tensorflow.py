"""What TensorFlow alone does faster than backend-neutral Keras: the one file that says `tf.`

All of it is used in training only. The saved model is plain Keras and gives the same numbers.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

# Rows of a batch that are worth a core of their own.
_ROWS = 4
# Logits in a block of the full softmax: 32 MB.
_LOGITS = 1 << 23


def spread_over_cores(batch_size: int) -> int:
    """Into how many parts a batch is to be split so that each is learned from on a core of its own.

    Products of a few rows gain little from a second thread, and each of the hundreds of small operations in a step
    loses time by handing its work over. So TensorFlow is told to give an operation one thread (where there are more
    cores than parts, some) and to run those of different parts side by side; this it hears only before its first
    operation in a process.

    Args:
        batch_size: rows to be split, evenly.

    Returns:
        A power of two, 1 for small batches.

    Example:
        >>> spread_over_cores(1)
        1
    """
    cores, parts = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1
    while 2 * parts <= cores and batch_size % (2 * parts) == 0 and batch_size // (2 * parts) >= _ROWS:
        parts *= 2
    with suppress(RuntimeError):  # the process has used TensorFlow before
        tf.config.threading.set_intra_op_parallelism_threads(-(-cores // parts))
        tf.config.threading.set_inter_op_parallelism_threads(max(2, parts))
    return parts


def lstm(
    x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any, recurrent_mask: Any = None
) -> tuple[tf.Tensor, ...]:
    """`keras.layers.LSTM` with its state given and taken back; on a CPU faster than the layer.

    The products that do not depend on the state are one large product before the loop, and the gradients of
    the kernels one large product each after it; only `h @ recurrent_kernel` stays inside.

    Args:
        x: (B, T, D) inputs, T static.
        h: (B, U) hidden state before the first step.
        c: (B, U) cell state before the first step.
        kernel: (D, 4U), gates in the order input, forget, cell, output.
        recurrent_kernel: (U, 4U).
        bias: (4U,).
        recurrent_mask: (B, U) what each step's `h` is multiplied by where it is read, the layer's
            `recurrent_dropout`; None: nothing. It gets no gradient.

    Returns:
        Outputs (B, T, U), the last hidden and the last cell state (B, U).
    """
    # A custom gradient wants tensors: it would take variables for hidden inputs.
    inputs = map(tf.convert_to_tensor, (x, h, c, kernel, recurrent_kernel, bias))
    return tf.custom_gradient(lambda *tensors: _lstm(*tensors, recurrent_mask))(*inputs)


def full_loss(hidden: Any, rows: Any, bias: Any, targets: Any, weights: Any) -> tf.Tensor:
    """`softmax.full_loss` without the (N, V) logits: their gradient is made block by block, with the loss itself.

    Args:
        hidden, rows, bias, targets, weights: as there; N static.

    Returns:
        A scalar, the weighted sum of the losses in nats.
    """
    targets, weights = tf.convert_to_tensor(targets), tf.convert_to_tensor(weights)
    inputs = map(tf.convert_to_tensor, (hidden, rows, bias))
    return tf.custom_gradient(lambda *tensors: _full_loss(*tensors, targets, weights))(*inputs)


class LazyAdam(keras.optimizers.Optimizer):
    """Adam that touches only the rows which a sampled softmax or an embedding looked up in this step.

    Dense gradients are treated as in `keras.optimizers.Adam`. For a row that a step leaves out, the averages
    stand still instead of decaying, which saves most of the work where the vocabulary is large. With `beta_1` 0
    there is no average of the gradients, and no memory for one.

    Args:
        learning_rate: as in Adam.
        beta_1: share of the gradients' average that is kept in a step.
        beta_2: of the average of their squares. It begins at zero, which Adam corrects by the number of all steps; a
            row that was looked up in few of them is changed too much. With 0.98 that is over when it has been looked
            up some thirty times, with 0.999 a thousand.
        clip_norm: largest norm of all gradients together. Keras' own `global_clipnorm` makes them dense.
    """

    def __init__(
        self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999, clip_norm: float | None = None
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1, self.beta_2, self.clip_norm, self.epsilon = beta_1, beta_2, clip_norm, 1e-7

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        if self.beta_1:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        # Rows that occur twice are added up first: clipping by norm and the squares in Adam want whole gradients.
        grads = [_merge_rows(gradient) for gradient in grads]
        if self.clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        is_sparse = isinstance(gradient, tf.IndexedSlices)
        values, rows = (gradient.values, gradient.indices) if is_sparse else (gradient, None)
        steps = tf.cast(self.iterations + 1, values.dtype)
        rate = tf.cast(learning_rate, values.dtype) * tf.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)
        index = self._get_variable_index(variable)
        squares = _average(self.velocities[index].value, values * values, rows, self.beta_2)
        mean = _average(self.momentums[index].value, values, rows, self.beta_1) if self.beta_1 else values
        change = rate * mean / (tf.sqrt(squares) + self.epsilon)
        if is_sparse:
            variable.scatter_sub(tf.IndexedSlices(change, rows))
        else:
            variable.assign_sub(change)


def _average(average: Any, values: Any, rows: Any, beta: float) -> Any:
    """Takes values into a running average, in these rows or (None) in all; what it is there now."""
    if rows is None:
        return average.assign(beta * average + (1 - beta) * values)
    after = beta * tf.gather(average, rows) + (1 - beta) * values
    average.scatter_update(tf.IndexedSlices(after, rows))
    return after


def _lstm(
    x: tf.Tensor,
    h: tf.Tensor,
    c: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    recurrent_mask: tf.Tensor | None,
) -> Any:
    steps, width, units = x.shape[1], x.shape[2], recurrent_kernel.shape[0]

    def read(h: tf.Tensor) -> tf.Tensor:
        return h if recurrent_mask is None else h * recurrent_mask

    flat = tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, width))  # (T·B, D): time first, each step contiguous
    projected = tf.unstack(tf.reshape(flat @ kernel + bias, (steps, -1, 4 * units)))
    hidden, cells, before, gates = [h], [c], [], []
    for t in range(steps):
        before.append(read(hidden[-1]))
        i, f, g, o = tf.split(projected[t] + before[-1] @ recurrent_kernel, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        cells.append(f * cells[-1] + i * g)
        squashed = tf.tanh(cells[-1])
        hidden.append(o * squashed)
        gates.append((i, f, g, o, squashed))

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
        d_steps = tf.unstack(d_outputs, axis=1)
        transposed = tf.transpose(recurrent_kernel)  # once: a product with it as it stands takes up to twice as long
        d_z: list[Any] = [None] * steps
        for t in reversed(range(steps)):
            i, f, g, o, squashed = gates[t]
            # How much each of the products z moves the cell state, the last one the output. They wait for no later
            # step, so they are made out of the chain.
            slopes = tf.concat(
                [g * (i - i * i), cells[t] * (f - f * f), i - i * (g * g), squashed * (o - o * o)], axis=1
            )
            d_h += d_steps[t]
            d_c += d_h * (o - o * (squashed * squashed))
            d_z[t] = tf.concat([d_c, d_c, d_c, d_h], axis=1) * slopes
            d_h = read(d_z[t] @ transposed)
            d_c *= f
        d_all = tf.concat(d_z, axis=0)  # (T·B, 4U)
        d_x = tf.reshape(tf.matmul(d_all, kernel, transpose_b=True), (steps, -1, width))
        return (
            tf.transpose(d_x, (1, 0, 2)),
            d_h,
            d_c,
            tf.matmul(flat, d_all, transpose_a=True),
            tf.matmul(tf.concat(before, axis=0), d_all, transpose_a=True),
            tf.reduce_sum(d_all, axis=0),
        )

    return (tf.stack(hidden[1:], axis=1), hidden[-1], cells[-1]), gradient


def _full_loss(hidden: tf.Tensor, rows: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> Any:
    size = max(1, _LOGITS // rows.shape[0])
    total, d_rows, d_bias = tf.zeros(()), tf.zeros_like(rows), tf.zeros_like(bias)
    d_hidden = []
    for start in range(0, hidden.shape[0], size):
        h, target, weight = (array[start : start + size] for array in (hidden, targets, weights))
        with tf.control_dependencies([d_rows]):  # one block after the other, for the memory's sake
            logits = tf.matmul(h, rows, transpose_b=True) + bias
        normalizers = tf.reduce_logsumexp(logits, axis=1)
        total += tf.reduce_sum(weight * (normalizers - tf.gather(logits, target, batch_dims=1)))
        slopes = tf.exp(logits - normalizers[:, None]) * weight[:, None]
        weight = weight[:, None]
        # Less the targets' own part, which is one row each.
        d_hidden.append(slopes @ rows - weight * tf.gather(rows, target))
        d_rows = tf.tensor_scatter_nd_sub(d_rows + tf.matmul(slopes, h, transpose_a=True), target[:, None], weight * h)
        d_bias = tf.tensor_scatter_nd_sub(d_bias + tf.reduce_sum(slopes, axis=0), target[:, None], weight[:, 0])

    def gradient(d_total: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return d_total * tf.concat(d_hidden, axis=0), d_total * d_rows, d_total * d_bias

    return total, gradient


def _merge_rows(gradient: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(tf.reshape(gradient.indices, (-1,)))
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
