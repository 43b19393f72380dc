"""A stack of Keras layers read as the config and the weights of a network that the engine knows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from wordlm.config import ModelConfig
from wordlm.errors import OptionError
from wordlm.model import build_model, get_weights

if TYPE_CHECKING:
    import keras

# Words that a model reads both ways where nothing says how many: as many as in the classic recipe.
CONTEXT = 50
# Settings that matter in training alone, or only for speed; and how the names of others end.
_WITHOUT_EFFECT = {"name", "trainable", "dropout", "recurrent_dropout", "seed", "unroll", "unit_forget_bias", "layer"}
_ENDS_WITHOUT_EFFECT = ("_initializer", "_regularizer", "_constraint")


class UnknownLayerError(Exception):
    """The engine does not know such a model; the message says what is in the way."""


def read_stack(model: keras.Model, context: int | None = None) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """The config of a network of `build_model` that predicts as `model` does, and the weights.

    Args:
        model: any built model of (batch, time) ids.
        context: how many of the last words it reads; left out: all, if it reads forward and either predicts after
            every word or has an input of any length; else as many as its input has, or 50.

    Returns:
        The config, without dropout, and weights under the names of `get_weights`.

    Raises:
        UnknownLayerError: there is no such network.

    Example:
        >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0, dropout=0.0)
        >>> read_stack(build_model(config))[0].replace(trainable_embedding=False) == config
        True
    """
    import keras

    if type(model) is not keras.Sequential:
        raise UnknownLayerError(f"the model is of the type {type(model).__name__}, and no plain Sequential")
    layers = _without_dropout(model)
    config = _config_of(model, layers, context)
    # The same network made by wordlm: a layer that differs from its twin is not known.
    twin = build_model(config)
    twins = _without_dropout(twin)
    if [type(layer) for layer in layers] != [type(layer) for layer in twins]:
        raise UnknownLayerError(f"the model is a stack of {', '.join(type(layer).__name__ for layer in layers)}")
    for layer, its_twin in zip(layers, twins, strict=True):
        settings, expected = _settings(layer), _settings(its_twin)
        for name in sorted(settings.keys() | expected.keys()):
            if settings.get(name) != expected.get(name) and not _may_differ(name, model, layer, config):
                raise UnknownLayerError(f"the layer `{layer.name}` ({type(layer).__name__}) differs in `{name}`")
        if layer.compute_dtype != "float32":
            raise UnknownLayerError(f"the layer `{layer.name}` ({type(layer).__name__}) computes {layer.compute_dtype}")
        its_twin.set_weights(layer.get_weights())
    weights = get_weights(twin)
    if config.masking and config.context not in (0, input_length(model)) and weights["embedding"][0].any():
        raise UnknownLayerError("the vector of padding is not zero, so that Masking reads it: another such window")
    return config, weights


def input_length(model: keras.Model) -> int | None:
    """How many words the model's input has; None: any number.

    Raises:
        OptionError: the input is not of the shape (batch, time).

    Example:
        >>> input_length(build_model(ModelConfig(vocab_size=10, embedding_dim=4, units=3, context=5)))
        5
    """
    # A model of a class of its own has no input shape, and is asked by calling it.
    shape = getattr(model, "input_shape", (None, None))
    if not isinstance(shape, tuple) or len(shape) != 2 or isinstance(shape[0], tuple):
        raise OptionError(f"the Keras model must take ids of the shape (batch, time), but takes {shape}")
    return shape[1]


def _without_dropout(model: keras.Sequential) -> list[keras.Layer]:
    import keras

    return [layer for layer in model.layers if type(layer) is not keras.layers.Dropout]


def _config_of(model: keras.Sequential, layers: list[keras.Layer], context: int | None) -> ModelConfig:
    """The config that the layers' kinds and sizes speak for."""
    from keras.layers import GRU, LSTM, Bidirectional, Dense, Embedding, Masking, SimpleRNN

    cells = {LSTM: "lstm", GRU: "gru", SimpleRNN: "rnn"}
    for layer in layers:
        kind = type(layer.forward_layer if type(layer) is Bidirectional else layer)
        if kind not in {Embedding, Masking, Dense, *cells}:
            raise UnknownLayerError(f"the layer `{layer.name}` is of the type {kind.__name__}")
    recurrent = [layer for layer in layers if type(layer) in {Bidirectional, *cells}]
    dense = [layer for layer in layers if type(layer) is Dense]
    if type(layers[0]) is not Embedding or not recurrent or not dense:
        raise UnknownLayerError(f"the model is a stack of {', '.join(type(layer).__name__ for layer in layers)}")
    is_bidirectional = type(recurrent[0]) is Bidirectional
    if is_bidirectional and recurrent[-1].return_sequences:
        raise UnknownLayerError(f"the layer `{recurrent[-1].name}` reads ahead of each of its predictions")
    cell = recurrent[0].forward_layer if is_bidirectional else recurrent[0]
    if context is None:
        context = CONTEXT if is_bidirectional else 0
        if not recurrent[-1].return_sequences:
            context = input_length(model) or context
    return ModelConfig(
        vocab_size=dense[-1].units,
        embedding_dim=layers[0].output_dim,
        trainable_embedding=layers[0].trainable,
        masking=any(type(layer) is Masking for layer in layers),
        cell=cells[type(cell)],
        units=cell.units,
        layers=len(recurrent),
        bidirectional=is_bidirectional,
        context=context,
        dense=dense[0].units if len(dense) > 1 else 0,
        activation=_activation(dense[0]) if len(dense) > 1 else "relu",
        dropout=0.0,
    )


def _activation(dense: keras.layers.Dense) -> str:
    """The name of its activation; one that no config has gets that of another, and is found out beside the twin."""
    name = getattr(dense.activation, "__name__", "")
    return name if name in ModelConfig.__dataclass_fields__["activation"].metadata["choices"] else "relu"


def _settings(layer: keras.Layer) -> dict[str, Any]:
    """What decides on the layer's output, by name."""
    import keras

    with warnings.catch_warnings():
        # Of functions that cannot be saved.
        warnings.simplefilter("ignore")
        settings = {
            name: value
            for name, value in layer.get_config().items()
            if name not in _WITHOUT_EFFECT and not name.endswith(_ENDS_WITHOUT_EFFECT)
        }
    for name in ("activation", "recurrent_activation"):
        if name in settings:
            # The function itself: one made by a user may have the name of another.
            settings[name] = getattr(layer, name)
    if type(layer) is keras.layers.Bidirectional:
        for way in ("forward_layer", "backward_layer"):
            inner = getattr(layer, way)
            settings[way] = (type(inner), _settings(inner))
    return settings


def _may_differ(name: str, model: keras.Sequential, layer: keras.Layer, config: ModelConfig) -> bool:
    """Whether a setting changes nothing in what the engine does with this model."""
    if name == "mask_zero":
        # A mask is for padding, which only a window of a fixed length has; Masking makes one of its own.
        return config.masking or not config.context or input_length(model) is None
    if name == "stateful":
        return not config.context
    # The last prediction is the same, whether those before it are made or not.
    return name == "return_sequences" and layer is [i for i in model.layers if hasattr(i, name)][-1]
