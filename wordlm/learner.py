"""The Keras model that learns: the layers of the Sequential, with the state carried and the loss estimated.

It shares the Sequential's layers. Only the output layer is kept apart while training, a row a word, because the
sampled softmax reads and writes rows, and the trained numbers of the words, which may be rows of it too; `publish`
copies them back.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from wordlm.config import ModelConfig, TrainConfig
from wordlm.softmax import NegativeSampler, full_loss, full_losses_and_hits, sampled_losses
from wordlm.vocab import PAD

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
        twin: a learner of the same network: what is kept apart is then shared with it.
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
        vectors, output = network.get_layer("embedding").embeddings, network.get_layer("output")
        trained = config.embedding_dim if config.trainable_embedding else config.trained_dim
        self.frozen_dim = config.frozen_dim
        width = output.kernel.shape[0]
        # The last numbers of a word's output are the last of its input.
        self.shared = min(trained, config.trained_dim, width) if config.tied else 0
        if self.frozen_dim:
            self.vectors = vectors
        if twin is None:
            kernel, matrix = np.asarray(output.kernel), np.asarray(vectors)
            self.rows = self._weight("rows", kernel.T[:, : width - self.shared]) if self.shared < width else None
            self.bias = self._weight("bias", np.asarray(output.bias))
            self.trained = self._weight("trained", matrix[:, self.frozen_dim :]) if trained else None
        else:
            self.rows, self.bias, self.trained = twin.rows, twin.bias, twin.trained
        # What is summed over the batches of an evaluation: losses, correct words, words.
        self.sums = self.add_weight(shape=(3,), initializer="zeros", trainable=False, name="sums")
        if sampler:
            self.log_inclusion = np.log(sampler.inclusion).astype("float32")
        self.parts = spread_over_cores(batch_size)
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

    def use_full_softmax(self) -> None:
        """From the next step on, the loss is no estimate any more."""
        self.sampler = None
        self.make_train_function(force=True)

    def publish(self, network: keras.Sequential) -> None:
        """Writes what is kept apart as it is now into the Sequential; the other layers are shared with it."""
        output, embedding = network.get_layer("output"), network.get_layer("embedding").embeddings
        output.kernel.assign(ops.transpose(self._rows()))
        output.bias.assign(self.bias)
        if self.trained is not None:
            frozen = ops.convert_to_tensor(embedding)[:, : self.frozen_dim]
            embedding.assign(ops.concatenate([frozen, ops.convert_to_tensor(self.trained)], axis=1))

    def call(self, x: Any, training: bool = False) -> Any:
        """What goes into the output layer: (B, T, d) for streams, (B, d) for windows."""
        tops, ends = [], []
        states = [[ops.split(ops.convert_to_tensor(array), self.parts) for array in state] for state in self.states]
        for part, token_ids in enumerate(ops.split(x[0], self.parts)):
            before = [[array[part] for array in state] for state in states]
            top, after = self._read(token_ids, before, training)
            tops.append(top)
            ends.append([array for state in after for array in state])
        variables = [variable for state in self.states for variable in state]
        for variable, *arrays in zip(variables, *ends, strict=True):
            variable.assign(ops.concatenate(arrays))
        return ops.concatenate(tops)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean loss in nats over the words of weight 1; in evaluation, the sums are kept too."""
        is_sampled, bias = training and self.sampler is not None, ops.convert_to_tensor(self.bias)
        if is_sampled:
            negatives = x[1]
            rows = self._rows(negatives)
            log_inclusion = ops.take(ops.convert_to_tensor(self.log_inclusion), negatives)
            negative_bias = ops.take(bias, negatives) - log_inclusion
        else:
            rows = self._rows()
        if training and not is_sampled:
            hidden, targets, weights = _one_by_one(y_pred, y, sample_weight)
            total = _full_loss(hidden, rows, bias, targets, weights, self.parts)
            return total / ops.maximum(ops.sum(sample_weight), 1.0)
        total = 0.0
        for arrays in zip(*(ops.split(of, self.parts) for of in (y_pred, y, sample_weight)), strict=True):
            hidden, targets, weights = _one_by_one(*arrays)
            if is_sampled:
                of_targets = self._rows(targets), ops.take(bias, targets)
                losses = sampled_losses(hidden, targets, *of_targets, negatives, rows, negative_bias)
            else:
                losses, hits = full_losses_and_hits(hidden, rows, bias, targets)
                kinds = losses * weights, ops.cast(hits, "float32") * weights, weights
                self.sums.assign_add(ops.stack([ops.sum(kind) for kind in kinds]))
            total = total + ops.sum(losses * weights)
        return total / ops.maximum(ops.sum(sample_weight), 1.0)

    def _read(self, token_ids: Any, states: list[list[Any]], training: bool) -> tuple[Any, list[list[Any]]]:
        """The layers over a part of the ids, from a state of each recurrent layer; and the states afterwards."""
        hidden = self._look_up(token_ids)
        # Windows are padded. In a stream nothing is but behind its end, where the weight is 0: masks are slow.
        mask = ops.not_equal(token_ids, PAD) if self.config.context else None
        if self.config.masking:
            mask = ops.any(ops.not_equal(hidden, 0.0), axis=-1)
        ends: list[list[Any]] = []
        for layer in self.stack:
            if layer.name == "masking":
                continue
            if _is_recurrent(layer) and self.config.context:
                hidden = layer(hidden, mask=mask, training=training)
            elif _is_recurrent(layer):
                hidden, *end = _run(layer, hidden, states[len(ends)], mask, training)
                ends.append(end)
            elif layer.name == "dropout" and not self.config.context:
                # The same units at every step of a sequence (Gal & Ghahramani 2016): others would be mended by the
                # steps beside them.
                if training and layer.rate:
                    hidden = hidden * _dropout_mask(hidden[:, :1], layer.rate, layer.seed_generator)
            else:
                hidden = layer(hidden, training=training)
        return hidden, ends

    def _look_up(self, token_ids: Any) -> Any:
        """The vectors that the words go in with, (..., D)."""
        parts = []
        if self.frozen_dim:
            parts.append(ops.take(self.vectors, token_ids, axis=0)[..., : self.frozen_dim])
        if self.trained is not None:
            parts.append(ops.take(self.trained, token_ids, axis=0))
        return ops.concatenate(parts, axis=-1)

    def _rows(self, token_ids: Any = None) -> Any:
        """The output vectors of some words, (N, d); of all of them, (V, d)."""
        parts = [] if self.rows is None else [ops.convert_to_tensor(self.rows)]
        if self.shared:
            parts.append(ops.convert_to_tensor(self.trained))
        if token_ids is not None:
            parts = [ops.take(part, token_ids, axis=0) for part in parts]
        if self.shared:
            parts[-1] = parts[-1][:, -self.shared :]
        return ops.concatenate(parts, axis=-1)

    def _weight(self, name: str, value: np.ndarray) -> keras.Variable:
        weight = self.add_weight(shape=value.shape, name=name)
        weight.assign(value)
        return weight


def make_optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Adam with clipping by the norm of all gradients together; rows left out of a step cost nothing."""
    if keras.backend.backend() == "tensorflow":
        from wordlm.fast_tensorflow import LazyAdam

        return LazyAdam(config.learning_rate, config.beta_1, config.beta_2, config.clip_norm)
    betas = config.beta_1, config.beta_2
    return keras.optimizers.Adam(config.learning_rate, *betas, global_clipnorm=config.clip_norm or None)


def spread_over_cores(batch_size: int) -> int:
    """Into how many parts a batch is split that are learned from side by side; only TensorFlow on a CPU needs it.

    TensorFlow's threads can be set before its first operation in a process alone, so this is to be called before
    the network is built.
    """
    if not _on_cpu():
        return 1
    from wordlm.fast_tensorflow import spread_over_cores

    return spread_over_cores(batch_size)


def _one_by_one(hidden: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
    """(N, d), (N,), (N,): no matter in which stream and step a word stands."""
    hidden, weights = ops.reshape(hidden, (-1, hidden.shape[-1])), ops.reshape(weights, (-1,))
    return hidden, ops.reshape(ops.cast(targets, "int32"), (-1,)), weights


def _full_loss(hidden: Any, rows: Any, bias: Any, targets: Any, weights: Any, parts: int) -> Any:
    """`softmax.full_loss`, on TensorFlow without the logits of all words at once."""
    if keras.backend.backend() == "tensorflow":
        from wordlm.fast_tensorflow import full_loss as in_blocks

        return in_blocks(hidden, rows, bias, targets, weights, parts)
    return full_loss(hidden, rows, bias, targets, weights)


def _is_recurrent(layer: Any) -> bool:
    return layer.name.startswith("recurrent_")


def _run(layer: Any, x: Any, state: list[Any], mask: Any, training: bool) -> list[Any]:
    """Outputs (b, T, U) and the states after the last step."""
    cell = layer.cell
    # Our own has no mask in the recurrence.
    if isinstance(layer, keras.layers.LSTM) and mask is None and _on_cpu():
        from wordlm.fast_tensorflow import lstm

        # The same units are dropped at every step, as the layer's own `dropout` and `recurrent_dropout` do it.
        if training and cell.dropout:
            x = x * _dropout_mask(x[:, :1], cell.dropout, cell.seed_generator)
        recurrent_mask = None
        if training and cell.recurrent_dropout:
            recurrent_mask = _dropout_mask(state[0], cell.recurrent_dropout, cell.seed_generator)
        weights = (weight.value for weight in (cell.kernel, cell.recurrent_kernel, cell.bias))
        return lstm(x, *state, *weights, recurrent_mask)
    layer.return_state = True  # here alone: in a Sequential the next layer would be given the state too
    try:
        return layer(x, initial_state=state, mask=mask, training=training)
    finally:
        layer.return_state = False


def _dropout_mask(like: Any, rate: float, seed: Any) -> Any:
    """Zeros for the units that are dropped, and for the others the same number, so that the mean is 1."""
    return keras.random.dropout(ops.ones_like(like), rate, seed=seed)


def _on_cpu() -> bool:
    """Whether TensorFlow computes, and without a GPU: there cuDNN is faster than what is our own."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
