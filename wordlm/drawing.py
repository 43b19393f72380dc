"""The draw of the next word from log-probabilities, with a random generator for each text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.errors import OptionError
from wordlm.sampling import apply_temperature, filter_logprobs, normalize

# Words in a block. A draw takes an exponential for each block, and one for each word of the block that wins.
_BLOCK = 128
# Numbers of log-probability that are worked on together, so that every pass meets them in the processor's cache.
_FLOATS = 1 << 17


def draw(logprobs: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """One word of each row.

    Args:
        logprobs: (batch, V), after the filters.
        rngs: a random generator a row.

    Returns:
        (batch,) token ids.

    Raises:
        OptionError: not as many generators as rows, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> draw(np.array([[-np.inf, 0.0], [0.0, -np.inf]]), [np.random.default_rng(seed) for seed in (0, 1)]).tolist()
        [1, 0]
    """
    return choose(logprobs, SamplingConfig(temperature=1.0), rngs)


def choose(logprobs: np.ndarray, config: SamplingConfig, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """One word of each row, after the filters of `config`: as `draw(filter_logprobs(logprobs, config), rngs)`."""
    logprobs = np.asarray(logprobs, np.float32)
    if len(logprobs) != len(rngs):
        raise OptionError(f"`rngs` must be {len(logprobs)} generators, one a row, but are {len(rngs)}")
    if config.temperature == 0:
        return normalize(logprobs).argmax(axis=1)
    logprobs = filter_logprobs(logprobs, config)
    masses, sums = _masses(logprobs, 1.0)
    return _race(masses, sums, rngs)


def _masses(logprobs: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Masses (rows, blocks, _BLOCK) in proportion to the probabilities, and the sums of the blocks."""
    rows, size = logprobs.shape
    masses = np.zeros((rows, -(-size // _BLOCK), _BLOCK), np.float32)
    np.exp(apply_temperature(normalize(logprobs), temperature), out=masses.reshape(rows, -1)[:, :size])
    return masses, np.einsum("rbw->rb", masses)


def _race(masses: np.ndarray, sums: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    noise = np.empty((len(rngs), sums.shape[1] + _BLOCK))
    for rng, row in zip(rngs, noise, strict=True):
        rng.standard_exponential(out=row)
    blocks = (sums / noise[:, : sums.shape[1]]).argmax(axis=1)
    inside = masses[np.arange(len(rngs)), blocks]
    return blocks * _BLOCK + (inside / noise[:, sums.shape[1] :]).argmax(axis=1)
