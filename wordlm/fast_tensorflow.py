"""What TensorFlow alone does faster than backend-neutral Keras: the one file that says `tf.`

Both parts are used in training only. The saved model is plain Keras and gives the same numbers.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def lstm(x: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> tuple[tf.Tensor, ...]:
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

    Returns:
        Outputs (B, T, U), the last hidden and the last cell state (B, U).
    """
    # A custom gradient wants tensors: it would take variables for hidden inputs.
    return _lstm(*map(tf.convert_to_tensor, (x, h, c, kernel, recurrent_kernel, bias)))


class LazyAdam(keras.optimizers.Adam):
    """Adam that touches only the rows which a sampled softmax or an embedding looked up in this step.

    Dense gradients are treated as in `keras.optimizers.Adam`. For a row that a step leaves out, the moments
    stand still instead of decaying, which saves most of the work where the vocabulary is large.

    Args:
        learning_rate: as in Adam.
        clip_norm: largest norm of all gradients together. Keras' own `global_clipnorm` makes them dense.
    """

    def __init__(self, learning_rate: float, clip_norm: float | None = None) -> None:
        super().__init__(learning_rate)
        self.clip_norm = clip_norm

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        # Rows that occur twice are added up first: clipping by norm and the squares in Adam want whole gradients.
        grads = [_merge_rows(gradient) for gradient in grads]
        if self.clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, self.clip_norm)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows, values = gradient.indices, gradient.values
        steps = tf.cast(self.iterations + 1, values.dtype)
        rate = tf.cast(learning_rate, values.dtype) * tf.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        m = self.beta_1 * tf.gather(momentum, rows) + (1 - self.beta_1) * values
        v = self.beta_2 * tf.gather(velocity, rows) + (1 - self.beta_2) * values * values
        momentum.scatter_update(tf.IndexedSlices(m, rows))
        velocity.scatter_update(tf.IndexedSlices(v, rows))
        variable.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + self.epsilon), rows))


@tf.custom_gradient
def _lstm(
    x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor
) -> Any:
    steps, width, units = x.shape[1], x.shape[2], recurrent_kernel.shape[0]
    flat = tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, width))  # (T·B, D): time first, each step contiguous
    projected = tf.unstack(tf.reshape(flat @ kernel + bias, (steps, -1, 4 * units)))
    hidden, cells, gates = [h], [c], []
    for t in range(steps):
        z = projected[t] + hidden[-1] @ recurrent_kernel
        i, f, g, o = tf.split(z, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        cells.append(f * cells[-1] + i * g)
        squashed = tf.tanh(cells[-1])
        hidden.append(o * squashed)
        gates.append((i, f, g, o, squashed))

    def gradient(d_outputs: tf.Tensor, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
        d_steps = tf.unstack(d_outputs, axis=1)
        d_z: list[Any] = [None] * steps
        for t in reversed(range(steps)):
            i, f, g, o, squashed = gates[t]
            d_h += d_steps[t]
            d_c += d_h * o * (1 - squashed * squashed)
            d_z[t] = tf.concat(
                [
                    d_c * g * i * (1 - i),
                    d_c * cells[t] * f * (1 - f),
                    d_c * i * (1 - g * g),
                    d_h * squashed * o * (1 - o),
                ],
                axis=1,
            )
            d_h = tf.matmul(d_z[t], recurrent_kernel, transpose_b=True)
            d_c *= f
        d_all = tf.concat(d_z, axis=0)  # (T·B, 4U)
        before = tf.concat(hidden[:-1], axis=0)  # (T·B, U)
        d_x = tf.reshape(tf.matmul(d_all, kernel, transpose_b=True), (steps, -1, width))
        return (
            tf.transpose(d_x, (1, 0, 2)),
            d_h,
            d_c,
            tf.matmul(flat, d_all, transpose_a=True),
            tf.matmul(before, d_all, transpose_a=True),
            tf.reduce_sum(d_all, axis=0),
        )

    return (tf.stack(hidden[1:], axis=1), hidden[-1], cells[-1]), gradient


def _merge_rows(gradient: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(tf.reshape(gradient.indices, (-1,)))
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
