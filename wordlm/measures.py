"""What a prediction says of the word that came: surprisal, entropy, rank, and the likeliest word's probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from wordlm.errors import OptionError

# Sees some predictions (n, V) and the words that came (n,), and says something of each, (n,).
Look = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Numbers of a block of predictions that all passes go over while it is in the processor's cache.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Measures:
    """What the predictions say of the words that came; all arrays have the shape of these words.

    Args:
        surprisal: -log2 p of the word, in bits, float64 (Hale, "A probabilistic Earley parser as a psycholinguistic
            model", 2001, section 3).
        entropy: of the prediction, in bits, float64: how much surprisal was to be expected.
        rank: 1 for the likeliest word, else 1 + the number of words that are likelier, int64.
        confidence: probability of the likeliest word, float64.
        looked: what `look` has said of each; None if nobody looked.
        parts: natural log-probabilities of the word under each part of a mixture, (..., parts) float64; None if
            the model is none.

    Example:
        >>> measures = measure_logprobs(np.log([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]), [1, 1])
        >>> measures[1:].rank, Measures.join([measures, measures[:1]]).rank
        (array([1]), array([2, 1, 2]))
    """

    surprisal: np.ndarray
    entropy: np.ndarray
    rank: np.ndarray
    confidence: np.ndarray
    looked: np.ndarray | None = None
    parts: np.ndarray | None = None

    def __getitem__(self, index: Any) -> Measures:
        """The measures of some of the words: each array at `index`."""
        return self._each(lambda array: array[index])

    def reshape(self, *shape: int) -> Measures:
        """The same measures in arrays of another shape."""
        return self._each(lambda array: array.reshape(*shape, *array.shape[self.surprisal.ndim :]))

    def spread(self, is_word: np.ndarray) -> Measures:
        """(N,) measures of the N words in a batch, time after time, as (batch, time) arrays with zeros elsewhere.

        Args:
            is_word: (time, batch), where the words are.
        """

        def spread(array: np.ndarray) -> np.ndarray:
            whole = np.zeros((*is_word.shape, *array.shape[1:]), array.dtype)
            whole[is_word] = array
            return whole.swapaxes(0, 1)

        return self._each(spread)

    @staticmethod
    def join(pieces: Sequence[Measures], axis: int = 0) -> Measures:
        """The measures of all pieces, at least one, side by side along an axis of the words."""
        if len(pieces) == 1:
            return pieces[0]
        columns = {field.name: [getattr(piece, field.name) for piece in pieces] for field in fields(Measures)}
        return Measures(**{n: None if a[0] is None else np.concatenate(a, axis=axis) for n, a in columns.items()})

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Measures:
        return Measures(**{name: None if array is None else change(array) for name, array in vars(self).items()})


def measure_logprobs(logprobs: np.ndarray, targets: np.ndarray | Sequence[int], look: Look | None = None) -> Measures:
    """Measures predictions that are there as a whole.

    Args:
        logprobs: (N, V) natural log-probabilities; -inf for what cannot be. They stay as they are.
        targets: (N,) ids of the words that came.
        look: called with some rows of `logprobs` and the targets of these at a time; what it returns of each is kept.

    Returns:
        Arrays of (N,).

    Raises:
        OptionError: not a target a row, or an id out of range.

    Example:
        >>> measures = measure_logprobs(np.log([[0.5, 0.25, 0.125, 0.125]]), [2])
        >>> measures.surprisal, measures.entropy, measures.rank, measures.confidence
        (array([3.]), array([1.75]), array([3]), array([0.5]))
    """
    targets = check_targets(targets, logprobs.shape)
    count = len(targets)
    surprisal, entropy, confidence = np.empty(count), np.empty(count), np.empty(count)
    rank, looked = np.empty(count, np.int64), []
    rows = max(1, _BLOCK // logprobs.shape[1])
    for start in range(0, count, rows):
        at = slice(start, start + rows)
        block, words = logprobs[at], targets[at]
        own = block[np.arange(len(words)), words]
        surprisal[at] = own
        rank[at] = ranks(block, own)
        confidence[at] = block.max(axis=1)
        # What cannot be adds nothing to the entropy, but 0 * -inf would be NaN.
        entropy[at] = row_products(np.exp(block), np.maximum(block, np.finfo(block.dtype).min))
        if look:
            looked.append(np.array(look(block, words)))
    return finish(surprisal, entropy, rank, confidence, looked)


def finish(
    logprobs: np.ndarray, negative_entropy: np.ndarray, rank: np.ndarray, best: np.ndarray, looked: list[np.ndarray]
) -> Measures:
    """Measures out of natural logarithms: rounding leaves neither a probability above one nor an entropy below zero.

    Args:
        logprobs: (N,) of the words that came.
        negative_entropy: (N,) sums of p log p.
        rank: (N,).
        best: (N,) log-probabilities of the likeliest words.
        looked: what `look` has returned, block by block.

    Example:
        >>> log_half = np.log([0.5])
        >>> finish(log_half, log_half, np.array([1]), log_half, []).entropy
        array([1.])
    """
    # Adding zero takes the sign from a zero.
    surprisal = np.maximum(-logprobs / math.log(2), 0) + 0.0
    entropy = np.maximum(-negative_entropy / math.log(2), 0) + 0.0
    return Measures(surprisal, entropy, rank, np.exp(np.minimum(best, 0)), np.concatenate(looked) if looked else None)


def ranks(scores: np.ndarray, own: np.ndarray) -> list[int]:
    """1 + the number of words that are likelier, for each of (rows, V) scores and the (rows,) of the words that came.

    Example:
        >>> ranks(np.array([[0.5, 0.2, 0.3], [0.4, 0.4, 0.2]]), np.array([0.2, 0.4]))
        [3, 1]
    """
    # Row by row, since a table of all comparisons would leave the processor's cache.
    return [1 + int(np.count_nonzero(row > value)) for row, value in zip(scores, own, strict=True)]


def row_products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product of each row with its row: (rows, V) twice -> (rows,). BLAS does it, faster than `einsum` and finer.

    Example:
        >>> row_products(np.ones((2, 3)), np.array([[1, 2, 3], [4, 5, 6.0]]))
        array([ 6., 15.])
    """
    return np.matmul(left[:, np.newaxis], right[:, :, np.newaxis])[:, 0, 0]


def check_targets(targets: np.ndarray | Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """The targets as an array of a word for each of the (N, V) predictions.

    Raises:
        OptionError: not a target a row, or an id out of range.

    Example:
        >>> check_targets([1, 7], (2, 5))
        Traceback (most recent call last):
        ...
        wordlm.errors.OptionError: `targets` must be ids between 0 and 4, the model's last word, but there is 7
    """
    targets = np.asarray(targets, np.intp)
    if targets.shape != shape[:1]:
        raise OptionError(f"`targets` must have the shape ({shape[0]},), one a prediction, but have {targets.shape}")
    if targets.size and targets.view(np.uintp).max() >= shape[1]:
        wrong = targets[(targets < 0) | (targets >= shape[1])]
        raise OptionError(
            f"`targets` must be ids between 0 and {shape[1] - 1}, the model's last word, but there is {wrong[0]}"
        )
    return targets
