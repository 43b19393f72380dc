"""Pure filters over the log-probabilities of the next word.

Each filter takes log-probabilities of the shape (..., V), of any model, and returns new ones: float32, what it
takes away is -inf, and what it leaves sums to one again. A filter that is off returns its input as it is; none
changes it. The likeliest word always stays. Among equally likely words, those with lower ids are kept first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.errors import OptionError, WordlmError

_FLOAT32 = np.finfo(np.float32)
# Bins of log-probability in which top-p looks for its last word, and words in a group in which top-k looks
# for a first bound: both only matter for speed.
_BINS = 1024
_GROUP = 8


def filter_logprobs(logprobs: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """All filters of `config`, in this order: temperature, top-k, top-p, min-p.

    Each one sees what the one before has left, so that top-p is a share of the mass within the top k.

    Example:
        >>> config = SamplingConfig(temperature=1.0, top_k=2)
        >>> print(np.exp(filter_logprobs(np.log([[0.6, 0.2, 0.1, 0.1]]), config)).round(2))
        [[0.75 0.25 0.   0.  ]]
    """
    logprobs = apply_temperature(logprobs, config.temperature)
    if config.temperature == 0:
        return logprobs
    logprobs = apply_top_k(logprobs, config.top_k)
    logprobs = apply_top_p(logprobs, config.top_p)
    return apply_min_p(logprobs, config.min_p)


def apply_temperature(logprobs: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpens (below 1) or flattens (above 1) the distribution; 0 leaves the likeliest word alone.

    Args:
        logprobs: (..., V).
        temperature: the divisor of the log-probabilities; 1 is off.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: a temperature below 0, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> print(np.exp(apply_temperature(np.log([0.8, 0.2]), 0.5)).round(3))
        [0.941 0.059]
    """
    logprobs = np.asarray(logprobs, np.float32)
    # Written so that NaN fails too.
    if not temperature >= 0:
        raise OptionError(f"`temperature` must be at least 0, but is {temperature!r}")
    if temperature == 1:
        return logprobs
    if temperature == 0:
        return _keep(logprobs, lambda row: row.argmax(keepdims=True))
    scaled = logprobs - _greatest(logprobs)
    with np.errstate(over="ignore"):
        scaled /= np.float32(min(max(temperature, _FLOAT32.tiny), _FLOAT32.max))
    scaled -= np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return scaled


def apply_top_k(logprobs: np.ndarray, top_k: int) -> np.ndarray:
    """Keeps exactly the k likeliest words (fewer if fewer can be drawn at all).

    Args:
        logprobs: (..., V).
        top_k: words to keep; 0 is off.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: `top_k` below 0, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> print(np.exp(apply_top_k(np.log([0.2, 0.4, 0.2, 0.2]), 2)).round(3))
        [0.333 0.667 0.    0.   ]
    """
    logprobs = np.asarray(logprobs, np.float32)
    if top_k < 0 or top_k != int(top_k):
        raise OptionError(f"`top_k` must be a whole number, at least 0, but is {top_k!r}")
    if not 0 < top_k < logprobs.shape[-1]:
        return logprobs

    def select(row: np.ndarray) -> np.ndarray:
        ids = np.flatnonzero((row >= _lower_bound(row, top_k)) & (row > -np.inf))
        if top_k >= len(ids):
            return ids
        values = row[ids]
        return ids[_down_to(values, np.partition(values, -top_k)[-top_k], top_k)]

    return _keep(logprobs, select)


def apply_top_p(logprobs: np.ndarray, top_p: float) -> np.ndarray:
    """Keeps the fewest likeliest words that hold at least the probability p (Holtzman et al. 2020).

    Args:
        logprobs: (..., V), normalized.
        top_p: the mass to keep, 0 to 1; 1 is off, 0 keeps one word.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: `top_p` out of its range, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> print(np.exp(apply_top_p(np.log([0.5, 0.3, 0.15, 0.05]), 0.6)).round(3))
        [0.625 0.375 0.    0.   ]
    """
    logprobs = np.asarray(logprobs, np.float32)
    if not 0 <= top_p <= 1:
        raise OptionError(f"`top_p` must be between 0 and 1, but is {top_p!r}")
    if top_p == 1:
        return logprobs
    # All words below this one together hold less than 1 - p, so none of them is needed. (Half of it: rounding.)
    negligible = np.float32(np.log((1 - top_p) / logprobs.shape[-1] / 2))
    return _keep(logprobs, lambda row: _nucleus(row, np.flatnonzero(row > min(negligible, row.max() - 1)), top_p))


def apply_min_p(logprobs: np.ndarray, min_p: float) -> np.ndarray:
    """Keeps the words with at least the share p of the likeliest one's probability (Nguyen et al. 2024).

    Args:
        logprobs: (..., V).
        min_p: the share, 0 to 1; 0 is off, 1 keeps the likeliest word and those that tie with it.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: `min_p` out of its range, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> print(np.exp(apply_min_p(np.log([0.5, 0.3, 0.15, 0.05]), 0.5)).round(3))
        [0.625 0.375 0.    0.   ]
    """
    logprobs = np.asarray(logprobs, np.float32)
    if not 0 <= min_p <= 1:
        raise OptionError(f"`min_p` must be between 0 and 1, but is {min_p!r}")
    if min_p == 0:
        return logprobs
    share = np.float32(np.log(min_p))
    return _keep(logprobs, lambda row: np.flatnonzero(row >= row.max() + share))


def exclude(logprobs: np.ndarray, token_ids: Iterable[int]) -> np.ndarray:
    """Takes words away altogether, `<unk>` for example.

    Args:
        logprobs: (..., V).
        token_ids: the words that must not be drawn.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: nothing is left to draw, or an id is out of range.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> np.exp(exclude(np.log([0.5, 0.25, 0.25]), [0])).tolist()
        [0.0, 0.5, 0.5]
    """
    logprobs = np.asarray(logprobs, np.float32)
    banned = np.fromiter(token_ids, np.intp)
    if not banned.size:
        return logprobs
    if banned.min() < 0 or banned.max() >= logprobs.shape[-1]:
        raise OptionError(
            f"words to exclude must have ids between 0 and {logprobs.shape[-1] - 1}, "
            f"but one has {banned.min() if banned.min() < 0 else banned.max()}"
        )
    left = logprobs.copy()
    left[..., banned] = -np.inf
    return normalize(left)


def normalize(logprobs: np.ndarray) -> np.ndarray:
    """Makes each row of (..., V) log-probabilities sum to one.

    Raises:
        OptionError: a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> print(np.exp(normalize(np.log([0.2, 0.1, 0.2]))).round(3))
        [0.4 0.2 0.4]
    """
    logprobs = np.asarray(logprobs, np.float32)
    logprobs = logprobs - _greatest(logprobs)
    logprobs -= np.log(np.exp(logprobs).sum(axis=-1, keepdims=True))
    return logprobs


def _greatest(logprobs: np.ndarray) -> np.ndarray:
    """The greatest of each row, (..., 1), when each row has a word that can be drawn, and no NaN.

    Raises:
        OptionError: a row is -inf throughout.
        WordlmError: a row holds NaN.
    """
    greatest = logprobs.max(axis=-1, keepdims=True)
    if not np.isfinite(greatest).all():
        if (greatest == -np.inf).any():
            raise OptionError("no word is left to draw: every word of the vocabulary is excluded; exclude fewer")
        raise WordlmError("log-probabilities must be numbers of at most 0, but some are NaN or infinite")
    return greatest


def _keep(logprobs: np.ndarray, select: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """New log-probabilities that hold, of each row, the ids that `select` gives for it, normalized."""
    greatest = _greatest(logprobs).ravel()
    rows = logprobs.reshape(-1, logprobs.shape[-1])
    kept = np.full_like(rows, -np.inf)
    for row, top, result in zip(rows, greatest, kept, strict=True):
        ids = select(row)
        values = row[ids] - top
        result[ids] = values - np.log(np.exp(values).sum())
    return kept.reshape(logprobs.shape)


def _nucleus(row: np.ndarray, ids: np.ndarray, top_p: float) -> np.ndarray:
    """Of the rising `ids`, the fewest likeliest ones that hold the mass `top_p`."""
    values = row[ids]
    # Masses of narrow bins of log-probability first; only the bin in which p is reached needs sorting.
    depth = values.max() - values
    bins = (depth * np.float32(_BINS / (depth.max() + 1))).astype(np.intp)
    mass = np.cumsum(np.bincount(bins, np.exp(values)))
    last = min(int(np.searchsorted(mass, top_p)), len(mass) - 1)
    inside = np.sort(values[bins == last])[::-1]
    missing = top_p - (mass[last - 1] if last else 0)
    count = 1 + int(np.searchsorted(np.exp(inside).cumsum(dtype=np.float64), missing))
    count = min(count, len(inside))
    return ids[_down_to(values, inside[count - 1], np.count_nonzero(bins < last) + count)]


def _down_to(values: np.ndarray, least: np.float32, count: int) -> np.ndarray:
    """Marks `count` values: those above `least`, and of those equal to it the first ones."""
    chosen = values > least
    chosen[np.flatnonzero(values == least)[: count - np.count_nonzero(chosen)]] = True
    return chosen


def _lower_bound(row: np.ndarray, count: int) -> np.float32:
    """A value that at least `count` words reach, and in a large vocabulary few more do.

    It is the count-th largest among the greatest of each group of words: so many groups have one that reaches it.
    """
    groups = len(row) // _GROUP
    if groups < 2 * count:
        return np.float32(-np.inf)
    greatest = row[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    return np.partition(greatest, -count)[-count]
