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
# From so many gates in a step on, 128 KB, rows that a core takes through all steps before the next ones. By trial; it
# is presumably the core's cache that counts.
_GATES, _ROWS_TOGETHER = 1 << 15, 8
# Logits in a block of the full softmax, 16 MB, and rows that it has at least: each block's (V, d) gradient is added up.
_LOGITS, _LEAST_ROWS = 1 << 22, 32


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
        x: (B, T, D) inputs, B and T static.
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


def full_loss(hidden: Any, rows: Any, bias: Any, targets: Any, weights: Any, parts: int) -> tf.Tensor:
    """`softmax.full_loss` without the (N, V) logits: their gradient is made block by block, with the loss itself.

    Args:
        hidden, rows, bias, targets, weights: as there; N static.
        parts: of the vocabulary, each on a core of its own.

    Returns:
        A scalar, the weighted sum of the losses in nats.
    """
    targets, weights = tf.convert_to_tensor(targets), tf.convert_to_tensor(weights)
    inputs = map(tf.convert_to_tensor, (hidden, rows, bias))
    return tf.custom_gradient(lambda *tensors: _full_loss(*tensors, targets, weights, parts))(*inputs)


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
    rows, steps, _ = x.shape
    units = recurrent_kernel.shape[0]
    size = _rows_together(rows, units)
    blocks = rows // size

    def by_step(array: tf.Tensor) -> tf.Tensor:
        """(B, T, N) -> (B·T, N): block after block, in each step after step, which so are contiguous."""
        split = tf.reshape(array, (blocks, size, steps, array.shape[2]))
        return tf.reshape(tf.transpose(split, (0, 2, 1, 3)), (rows * steps, array.shape[2]))

    def by_row(array: tf.Tensor) -> tf.Tensor:
        """The way back."""
        split = tf.reshape(array, (blocks, steps, size, array.shape[1]))
        return tf.reshape(tf.transpose(split, (0, 2, 1, 3)), (rows, steps, array.shape[1]))

    masks = None if recurrent_mask is None else tf.split(recurrent_mask, blocks)

    def read(h: tf.Tensor, block: int) -> tf.Tensor:
        return h if masks is None else h * masks[block]

    flat = by_step(x)
    projected = tf.split(flat @ kernel + bias, blocks * steps)
    outputs, kept, read_states, ends = [], [], [], []
    for block, (hidden, cell) in enumerate(zip(tf.split(h, blocks), tf.split(c, blocks), strict=True)):
        with tf.control_dependencies(outputs[-1:]):  # one block after the other, or they push each other out
            hidden, cell = tf.identity(hidden), tf.identity(cell)
        for t in range(steps):
            before = read(hidden, block)
            i, f, g, o = tf.split(projected[block * steps + t] + before @ recurrent_kernel, 4, axis=1)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
            cell_before, cell = cell, f * cell + i * g
            squashed = tf.tanh(cell)
            hidden = o * squashed
            read_states.append(before)
            outputs.append(hidden)
            kept.append((i, f, g, o, cell_before, squashed))
        ends.append((hidden, cell))

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # Once: a product with them as they stand takes up to twice as long.
        transposed, transposed_recurrent = tf.transpose(kernel), tf.transpose(recurrent_kernel)
        d_steps = tf.split(by_step(d_outputs), blocks * steps)
        d_z: list[Any] = [None] * (blocks * steps)
        d_starts: list[Any] = []
        for block, (d_hidden, d_cell) in enumerate(zip(tf.split(d_h, blocks), tf.split(d_c, blocks), strict=True)):
            with tf.control_dependencies(d_starts[-1] if d_starts else []):
                d_hidden, d_cell = tf.identity(d_hidden), tf.identity(d_cell)
            for place in reversed(range(block * steps, (block + 1) * steps)):
                i, f, g, o, cell_before, squashed = kept[place]
                # How much each of the products z moves the cell state, the last one the output. They wait for no later
                # step, so they are made out of the chain.
                slopes = tf.concat(
                    [g * (i - i * i), cell_before * (f - f * f), i - i * (g * g), squashed * (o - o * o)], axis=1
                )
                d_hidden += d_steps[place]
                d_cell += d_hidden * (o - o * (squashed * squashed))
                d_z[place] = tf.concat([d_cell, d_cell, d_cell, d_hidden], axis=1) * slopes
                d_hidden = read(d_z[place] @ transposed_recurrent, block)
                d_cell *= f
            d_starts.append((d_hidden, d_cell))
        d_all = tf.concat(d_z, axis=0)  # (B·T, 4U), in the order of `by_step`
        return (
            by_row(d_all @ transposed),
            *(tf.concat(parts, axis=0) for parts in zip(*d_starts, strict=True)),
            tf.matmul(flat, d_all, transpose_a=True),
            tf.matmul(tf.concat(read_states, axis=0), d_all, transpose_a=True),
            tf.reduce_sum(d_all, axis=0),
        )

    ended = (tf.concat(parts, axis=0) for parts in zip(*ends, strict=True))
    return (by_row(tf.concat(outputs, axis=0)), *ended), gradient


def _rows_together(rows: int, units: int) -> int:
    """Rows of a batch that go through the steps side by side: a few, where the gates of all take much memory.

    Example:
        >>> _rows_together(16, units=320), _rows_together(16, units=512)
        (16, 8)
    """
    if rows * 4 * units < _GATES:
        return rows
    return next(size for size in range(min(rows, _ROWS_TOGETHER), rows + 1) if rows % size == 0)


def _full_loss(
    hidden: tf.Tensor, rows: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, parts: int
) -> Any:
    words = rows.shape[0]
    size = max(_LEAST_ROWS, parts * _LOGITS // words)
    sizes = [words // parts + (part < words % parts) for part in range(parts)]
    all_rows, all_bias = tf.split(rows, sizes), tf.split(bias, sizes)
    d_rows, d_bias = [tf.zeros_like(some) for some in all_rows], [tf.zeros_like(some) for some in all_bias]
    target_rows, normalizers, d_hidden = tf.gather(rows, targets), [], []
    for start in range(0, hidden.shape[0], size):
        h, weight = hidden[start : start + size], weights[start : start + size]
        with tf.control_dependencies(d_rows):  # one block after the other, for the memory's sake
            logits = [tf.matmul(h, some, transpose_b=True) + b for some, b in zip(all_rows, all_bias, strict=True)]
        greatest = tf.reduce_max(tf.stack([tf.reduce_max(some, axis=1) for some in logits]), axis=0)
        with tf.control_dependencies([greatest]):  # so the array that holds the logits is free, and is written over
            exponentials = [tf.exp(some - greatest[:, None]) for some in logits]
        total = tf.add_n([tf.reduce_sum(some, axis=1) for some in exponentials])
        normalizers.append(greatest + tf.math.log(total))
        with tf.control_dependencies([total]):
            slopes = [some * (weight / total)[:, None] for some in exponentials]
        d_hidden.append(tf.add_n([some @ part for some, part in zip(slopes, all_rows, strict=True)]))
        d_rows = [d + tf.matmul(some, h, transpose_a=True) for d, some in zip(d_rows, slopes, strict=True)]
        d_bias = [d + tf.reduce_sum(some, axis=0) for d, some in zip(d_bias, slopes, strict=True)]
    losses = tf.concat(normalizers, axis=0) - tf.reduce_sum(hidden * target_rows, axis=1) - tf.gather(bias, targets)

    def gradient(d_total: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # Less the targets' own part, which is one row each.
        places, weight = targets[:, None], weights[:, None]
        of_rows = tf.tensor_scatter_nd_sub(tf.concat(d_rows, axis=0), places, weight * hidden)
        of_bias = tf.tensor_scatter_nd_sub(tf.concat(d_bias, axis=0), places, weights)
        return d_total * (tf.concat(d_hidden, axis=0) - weight * target_rows), d_total * of_rows, d_total * of_bias

    return tf.reduce_sum(weights * losses), gradient


def _merge_rows(gradient: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(tf.reshape(gradient.indices, (-1,)))
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
