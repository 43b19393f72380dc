"""The weights of rescoring that make the fewest word errors: minimum error rate training (Och 2003).

Along one weight, the total of each hypothesis is a straight line, and the best hypothesis of a list changes only where
lines cross: at the corners of the lists' upper envelopes. Between two corners the number of errors is constant, so
that it is known everywhere on the line, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wordlm.error_rate import count_errors
from wordlm.errors import OptionError, TextError
from wordlm.rescoring import RescoredHypothesis, Weights, lists_of

# Beside the given scores alone, and the model with a share as large as theirs.
_RANDOM_STARTS = 8
_LARGEST = 1e100  # of the scores: their differences and quotients must be finite


@dataclass(frozen=True)
class Tuning:
    """The weights that were found, and the word errors of the best hypotheses: before, with them, and at least."""

    weights: Weights
    lists: int
    words: int
    """Of the references."""
    errors_before: int
    """By the given scores alone."""
    errors: int
    """With the weights."""
    oracle: int
    """With the hypothesis of each list that has the fewest."""

    def rate(self, errors: int) -> float:
        """The word error rate of so many errors."""
        return errors / self.words


def tune(
    hypotheses: Iterable[RescoredHypothesis], references: Mapping[str, str] | Sequence[str], *, seed: int = 0
) -> Tuning:
    """The weights with which the best hypotheses of some lists have the fewest word errors.

    They fit these lists: judge them on others.

    Args:
        hypotheses: lists, one after the other, as `rescore` gives them; their totals and order do not matter, but
            that the first of equal ones is the best one.
        references: what was said: by the ids of the lists, or in their order.
        seed: of the random starting points.

    Raises:
        TextError: there are no hypotheses, or a list has no reference, or no reference has a word.
        OptionError: a score beyond 1e100.

    Example:
        >>> first = RescoredHypothesis("1", "I sea it", -1.0, logprob=-9.0, words=3, unknown=1, total=0.0)
        >>> second = RescoredHypothesis("1", "I see it", -2.0, logprob=-7.0, words=3, unknown=0, total=0.0)
        >>> tuning = tune([first, second], ["I see it"])
        >>> tuning.errors_before, tuning.errors, tuning.weights.weight > 0.5
        (1, 0, True)
    """
    lists = list(lists_of(hypotheses))
    said = _in_order([same[0].id for same in lists], references)
    words = sum(len(reference.split()) for reference in said)
    if not words:
        raise TextError("the references must have words to tune on, but have none; give what was said in each list")
    counts = [count_errors(reference, [one.text for one in same]) for reference, same in zip(said, lists, strict=True)]
    errors = np.concatenate(counts)
    flat = [one for same in lists for one in same]
    scores = np.array([one.score for one in flat])
    if np.abs(scores).max() > _LARGEST:
        largest = max(scores.tolist(), key=abs)
        raise OptionError(f"scores to tune on must be at most {_LARGEST:g} in size, but one is {largest:g}; scale them")
    features = np.array([(one.logprob, -one.words, -one.unknown) for one in flat], float)
    starts = np.cumsum([0] + [len(same) for same in lists[:-1]])
    values, least = minimize_errors(scores, features, starts, errors, low=(0.0, -math.inf, -math.inf), seed=seed)
    return Tuning(
        weights=Weights(*values.tolist()),
        lists=len(lists),
        words=words,
        errors_before=errors_at(np.zeros(3), scores, features, starts, errors),
        errors=least,
        oracle=int(np.minimum.reduceat(errors, starts).sum()),
    )


def minimize_errors(
    scores: np.ndarray,
    features: np.ndarray,
    starts: np.ndarray,
    errors: np.ndarray,
    *,
    low: Sequence[float],
    seed: int = 0,
) -> tuple[np.ndarray, int]:
    """Coordinate ascent by exact line searches, from several starting points.

    Args:
        scores: (H,) of the hypotheses, those of a list in a row.
        features: (H, F) what is added to them, each times a weight.
        starts: (L,) where each list starts.
        errors: (H,) whole numbers.
        low: (F,) the least value of each weight, 0 or below; -inf for none.
        seed: of the random starting points.

    Returns:
        (F,) weights, and the errors of the best hypotheses with them.

    Example:
        >>> scores, features = np.array([0.0, -1.0]), np.array([[0.0], [2.0]])
        >>> weights, errors = minimize_errors(scores, features, np.array([0]), np.array([3, 1]), low=[0.0])
        >>> errors, weights.tolist()
        (1, [1.25])
    """
    best, least = np.zeros(features.shape[1]), math.inf
    for start in _starting_points(scores, features, starts, np.array(low), seed):
        weights, found = start, errors_at(start, scores, features, starts, errors)
        while True:
            before = found
            for number, floor in enumerate(low):
                rest = np.where(np.arange(len(weights)) == number, 0.0, weights)
                value = line_search(_totals(rest, scores, features), features[:, number], starts, errors, low=floor)
                if value is None:
                    continue
                moved = rest + np.where(np.arange(len(weights)) == number, value, 0.0)
                # The digits that are told are those that are used.
                moved = np.array([float(f"{weight:.6g}") for weight in moved])
                count = errors_at(moved, scores, features, starts, errors)
                if count <= found:
                    weights, found = moved, count
            if found == before:
                break
        if found < least:
            best, least = weights, found
    return best, int(least)


def line_search(
    intercepts: np.ndarray, slopes: np.ndarray, starts: np.ndarray, errors: np.ndarray, low: float = -math.inf
) -> float | None:
    """The weight of one feature with which the best hypotheses have the fewest errors.

    Args:
        intercepts: (H,) totals of the hypotheses without the feature, those of a list in a row.
        slopes: (H,) the feature.
        starts: (L,) where each list starts.
        errors: (H,) whole numbers.
        low: the least weight.

    Returns:
        The middle of the widest interval with the fewest errors. An interval without an end is taken to be as wide
        as its other end is far from 0, and 1 wider. None if the errors are the same everywhere.

    Example:
        >>> line_search(np.array([0.0, -1.0, -4.0]), np.array([0.0, 1.0, 2.0]), np.array([0]), np.array([2, 1, 2]))
        2.0
    """
    corners, changes, first = _corners(intercepts, slopes, starts, errors)
    # Where several lists have their corners, the changes may cancel.
    corners, places = np.unique(corners, return_inverse=True)
    changes = np.bincount(places, weights=changes, minlength=len(corners)).astype(np.int64)
    is_past = corners <= low
    first += changes[is_past].sum()
    is_edge = ~is_past & (changes != 0) & (corners < math.inf)  # lines may be all but parallel
    edges, changes = corners[is_edge], changes[is_edge]
    if not edges.size:
        return None
    counts = first + np.append(0, np.cumsum(changes))
    left = low if math.isfinite(low) else edges[0] - abs(edges[0]) - 1
    right = edges[-1] + abs(edges[-1]) + 1
    bounds = np.concatenate([[left], edges, [right]])
    widths = np.where(counts == counts.min(), np.diff(bounds), -1.0)
    widest = int(widths.argmax())
    return float((bounds[widest] + bounds[widest + 1]) / 2)


def errors_at(
    weights: np.ndarray, scores: np.ndarray, features: np.ndarray, starts: np.ndarray, errors: np.ndarray
) -> int:
    """The errors of the best hypotheses with some weights; the rest as in `minimize_errors`."""
    totals = _totals(weights, scores, features)
    sizes = np.diff(np.append(starts, len(totals)))
    is_best = totals == np.repeat(np.maximum.reduceat(totals, starts), sizes)
    # Of equal ones, the first, as in `rank`.
    return int(errors[np.minimum.reduceat(np.where(is_best, np.arange(len(totals)), len(totals)), starts)].sum())


def _totals(weights: np.ndarray, scores: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Summed up in the order of `rank`, so that not even roundings differ."""
    totals = scores
    for weight, feature in zip(weights, features.T, strict=True):
        totals = totals + weight * feature
    return totals


def _corners(
    intercepts: np.ndarray, slopes: np.ndarray, starts: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """The corners of all upper envelopes, in no order; how the errors change at each; the errors left of them all.

    The lists walk along their envelopes side by side, from the left, a corner at a time.
    """
    owners = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(slopes))))
    order = np.lexsort((-intercepts, slopes, owners))  # stable: of equal lines, the first counts
    # Of parallel lines only the highest one is ever seen.
    order = order[_is_first(owners[order]) | _is_first(slopes[order])]
    lines = [owners[order], intercepts[order], slopes[order], errors[order]]
    is_lowest = _is_first(lines[0])
    height, slope, error = (values[is_lowest] for values in lines[1:])
    left, reached = int(error.sum()), np.full(len(error), -math.inf)
    corners, changes = [np.empty(0)], [np.empty(0, error.dtype)]
    owners, heights, slopes, errors = (values[~is_lowest] for values in lines)
    while owners.size:
        # Only lists with steeper lines go on.
        is_begin = _is_first(owners)
        begin = np.flatnonzero(is_begin)
        height, slope, error, reached = (values[owners[begin]] for values in (height, slope, error, reached))
        owners = np.cumsum(is_begin) - 1
        with np.errstate(over="ignore"):
            crossings = (height[owners] - heights) / (slopes - slope[owners])
        nearest = np.minimum.reduceat(crossings, begin)
        places = np.arange(len(owners))
        # Of lines that cross it there together, the steepest is above the others from then on.
        next_ones = np.maximum.reduceat(np.where(crossings == nearest[owners], places, -1), begin)
        reached = np.maximum(reached, nearest)  # against roundings
        corners.append(reached)
        changes.append(errors[next_ones] - error)
        height, slope, error = heights[next_ones], slopes[next_ones], errors[next_ones]
        is_ahead = places > next_ones[owners]
        owners, heights, slopes, errors = (values[is_ahead] for values in (owners, heights, slopes, errors))
    return np.concatenate(corners), np.concatenate(changes), left


def _is_first(values: np.ndarray) -> np.ndarray:
    """Of each run of equal values, the first."""
    return np.append(True, values[1:] != values[:-1])


def _starting_points(
    scores: np.ndarray, features: np.ndarray, starts: np.ndarray, low: np.ndarray, seed: int
) -> list[np.ndarray]:
    """The given scores alone; the first feature with as large a share as they have; and random ones of such a size."""
    spread = _spread(scores, starts) or 1.0
    spreads = np.array([_spread(feature, starts) for feature in features.T])
    scales = np.divide(spread, spreads, out=np.zeros(len(spreads)), where=spreads > 0)
    even = np.where(np.arange(len(scales)) == 0, scales, 0.0)
    noise = np.random.default_rng(seed).normal(0, 1, (_RANDOM_STARTS, len(scales)))
    # Where a weight has a least value, this keeps above it.
    noise = np.where(np.isfinite(low), np.abs(noise), noise)
    return [np.zeros(len(scales)), even, *(noise * scales)]


def _spread(values: np.ndarray, starts: np.ndarray) -> float:
    """How far values of the same list are apart, on the average."""
    return float((np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)).mean())


def _in_order(ids: list[str], references: Mapping[str, str] | Sequence[str]) -> list[str]:
    """The reference of each list."""
    if not ids:
        raise TextError("there are no hypotheses to tune on")
    if isinstance(references, Mapping):
        missing = [id for id in ids if id not in references]
        if missing:
            raise TextError(
                f"the list {missing[0]!r} has no reference (lists without one: {len(missing):,} of {len(ids):,}); add "
                "a line `id ||| reference` for each, or leave these lists out"
            )
        return [references[id] for id in ids]
    if len(references) < len(ids):
        raise TextError(
            f"the list {ids[len(references)]!r} has no reference (lists: {len(ids):,}, references: "
            f"{len(references):,}); give one a line, in the order of the lists, or lines `id ||| reference`"
        )
    if len(references) > len(ids):
        raise TextError(
            f"there must be one reference for each list (lists: {len(ids):,}, references: {len(references):,}); give "
            "lines `id ||| reference` if some lists are missing"
        )
    return list(references)
