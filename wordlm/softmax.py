"""The output layer in training: the full softmax, or an unbiased estimate of it from a sample of the words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NegativeSampler:
    """Draws the words that stand for the whole vocabulary in one step.

    Systematic sampling with probability proportional to size (Madow 1949): exactly `size` different words, word
    i among them with probability `inclusion[i]`, frequent words always. Dividing each drawn word's share of the
    normalizer by its inclusion probability keeps the normalizer unbiased (Horvitz & Thompson 1952).

    Args:
        counts: (V,) how often each word occurs in the training text.
        size: words drawn, below V.
        power: exponent of the counts; below 1, rare words are drawn more often than they occur.

    Example:
        >>> sampler = NegativeSampler(np.array([0, 9, 5, 3, 1]), size=3)
        >>> len(set(sampler.draw(np.random.default_rng(0)).tolist()))
        3
        >>> round(float(sampler.inclusion.sum()), 6)
        3.0
    """

    counts: np.ndarray
    size: int
    power: float = 0.75

    def __post_init__(self) -> None:
        # Words that never occur (padding) still get a share, so that their probability is pressed down.
        weights = np.maximum(np.asarray(self.counts, np.float64), 0.5) ** self.power
        certain = np.zeros(len(weights), bool)
        while True:
            left = self.size - np.count_nonzero(certain)
            inclusion = np.where(certain, 1.0, weights * (left / weights[~certain].sum()))
            more = (inclusion >= 1) & ~certain
            if not more.any():
                break
            certain |= more
        object.__setattr__(self, "inclusion", inclusion)
        object.__setattr__(self, "_edges", np.cumsum(inclusion))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """(size,) int32 different word ids, in ascending order."""
        points = rng.random() + np.arange(self.size)
        return np.minimum(np.searchsorted(self._edges, points, side="right"), len(self.counts) - 1).astype("int32")


def words_in_a_step(vocab_size: int, samples: int) -> int:
    """Words that the softmax is over in training: those of a sample and the one to be learned, or the whole vocabulary.

    Args:
        vocab_size: words of the vocabulary.
        samples: words to draw; 0: no sample. Of half of the vocabulary and more, none is drawn.

    Example:
        >>> words_in_a_step(33_279, samples=2048), words_in_a_step(4000, samples=2048)
        (2049, 4000)
    """
    return samples + 1 if 0 < samples < vocab_size // 2 else vocab_size


def full_loss(hidden: Any, rows: Any, bias: Any, targets: Any, weights: Any) -> Any:
    """Cross-entropy of the targets over the whole vocabulary, to learn from.

    Args:
        hidden: (N, d) outputs of the network below the softmax.
        rows: (V, d) output vectors of the words.
        bias: (V,).
        targets: (N,) word ids.
        weights: (N,) what each loss counts.

    Returns:
        A scalar, the weighted sum of the losses in nats.
    """
    from keras import ops

    logits = ops.matmul(hidden, ops.transpose(rows)) + bias  # (N, V)
    return ops.sum(ops.sparse_categorical_crossentropy(targets, logits, from_logits=True) * weights)


def full_losses_and_hits(hidden: Any, rows: Any, bias: Any, targets: Any) -> tuple[Any, Any]:
    """The losses one by one, and whether each target is the likeliest word, where nothing is learned.

    On a CPU it takes two thirds of the time of Keras' own cross-entropy, which works out the gradient in any case.

    Args:
        hidden, rows, bias, targets: as in `full_loss`.

    Returns:
        (N,) losses in nats, and (N,) bool.
    """
    from keras import ops

    logits = ops.matmul(hidden, ops.transpose(rows)) + bias  # (N, V)
    greatest = ops.max(logits, axis=-1)
    of_targets = ops.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
    # The greatest again; but waiting for both, it lets TensorFlow write over the logits, which nobody needs any more.
    shift = ops.maximum(greatest, of_targets)
    normalizers = shift + ops.log(ops.sum(ops.exp(logits - shift[:, None]), axis=-1))
    return normalizers - of_targets, of_targets >= greatest


def sampled_losses(
    hidden: Any,
    targets: Any,
    target_rows: Any,
    target_bias: Any,
    negatives: Any,
    negative_rows: Any,
    negative_bias: Any,
) -> Any:
    """Cross-entropy of each target over itself and the sampled words, each weighed by its inclusion probability.

    Args:
        hidden: (N, d) outputs of the network below the softmax.
        targets: (N,) word ids.
        target_rows: (N, d) their output vectors.
        target_bias: (N,).
        negatives: (S,) different word ids, shared by all targets; where one is the target itself, it counts once.
        negative_rows: (S, d) their output vectors.
        negative_bias: (S,), less the log probability with which each of them was drawn.

    Returns:
        (N,) losses in nats.
    """
    from keras import ops

    target_logits = ops.sum(hidden * target_rows, axis=-1) + target_bias
    logits = ops.matmul(hidden, ops.transpose(negative_rows)) + negative_bias  # (N, S)
    logits = ops.where(ops.equal(targets[:, None], negatives[None, :]), -1e9, logits)
    return ops.logaddexp(ops.logsumexp(logits, axis=-1), target_logits) - target_logits
