"""The Keras model that learns: the layers of the Sequential, with the state carried and the loss estimated.

It shares the Sequential's layers. Only the output layer is kept apart while training, a row a word, because the
sampled softmax reads and writes rows; `publish` copies it back.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from wordlm.config import ModelConfig, TrainConfig
from wordlm.softmax import NegativeSampler, full_losses, full_losses_and_hits, sampled_losses

# XLA makes the CPU no faster under TensorFlow, and compiles for long; JAX knows no other way.
JIT = "auto" if keras.backend.backend() == "jax" else False


class Learner(keras.Model):
    """Trains on batches of streams or windows, and evaluates with the full softmax.

    In a batch, x is (token_ids, negatives), y the target ids, (B, T) for streams and (B,) for windows, and
    sample_weight has the shape of y; all batches of a learner have the same shapes. Negatives are the ids that stand
    for the vocabulary in this step; with the full softmax they are not read.

    Args:
        network: the Sequential of `build_model`.
        config: its config.
        batch_size: streams side by side, B; their state is carried from batch to batch until `reset`.
        sampler: of the negatives; None for the full softmax.
        twin: a learner of the same network: the output layer is then shared with it.
    """

    def __init__(
        self,
        network: keras.Sequential,
        config: ModelConfig,
        batch_size: int,
        sampler: NegativeSampler | None = None,
        twin: Learner | None = None,
    ) -> None:
        super().__init__(name="learner")
        self.config = config
        self.sampler = sampler
        # Keras trains what it finds in the attributes, so the Sequential itself, with its output layer, is none.
        self.stack = [layer for layer in network.layers if layer.name not in ("output", "embedding")]
        self.embedding = network.get_layer("embedding")
        output = network.get_layer("output")
        if twin is None:
            self.rows = self.add_weight(shape=output.kernel.shape[::-1], name="rows")
            self.bias = self.add_weight(shape=output.bias.shape, name="bias")
            self.rows.assign(ops.transpose(output.kernel))
            self.bias.assign(output.bias)
        else:
            self.rows, self.bias = twin.rows, twin.bias
        # What is summed over the batches of an evaluation: losses, correct words, words.
        self.sums = self.add_weight(shape=(3,), initializer="zeros", trainable=False, name="sums")
        if sampler:
            self.log_inclusion = np.log(sampler.inclusion).astype("float32")
        shape, kinds = (batch_size, config.units), 2 if config.cell == "lstm" else 1
        self.states = [
            [self.add_weight(shape=shape, initializer="zeros", trainable=False, name="state") for _ in range(kinds)]
            for _ in range(0 if config.context else config.layers)
        ]
        self.built = True

    def reset(self) -> None:
        """Puts the carried state back to zeros, and the sums of an evaluation."""
        for variable in [self.sums, *(variable for state in self.states for variable in state)]:
            variable.assign(np.zeros(variable.shape))

    def publish(self, network: keras.Sequential) -> None:
        """Writes the output layer as it is now into the Sequential; the other layers are shared with it."""
        output = network.get_layer("output")
        output.kernel.assign(ops.transpose(self.rows))
        output.bias.assign(self.bias)

    def call(self, x: Any, training: bool = False) -> Any:
        """What goes into the output layer: (B, T, d) for streams, (B, d) for windows."""
        token_ids = x[0]
        if self.config.context:
            # Windows are padded, so the mask counts: the layers hand it on by themselves.
            hidden = self.embedding(token_ids)
            for layer in self.stack:
                hidden = layer(hidden, training=training)
            return hidden
        # In a stream nothing is padded but behind its end, where the weight is 0: the vectors are looked up
        # without the layer's mask, which is slow.
        hidden = ops.take(self.embedding.embeddings, token_ids, axis=0)
        mask = ops.any(ops.not_equal(hidden, 0.0), axis=-1) if self.config.masking else None
        states = iter(self.states)
        for layer in self.stack:
            if layer.name == "masking":
                continue
            if _is_recurrent(layer):
                state = next(states)
                hidden, *after = _run(layer, hidden, [ops.convert_to_tensor(part) for part in state], mask, training)
                for variable, value in zip(state, after, strict=True):
                    variable.assign(value)
            else:
                hidden = layer(hidden, training=training)
        return hidden

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean loss in nats over the words of weight 1; in evaluation, the sums are kept too."""
        hidden = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        targets, weights = ops.reshape(ops.cast(y, "int32"), (-1,)), ops.reshape(sample_weight, (-1,))
        rows, bias = ops.convert_to_tensor(self.rows), ops.convert_to_tensor(self.bias)
        if training and self.sampler:
            negatives = x[1]
            log_inclusion = ops.take(ops.convert_to_tensor(self.log_inclusion), negatives)
            losses = sampled_losses(hidden, rows, bias, targets, negatives, log_inclusion)
        elif training:
            losses = full_losses(hidden, rows, bias, targets)
        else:
            losses, hits = full_losses_and_hits(hidden, rows, bias, targets)
            parts = [losses * weights, ops.cast(hits, "float32") * weights, weights]
            self.sums.assign_add(ops.stack([ops.sum(part) for part in parts]))
        return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1.0)


def make_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Adam with clipping by the norm of all gradients together; rows left out of a step cost nothing."""
    if keras.backend.backend() == "tensorflow":
        from wordlm.fast_tensorflow import LazyAdam

        return LazyAdam(config.learning_rate, config.clip_norm)
    return keras.optimizers.Adam(config.learning_rate, global_clipnorm=config.clip_norm or None)


def _is_recurrent(layer: Any) -> bool:
    return layer.name.startswith("recurrent_")


def _run(layer: Any, x: Any, state: list[Any], mask: Any, training: bool) -> list[Any]:
    """Outputs (B, T, U) and the states after the last step."""
    cell = layer.cell
    if _fast(layer, mask):
        from wordlm.fast_tensorflow import lstm

        if training and cell.dropout:
            # The same units are dropped at every step, as the layer's own `dropout` does it.
            keep = keras.random.dropout(ops.ones_like(x[:, :1]), cell.dropout, seed=cell.seed_generator)
            x = x * keep
        return lstm(x, *state, *(weight.value for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)))
    layer.return_state = True  # here alone: in a Sequential the next layer would be given the state too
    try:
        return layer(x, initial_state=state, mask=mask, training=training)
    finally:
        layer.return_state = False


def _fast(layer: Any, mask: Any) -> bool:
    """Whether our own LSTM serves: TensorFlow without a GPU (there cuDNN is faster), no mask in the recurrence."""
    if keras.backend.backend() != "tensorflow" or not isinstance(layer, keras.layers.LSTM):
        return False
    import tensorflow as tf

    return mask is None and not layer.cell.recurrent_dropout and not tf.config.list_physical_devices("GPU")
