"""The draw of the next word: a race, which neither rounding nor the rest of the batch turns.

Each word runs for a time of E / p, with an exponential random number E of its own and its probability p, and the
first to arrive is drawn, which happens with the probability p (the Gumbel-max trick, without its logarithms). To
need few random numbers, blocks of words race first, with their sums, and then the words of the block that won.

Batches of different sizes round probabilities differently, by about a millionth. That changes the word only where
the two best times are as close as that; with an inverse CDF it moves every bound between two words, and changes
dozens of times as many. Each row takes random numbers of its own generator, and a race takes as many whatever the
probabilities are. A number belongs to its word, so that a filter that keeps one rare word more or less hardly ever
changes what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wordlm.config import SamplingConfig
from wordlm.errors import OptionError
from wordlm.sampling import apply_temperature, filter_logprobs, likeliest, normalize

# Words in a block. The square root of a vocabulary needs the fewest random numbers.
_BLOCK = 128
_ONES = np.ones(_BLOCK, np.float32)
# Log-probabilities worked on at once, so that each pass over them finds them in the processor's cache.
_FLOATS = 1 << 18
# Draws of which all must be rejected before the filters are applied to all words. Most often the first is kept.
_TRIES = 8
# Temperatures, and sums of masses, for which float32 numbers need no shift to the likeliest word.
_TEMPERATURES = (1e-3, 1e6)
_SUMS = (1e-20, 1e20)


def draw(logprobs: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """One word of each row.

    Args:
        logprobs: (batch, V); they need not sum to one.
        rngs: a random generator for each row.

    Returns:
        (batch,) token ids.

    Raises:
        OptionError: not as many generators as rows, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> logprobs = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
        >>> draw(logprobs, [np.random.default_rng(seed) for seed in (0, 1)]).tolist()
        [0, 1]
    """

    def draw_piece(logprobs: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        masses, sums, _ = _masses(logprobs, 1)
        return _race(masses, sums, rngs)

    return _by_pieces(draw_piece, logprobs, rngs)


def choose(logprobs: np.ndarray, config: SamplingConfig, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """One word of each row after the filters of `config`: equal in distribution to a draw from `filter_logprobs`.

    It is faster: whether the filters keep a word can be told without filtering all others. A temperature of 0
    takes the likeliest word, the one with the lowest id among equals, and no random number.

    Args:
        logprobs: (batch, V); they need not sum to one.
        config: the filters.
        rngs: a random generator for each row.

    Returns:
        (batch,) token ids.

    Raises:
        OptionError: not as many generators as rows, or a row without a word that can be drawn.
        WordlmError: the log-probabilities hold NaN.

    Example:
        >>> choose(np.log([[0.2, 0.5, 0.3]]), SamplingConfig(top_k=1), [np.random.default_rng(0)]).tolist()
        [1]
    """

    def choose_piece(logprobs: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        if config.temperature == 0:
            return _argmax(logprobs)
        if 0 < config.top_k < logprobs.shape[1]:
            return _choose_of_top_k(logprobs, config, rngs)
        if config.typical < 1 and (config.top_p < 1 or config.min_p):
            return draw(filter_logprobs(logprobs, config), rngs)
        return _choose_of_all(logprobs, config, rngs)

    return _by_pieces(choose_piece, logprobs, rngs)


def _by_pieces(
    function: Callable[[np.ndarray, Sequence[np.random.Generator]], np.ndarray],
    logprobs: np.ndarray,
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """The results of a function for some rows at once, of all rows."""
    logprobs = np.asarray(logprobs, np.float32)
    batch, size = logprobs.shape
    if len(rngs) != batch:
        raise OptionError(f"`rngs` must be {batch} generators, one for each row, but are {len(rngs)}")
    rows = max(1, _FLOATS // size)
    if batch <= rows:
        return function(logprobs, rngs)
    pieces = [slice(start, start + rows) for start in range(0, batch, rows)]
    return np.concatenate([function(logprobs[piece], rngs[piece]) for piece in pieces])


def _argmax(logprobs: np.ndarray) -> np.ndarray:
    ids = logprobs.argmax(axis=1)
    if not np.isfinite(logprobs[np.arange(len(ids)), ids]).all():
        normalize(logprobs)  # says what is wrong
    return ids


def _choose_of_top_k(logprobs: np.ndarray, config: SamplingConfig, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """The other filters work on the top k alone, all rows at once."""
    ids = likeliest(logprobs, config.top_k)
    rows = np.arange(len(ids))[:, np.newaxis]
    depths = logprobs[rows, ids].astype(np.float64)
    depths -= depths[:, :1]
    depths /= max(config.temperature, 1e-100)
    kept = np.exp(depths)
    if config.top_p < 1:
        _cut(kept, config.top_p)
    if config.min_p:
        kept[kept < config.min_p] = 0
    if config.typical < 1:
        depths[kept == 0] = 0
        distances = np.abs(depths - (kept * depths).sum(axis=1, keepdims=True) / kept.sum(axis=1, keepdims=True))
        distances[kept == 0] = np.inf
        order = np.lexsort((ids, distances))
        ordered = np.take_along_axis(kept, order, axis=1)
        _cut(ordered, config.typical)
        np.put_along_axis(kept, order, ordered, axis=1)
    masses = np.zeros((len(ids), _count_blocks(logprobs), _BLOCK), np.float32)
    masses[rows, ids // _BLOCK, ids % _BLOCK] = kept
    return _race(masses, _sums(masses), rngs)


def _cut(masses: np.ndarray, share: float) -> None:
    """Takes away the words of (rows, k) of which those before them hold the share; not the first one."""
    running = masses.cumsum(axis=1)
    masses[:, 1:][running[:, :-1] >= share * running[:, -1:]] = 0


def _choose_of_all(logprobs: np.ndarray, config: SamplingConfig, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """Draws from all words, and again where the filters would have taken the word away."""
    masses, sums, totals = _masses(logprobs, config.temperature)
    ids = _race(masses, sums, rngs)
    share = min(config.top_p, config.typical)
    if share == 1 and not config.min_p:
        return ids
    flat = masses.reshape(len(ids), sums.shape[1] * _BLOCK)
    least = config.min_p * flat.max(axis=1) if config.min_p else np.zeros(len(ids))
    rows = np.arange(len(ids))
    for attempt in range(_TRIES):
        if attempt:
            ids[rows] = _race(masses, sums, rngs, rows)
        drawn = flat[rows, ids[rows]]
        is_kept = drawn >= least[rows]
        # A word that is as likely as this needs no look: the words before it hold less than all but itself.
        for place in np.flatnonzero(is_kept & (drawn <= (1 - share) * totals[rows])).tolist():
            row = rows[place]
            keys = flat[row] if config.typical == 1 else _closeness(logprobs[row], flat[row])
            is_kept[place] = _is_within(share * totals[row], flat[row], keys, ids[row])
        rows = rows[~is_kept]
        if not rows.size:
            return ids
    # What was rejected says nothing about what is drawn next, so that this is exact too.
    ids[rows] = draw(filter_logprobs(logprobs[rows], config), [rngs[row] for row in rows])
    return ids


def _closeness(logprobs: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """How near the surprisal of each word of a row comes to the mean, as negative numbers; not to scale."""
    values = np.maximum(logprobs, np.float32(-1e30))  # -inf times no mass would be NaN
    masses = masses[: len(values)]
    return -np.abs(values - np.einsum("i,i", masses, values) / masses.sum())


def _is_within(share: np.float32, masses: np.ndarray, keys: np.ndarray, id: np.intp) -> bool:
    """Whether the words of a row before this one, by falling keys, equal ones by their ids, hold less than a share."""
    before = masses[: len(keys)].compress(keys > keys[id]).sum() + masses[:id].compress(keys[:id] == keys[id]).sum()
    return bool(before < share or before == 0)


def _masses(logprobs: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masses (rows, blocks, _BLOCK) in proportion to the probabilities, sums of the blocks, and of the rows."""
    rows, size = logprobs.shape
    blocks = _count_blocks(logprobs)
    flat = np.empty((rows, blocks * _BLOCK), np.float32)
    flat[:, size:] = 0
    inside, masses = flat[:, :size], flat.reshape(rows, blocks, _BLOCK)
    if _TEMPERATURES[0] <= temperature <= _TEMPERATURES[1]:
        # As a model's log-probabilities are; the shift would take two passes more.
        if temperature == 1:
            np.exp(logprobs, out=inside)
        else:
            np.multiply(logprobs, np.float32(1 / temperature), out=inside)
            np.exp(inside, out=inside)
        sums = _sums(masses)
        totals = sums.sum(axis=1)
        if all(_SUMS[0] < total < _SUMS[1] for total in totals.tolist()):
            return masses, sums, totals
    np.exp(apply_temperature(normalize(logprobs), temperature), out=inside)
    sums = _sums(masses)
    return masses, sums, sums.sum(axis=1)


def _count_blocks(logprobs: np.ndarray) -> int:
    return -(-logprobs.shape[1] // _BLOCK)


def _sums(masses: np.ndarray) -> np.ndarray:
    # A product with ones: the fastest sum that there is.
    return masses @ _ONES


def _race(
    masses: np.ndarray, sums: np.ndarray, rngs: Sequence[np.random.Generator], rows: np.ndarray | None = None
) -> np.ndarray:
    """The words that win the races of some rows (of all, if none are given)."""
    if rows is None:
        rows = np.arange(len(masses))
    else:
        sums, rngs = sums[rows], [rngs[row] for row in rows]
    blocks = sums.shape[1]
    noise = np.empty((len(rows), blocks + _BLOCK))
    for rng, numbers in zip(rngs, noise, strict=True):
        rng.standard_exponential(out=numbers)
    winners = (sums / noise[:, :blocks]).argmax(axis=1)
    return winners * _BLOCK + (masses[rows, winners] / noise[:, blocks:]).argmax(axis=1)
