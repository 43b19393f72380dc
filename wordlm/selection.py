"""Which continuations of its texts a search keeps: the best ones, or a sample that stands for all of them.

Both functions take log-weights, a table (rows, V) of them and some single ones beside it, and answer with places:
those of the table as in `table.ravel()`, then those of the singles. Places at -inf are none.
"""

from __future__ import annotations

import numpy as np

from wordlm.sampling import likeliest


def best(table: np.ndarray, singles: np.ndarray, count: int) -> np.ndarray:
    """The places with the greatest log-weights, the greatest first; of equal ones the first.

    Args:
        table: (rows, V).
        singles: (S,).
        count: places, at most.

    Returns:
        (count,) places, or fewer where there are no more.

    Example:
        >>> best(np.array([[-1.0, -3.0], [-np.inf, -2.0]]), np.array([-1.5]), 3).tolist()
        [0, 4, 3]
    """
    places = np.arange(table.size, table.size + len(singles))
    if table.max(initial=-np.inf) > -np.inf:
        places = np.concatenate([likeliest(table.reshape(1, -1), min(count, table.size))[0], places])
    values = _at(table, singles, places)
    order = np.argsort(-values, kind="stable")[:count]
    return places[order[values[order] > -np.inf]]


def resample(table: np.ndarray, singles: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Some different places with new weights that are, on average, the weights of all; their sum stays, too.

    With the floor c for which the sum of min(1, weight / c) is `count`: what weighs at least c stays as it is. The
    others stay with the probability weight / c each, and then weigh c. This is the resampling of the least variance
    (Fearnhead and Clifford 2003, "On-line inference for hidden Markov models via particle filters", section 3.2),
    here with one random number for all (systematic sampling).

    Args:
        table: (rows, V).
        singles: (S,).
        count: places; where there are no more, all stay as they are.
        rng: the random generator.

    Returns:
        The places, and the log of the floor: the new log-weight of a place is its own or this, the greater one.

    Example:
        >>> table = np.log([[0.5, 0.2], [0.2, 0.1]])
        >>> places, floor = resample(table, np.empty(0), 2, np.random.default_rng(0))
        >>> len(places), 0 in places, f"{np.exp(floor):.1f}"
        (2, True, '0.5')
    """
    places = best(table, singles, count + 1)
    if len(places) <= count:
        return places, -np.inf
    values = _at(table, singles, places[:count])
    top = values[0]
    values = np.exp(values - top)
    masses, others = np.exp(table - np.float32(top)), np.exp(singles - top)
    sums = np.append(masses.sum(axis=1, dtype=np.float64), others)
    # The floor if only so many of the greatest ones stayed as they are.
    floors = (sums.sum() - np.append(0, values[:-1].cumsum())) / np.arange(count, 0, -1)
    certain = int((values >= floors).cumprod().sum())
    kept = places[:certain]
    if certain == count:  # the others are too light to be seen beside these
        return kept, -np.inf
    masses.ravel()[kept[kept < table.size]] = 0
    others[kept[kept >= table.size] - table.size] = 0
    sums = np.append(masses.sum(axis=1, dtype=np.float64), others)
    running = sums.cumsum()
    points = (rng.random() + np.arange(count - certain)) * (running[-1] / (count - certain))
    owners = _find(running, points)
    chosen = [kept]
    for owner in np.unique(owners):
        if owner < len(masses):
            within = points[owners == owner] - (running[owner] - sums[owner])
            ids = _find(masses[owner].cumsum(dtype=np.float64), np.maximum(within, 0))
            chosen.append(owner * masses.shape[1] + np.unique(ids))
        else:
            chosen.append([table.size + owner - len(masses)])
    return np.concatenate(chosen), float(top + np.log(floors[certain]))


def _at(table: np.ndarray, singles: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The log-weights of some places, float64."""
    values = np.empty(len(places))
    inside = places < table.size
    values[inside], values[~inside] = table.ravel()[places[inside]], singles[places[~inside] - table.size]
    return values


def _find(running: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Which parts of running sums some points lie in; never an empty one, not even where rounding is against it."""
    return np.minimum(np.searchsorted(running, points, side="right"), np.searchsorted(running, running[-1]))
