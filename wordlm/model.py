"""The network: one plain `keras.Sequential`, built of Keras' own layers only."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from wordlm.config import ModelConfig
from wordlm.errors import OptionError
from wordlm.vocab import PAD

if TYPE_CHECKING:
    import keras

# Trained numbers of a word begin between these and their negatives.
_SPREAD = 0.1
# Standard deviation of the numbers with which a tied output begins that come from the vectors.
_OUTPUT_SPREAD = 0.5


def load_keras() -> None:
    """Imports Keras and its backend without the lines that TensorFlow's C++ side writes about itself.

    Some of them come before any of its switches is read, so the file descriptor is turned away meanwhile; if the
    import fails, what was written is shown after all.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def build_model(config: ModelConfig, matrix: np.ndarray | None = None) -> keras.Sequential:
    """The next-word model of `config`, its embedding filled from `matrix`.

    Embedding (masked, frozen) -> recurrent layers -> dense -> dropout -> softmax. A stream model
    (`context` 0) predicts after every word: (batch, time) int32 token ids -> (batch, time, V) probabilities.
    A window model (`context` N) predicts one word after N: (batch, N) -> (batch, V). Padding (id 0) goes on
    the right.

    Args:
        config: the shape of the network.
        matrix: word vectors, row 0 zero: (V, D), or without the last `trained_dim` numbers of each, which are then
            random; None leaves Keras' random ones. A `tied` output begins with the frozen ones of it.

    Returns:
        The built model, not compiled.

    Raises:
        OptionError: the matrix has another shape than the config says.

    Example:
        >>> model = build_model(ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0))
        >>> [layer.name for layer in model.layers]
        ['embedding', 'recurrent_1', 'dropout', 'output']
        >>> model.output_shape
        (None, None, 10)
    """
    import keras
    from keras import layers

    shape = (config.vocab_size, config.embedding_dim)
    if matrix is not None and config.trained_dim and matrix.shape == (shape[0], shape[1] - config.trained_dim):
        trained = keras.random.uniform((shape[0], config.trained_dim), -_SPREAD, _SPREAD)
        matrix = np.concatenate([matrix, np.asarray(trained)], axis=1)
        matrix[PAD] = 0
    if matrix is not None and matrix.shape != shape:
        raise OptionError(f"the matrix of word vectors must have the shape {shape}, but has {matrix.shape}")
    cell = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}[config.cell]
    model = keras.Sequential(name="wordlm")
    model.add(keras.Input((config.context or None,), dtype="int32", name="token_ids"))
    model.add(
        layers.Embedding(*shape, mask_zero=True, trainable=config.trainable_embedding, name="embedding")
        if matrix is None
        else layers.Embedding(
            *shape, weights=[matrix], mask_zero=True, trainable=config.trainable_embedding, name="embedding"
        )
    )
    if config.masking:
        model.add(layers.Masking(mask_value=0.0, name="masking"))
    for number in range(1, config.layers + 1):
        recurrent = cell(
            config.units,
            dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            # A window model predicts from the last word alone.
            return_sequences=number < config.layers or not config.context,
            name=f"recurrent_{number}",
        )
        model.add(layers.Bidirectional(recurrent, name=recurrent.name) if config.bidirectional else recurrent)
    if config.dense:
        model.add(layers.Dense(config.dense, activation=config.activation, name="dense"))
    model.add(layers.Dropout(config.dropout, name="dropout"))
    model.add(layers.Dense(config.vocab_size, activation="softmax", name="output"))
    if matrix is not None and config.tied:
        _begin_with_vectors(model.get_layer("output"), config, matrix)
    return model


def _begin_with_vectors(output: keras.layers.Dense, config: ModelConfig, matrix: np.ndarray) -> None:
    """The numbers of a tied output that are not the trained ones begin as the frozen ones, stretched alike.

    So what the network learns of a word holds at once for those that mean the like, however rare.
    """
    kernel = np.asarray(output.kernel)
    vectors = matrix[:, : max(0, min(config.frozen_dim, len(kernel) - config.trained_dim))]
    if vectors.any():
        output.kernel.assign(np.concatenate([vectors.T * (_OUTPUT_SPREAD / vectors.std()), kernel[vectors.shape[1] :]]))


def get_weights(model: keras.Sequential) -> dict[str, np.ndarray]:
    """The weights by name, as the engine and the bundle know them.

    Returns:
        Arrays in Keras' own layout and gate order: "embedding" (V, D); for each recurrent layer
        "recurrent_N/kernel", "/recurrent_kernel", "/bias" (with "/forward/" or "/backward/" before these
        in a bidirectional one); "dense/kernel", "dense/bias"; "output/kernel" (d, V), "output/bias" (V,).
    """
    return {name: np.asarray(variable) for name, variable in named_variables(model).items()}


def set_weights(model: keras.Sequential, weights: Mapping[str, np.ndarray]) -> None:
    """Writes weights that `get_weights` has named into a model of the same config."""
    for name, variable in named_variables(model).items():
        variable.assign(weights[name])


def named_variables(model: keras.Sequential) -> dict[str, keras.Variable]:
    """The model's variables under the names of `get_weights`."""
    named = {"embedding": model.get_layer("embedding").embeddings}
    for layer in model.layers:
        if layer.name.startswith("recurrent_"):
            directions = (
                {"/forward": layer.forward_layer, "/backward": layer.backward_layer}
                if hasattr(layer, "forward_layer")
                else {"": layer}
            )
            for direction, recurrent in directions.items():
                for part in ("kernel", "recurrent_kernel", "bias"):
                    named[f"{layer.name}{direction}/{part}"] = getattr(recurrent.cell, part)
        elif layer.name in ("dense", "output"):
            named[f"{layer.name}/kernel"] = layer.kernel
            named[f"{layer.name}/bias"] = layer.bias
    return named
