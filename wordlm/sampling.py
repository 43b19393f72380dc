"""Pure filters over the log-probabilities of the next word.

Each filter takes log-probabilities of the shape (..., V), of any model, and returns new ones: float32, what it
takes away is -inf, and what it leaves sums to one again. A filter that is off returns its input as it is; none
changes it. The input need not sum to one: words may have been taken away by setting them to -inf, and a share is
one of what is there. The likeliest word always stays, but for `apply_typical`. Of words that are equal to a
filter, those with lower ids are kept first.

An option out of its range raises an `OptionError`, and so does a row without any word that can be drawn; NaN
among the log-probabilities raises a `WordlmError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.errors import OptionError, WordlmError

# Bins in which the last word of a share is looked for, and words in a group that gives a first bound of the
# likeliest words: both only matter for speed.
_BINS = 1024
_GROUP = 32


def filter_logprobs(logprobs: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """All filters of `config`, in this order: temperature, top-k, top-p, min-p, typical.

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
    logprobs = apply_min_p(logprobs, config.min_p)
    return apply_typical(logprobs, config.typical)


def apply_temperature(logprobs: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpens (below 1) or flattens (above 1) the distribution; 0 leaves the likeliest word alone.

    Args:
        logprobs: (..., V).
        temperature: the divisor of the log-probabilities, at least 0; 1 is off.

    Returns:
        (..., V) float32, normalized.

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
        return apply_top_k(logprobs, 1)
    scaled = logprobs - _greatest(logprobs)
    with np.errstate(over="ignore"):
        scaled /= np.float32(min(max(temperature, 1e-37), 1e37))
    return normalize(scaled)


def apply_top_k(logprobs: np.ndarray, top_k: int) -> np.ndarray:
    """Keeps exactly the k likeliest words (fewer if fewer can be drawn at all).

    Args:
        logprobs: (..., V).
        top_k: words to keep, a whole number; 0 is off.

    Returns:
        (..., V) float32, normalized.

    Example:
        >>> print(np.exp(apply_top_k(np.log([0.2, 0.4, 0.2, 0.2]), 2)).round(3))
        [0.333 0.667 0.    0.   ]
    """
    logprobs = np.asarray(logprobs, np.float32)
    if top_k < 0 or top_k != int(top_k):
        raise OptionError(f"`top_k` must be a whole number, at least 0, but is {top_k!r}")
    if not 0 < top_k < logprobs.shape[-1]:
        return logprobs
    rows = logprobs.reshape(-1, logprobs.shape[-1])
    ids = likeliest(rows, int(top_k))
    kept = np.full_like(rows, -np.inf)
    np.put_along_axis(kept, ids, normalize(np.take_along_axis(rows, ids, axis=1)), axis=1)
    return kept.reshape(logprobs.shape)


def apply_top_p(logprobs: np.ndarray, top_p: float) -> np.ndarray:
    """Keeps the fewest likeliest words that hold at least the probability p (Holtzman et al. 2020).

    Args:
        logprobs: (..., V).
        top_p: the mass to keep, 0 to 1; 1 is off, 0 keeps one word.

    Returns:
        (..., V) float32, normalized.

    Example:
        >>> print(np.exp(apply_top_p(np.log([0.5, 0.3, 0.15, 0.05]), 0.6)).round(3))
        [0.625 0.375 0.    0.   ]
    """
    return _keep_share(logprobs, "top_p", top_p, lambda values, _: -values)


def apply_min_p(logprobs: np.ndarray, min_p: float) -> np.ndarray:
    """Keeps the words with at least the share p of the likeliest one's probability (Nguyen et al. 2024).

    Args:
        logprobs: (..., V).
        min_p: the share, 0 to 1; 0 is off, 1 keeps the likeliest word and those that tie with it.

    Returns:
        (..., V) float32, normalized.

    Example:
        >>> print(np.exp(apply_min_p(np.log([0.5, 0.3, 0.15, 0.05]), 0.5)).round(3))
        [0.625 0.375 0.    0.   ]
    """
    logprobs = np.asarray(logprobs, np.float32)
    _check_share("min_p", min_p)
    if min_p == 0:
        return logprobs
    bounds = _greatest(logprobs) + np.float32(np.log(min_p))
    return normalize(np.where(logprobs >= bounds, logprobs, np.float32(-np.inf)))


def apply_typical(logprobs: np.ndarray, typical: float) -> np.ndarray:
    """Keeps the fewest words of the most typical surprisal that hold at least the probability p.

    That is locally typical sampling (Meister et al. 2023): the surprisal, -log p(word), comes closest to its mean,
    the entropy. A word that is likelier than this may go before one that is as surprising as most.

    Args:
        logprobs: (..., V).
        typical: the mass to keep, 0 to 1; 1 is off, 0 keeps one word.

    Returns:
        (..., V) float32, normalized.

    Example:
        >>> print(np.exp(apply_typical(np.log([0.5, 0.3, 0.1, 0.1]), 0.2)).round(3))
        [0. 1. 0. 0.]
    """
    return _keep_share(logprobs, "typical", typical, lambda values, mean: np.abs(values - mean))


def apply_repetition_penalty(
    logprobs: np.ndarray, token_ids: Sequence[int] | Sequence[Sequence[int]], penalty: float
) -> np.ndarray:
    """Makes words less likely that were there before (Keskar et al. 2019, section 4.1, on log-probabilities).

    The log-probabilities of these words, all at most 0, are multiplied by the penalty: p becomes p ** penalty.

    Args:
        logprobs: (V,), or (batch, V).
        token_ids: the words that were there, any of them more than once; of a batch, a list for each row.
        penalty: at least 1; 1 is off.

    Returns:
        Of the shape of `logprobs`, float32, normalized.

    Raises:
        OptionError: a penalty below 1, ids out of range, or not as many lists as rows.

    Example:
        >>> print(np.exp(apply_repetition_penalty(np.log([0.5, 0.25, 0.25]), [0, 0], 2.0)).round(3))
        [0.333 0.333 0.333]
    """
    logprobs = np.asarray(logprobs, np.float32)
    if not penalty >= 1:
        raise OptionError(f"`repetition_penalty` must be at least 1, but is {penalty!r}; 1 is off")
    if penalty == 1:
        return logprobs
    lists = [token_ids] if logprobs.ndim == 1 else token_ids
    rows = logprobs.reshape(-1, logprobs.shape[-1])
    if len(lists) != len(rows):
        raise OptionError(f"`token_ids` must be {len(rows)} lists, one a row, but are {len(lists)}")
    ids = _checked(chain.from_iterable(lists), logprobs.shape[-1])
    places = np.repeat(np.arange(len(lists)), [len(one) for one in lists]), ids
    penalized = rows.copy()
    # Bounded, so that no product is infinite.
    penalized[places] = rows[places] * np.float32(min(penalty, 1e30))
    return normalize(penalized).reshape(logprobs.shape)


def exclude(logprobs: np.ndarray, token_ids: Iterable[int]) -> np.ndarray:
    """Takes words away altogether, `<unk>` for example.

    Args:
        logprobs: (..., V).
        token_ids: the words that must not be drawn.

    Returns:
        (..., V) float32, normalized.

    Raises:
        OptionError: nothing is left to draw, or an id is out of range.

    Example:
        >>> np.exp(exclude(np.log([0.5, 0.25, 0.25]), [0])).tolist()
        [0.0, 0.5, 0.5]
    """
    logprobs = np.asarray(logprobs, np.float32)
    banned = _checked(token_ids, logprobs.shape[-1])
    if not banned.size:
        return logprobs
    left = logprobs.copy()
    left[..., banned] = -np.inf
    return normalize(left)


def normalize(logprobs: np.ndarray) -> np.ndarray:
    """Makes each row of (..., V) log-probabilities sum to one.

    Example:
        >>> print(np.exp(normalize(np.log([0.2, 0.1, 0.2]))).round(3))
        [0.4 0.2 0.4]
    """
    logprobs = np.asarray(logprobs, np.float32)
    logprobs = logprobs - _greatest(logprobs)
    logprobs -= np.log(np.exp(logprobs).sum(axis=-1, keepdims=True))
    return logprobs


def likeliest(logprobs: np.ndarray, count: int) -> np.ndarray:
    """The ids of each row's likeliest words, (batch, count): likeliest first, equally likely ones by their ids.

    Args:
        logprobs: (batch, V).
        count: 1 to V. Where fewer words can be drawn, others fill the row.

    Example:
        >>> likeliest(np.array([[-2.0, -1.0, -3.0, -1.0]]), 3).tolist()
        [[1, 3, 0]]
    """
    _greatest(logprobs)
    batch, size = logprobs.shape
    width = min(size // (4 * count), _GROUP)
    if width < 2:
        return np.argsort(-logprobs, axis=1, kind="stable")[:, :count]
    # Of the greatest of each group of words, the count-th largest: at least so many words reach it, and few more.
    groups = logprobs[:, : size // width * width].reshape(batch, width, -1).max(axis=1)
    bound = np.partition(groups, -count, axis=1)[:, -count, np.newaxis]
    rows, ids = np.divmod(np.flatnonzero(logprobs >= bound), size)
    order = np.lexsort((-logprobs[rows, ids], rows))
    starts = np.searchsorted(rows, np.arange(batch))[:, np.newaxis]
    return ids[order[starts + np.arange(count)]]


def _greatest(logprobs: np.ndarray) -> np.ndarray:
    """The greatest of each row, (..., 1), when each row has a word that can be drawn, and no NaN."""
    greatest = logprobs.max(axis=-1, keepdims=True)
    if not np.isfinite(greatest).all():
        if (greatest == -np.inf).any():
            raise OptionError("no word is left to draw: every word of the vocabulary is excluded; exclude fewer")
        raise WordlmError("log-probabilities must be numbers of at most 0, but some are NaN or infinite")
    return greatest


def _keep_share(
    logprobs: np.ndarray, name: str, share: float, key: Callable[[np.ndarray, np.float32], np.ndarray]
) -> np.ndarray:
    """Of each row, the words of the least keys, equal ones by their ids, until they hold the share; at least one.

    `key` makes them of log-probabilities and their mean over the distribution, both short of a constant.
    """
    logprobs = np.asarray(logprobs, np.float32)
    _check_share(name, share)
    if share == 1:
        return logprobs
    kept = np.full_like(logprobs, -np.inf).reshape(-1, logprobs.shape[-1])
    for row, result in zip((logprobs - _greatest(logprobs)).reshape(kept.shape), kept, strict=True):
        ids = np.flatnonzero(row > -np.inf)
        values = row[ids]
        masses = np.exp(values)
        keys = key(values, (masses * values).sum() / masses.sum())
        # Masses of narrow bins of keys first; only the bin in which the share is reached needs sorting.
        bins = (keys * np.float32(_BINS / (keys.max() + 1))).astype(np.intp)
        running = np.bincount(bins, masses).cumsum()
        needed = max(share * running[-1], np.finfo(np.float64).tiny)
        last = min(int(np.searchsorted(running, needed)), len(running) - 1)
        inside = np.flatnonzero(bins == last)
        inside = inside[np.argsort(keys[inside], kind="stable")]
        missing = needed - (running[last - 1] if last else 0)
        count = 1 + int(np.searchsorted(masses[inside].cumsum(dtype=np.float64), missing))
        chosen = bins < last
        chosen[inside[:count]] = True
        result[ids[chosen]] = normalize(values[chosen])
    return kept.reshape(logprobs.shape)


def _check_share(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise OptionError(f"`{name}` must be between 0 and 1, but is {share!r}")


def _checked(token_ids: Iterable[int], size: int) -> np.ndarray:
    """The ids as an array, each of them one of a vocabulary of `size` words."""
    ids = np.fromiter(token_ids, np.intp)
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise OptionError(f"`token_ids` must be between 0 and {size - 1}, but there is {wrong}")
    return ids
