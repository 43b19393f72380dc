"""The weights of a network: their names, their shapes, and the check that all are there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wordlm.cells import CELLS
from wordlm.config import ModelConfig
from wordlm.errors import BundleError


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that a model of `config` has, in Keras' own layout.

    Example:
        >>> shapes = weight_shapes(ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0))
        >>> shapes["recurrent_1/kernel"], shapes["output/kernel"]
        ((4, 12), (3, 10))
    """
    width, units = CELLS[config.cell].gates * config.units, config.units
    shapes: dict[str, tuple[int, ...]] = {"embedding": (config.vocab_size, config.embedding_dim)}
    size = config.embedding_dim
    for number in range(1, config.layers + 1):
        for prefix in prefixes(config, number):
            shapes[f"{prefix}/kernel"] = (size, width)
            shapes[f"{prefix}/recurrent_kernel"] = (units, width)
            shapes[f"{prefix}/bias"] = (2, width) if config.cell == "gru" else (width,)
        size = 2 * units if config.bidirectional else units
    if config.dense:
        shapes["dense/kernel"], shapes["dense/bias"] = (size, config.dense), (config.dense,)
        size = config.dense
    shapes["output/kernel"], shapes["output/bias"] = (size, config.vocab_size), (config.vocab_size,)
    return shapes


def prefixes(config: ModelConfig, number: int) -> list[str]:
    """Names of the weights of recurrent layer `number` (from 1), up to the last part: one, or forward and backward.

    Example:
        >>> prefixes(ModelConfig(context=5, bidirectional=True), 2)
        ['recurrent_2/forward', 'recurrent_2/backward']
    """
    return [f"recurrent_{number}{way}" for way in (("/forward", "/backward") if config.bidirectional else ("",))]


def checked(config: ModelConfig, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights as contiguous float32 arrays, those that are so already as they are.

    Raises:
        BundleError: a weight is missing, unknown, of another shape than `config` says, or not finite.

    Example:
        >>> checked(ModelConfig(), {})
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: the weight `embedding` of shape (30000, 50) is missing; save the model again
    """
    shapes = weight_shapes(config)
    for name in weights:
        if name not in shapes:
            raise BundleError(
                f"a model of this config has no weight `{name}`, but one is there; take config and weights of one model"
            )
    arrays = {}
    for name, shape in shapes.items():
        if name not in weights:
            raise BundleError(f"the weight `{name}` of shape {shape} is missing; save the model again")
        with np.errstate(over="ignore", invalid="ignore"):
            arrays[name] = np.ascontiguousarray(weights[name], dtype=np.float32)
            total = arrays[name].sum()
        if arrays[name].shape != shape:
            raise BundleError(
                f"the weight `{name}` must have the shape {shape}, but has {arrays[name].shape}; "
                "take config and weights of one model"
            )
        # A finite sum tells in one pass; that of huge numbers may overflow, and then each one is looked at.
        if not np.isfinite(total) and not np.isfinite(arrays[name]).all():
            raise BundleError(
                f"the weight `{name}` must hold finite numbers, but some are NaN or infinite; train the model again, "
                "with a lower learning rate for example"
            )
    return arrays
