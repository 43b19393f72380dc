"""Batches of (x, y, sample_weight): contiguous streams, or windows of known words.

A batch is a function of its epoch and its step alone, so a position in the data is these two numbers, and
training that was interrupted goes on at exactly the batch where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wordlm.config import ModelConfig, TrainConfig
from wordlm.errors import OptionError
from wordlm.rare_words import RareWords
from wordlm.vocab import EOS, PAD

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class StreamBatches:
    """`batch_size` contiguous streams side by side, cut into steps of `sequence_length`.

    Every token is predicted exactly once an epoch, the first one from `<eos>`; the row b of one step goes on
    in the row b of the next, so that the state can be carried. What pads the last stream and the last step
    has the weight 0.

    Args:
        ids: (N,) token ids, a memory map for example.
        batch_size: the number of streams, B.
        sequence_length: words in a step, T.
        rare: words that are `<unk>` in some epochs; None: none are.
        seed: of the word with which an epoch begins (what is before it comes at the end), so that the cuts into streams
            and steps are at other places each time; None: the first word in every epoch.

    Raises:
        OptionError: there are no ids.

    Example:
        >>> batches = StreamBatches(np.array([5, 6, 7, 8, 9]), batch_size=2, sequence_length=2)
        >>> x, y, weight = batches.batch(epoch=0, step=0)
        >>> x.tolist(), y.tolist(), weight.tolist()
        ([[2, 5], [7, 8]], [[5, 6], [8, 9]], [[1.0, 1.0], [1.0, 1.0]])
    """

    ids: np.ndarray
    batch_size: int
    sequence_length: int
    rare: RareWords | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        _check_not_empty(self.ids)

    @property
    def stream_length(self) -> int:
        """Words in each stream; the last stream may hold fewer."""
        return -(-len(self.ids) // self.batch_size)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-self.stream_length // self.sequence_length)

    def batch(self, epoch: int, step: int) -> Batch:
        """The (B, T) input ids, target ids and weights of a step."""
        offsets = step * self.sequence_length + np.arange(self.sequence_length)
        positions = np.arange(self.batch_size)[:, None] * self.stream_length + offsets
        real = (offsets < self.stream_length) & (positions < len(self.ids))
        if self.seed is not None:
            first = np.random.default_rng((self.seed, epoch)).integers(len(self.ids))
            positions = (positions + first) % len(self.ids)
        x, y = (_at(self.ids, positions + shift, self.rare, epoch) for shift in (-1, 0))
        return *(np.where(real, ids, PAD).astype("int32") for ids in (x, y)), real.astype("float32")


@dataclass(frozen=True)
class WindowBatches:
    """Windows of `context` known words, each with the one word that follows, in a new order every epoch.

    The first windows of the text are shorter than `context` (they begin with `<eos>`) and are padded on the
    right. What fills up the last batch has the weight 0.

    Args:
        ids: (N,) token ids.
        batch_size: windows in a batch, B.
        context: known words in a window.
        seed: of the order; None keeps the order of the text.
        rare: as in `StreamBatches`.

    Raises:
        OptionError: there are no ids.

    Example:
        >>> batches = WindowBatches(np.array([5, 6, 7]), batch_size=3, context=2, seed=None)
        >>> x, y, weight = batches.batch(epoch=0, step=0)
        >>> x.tolist(), y.tolist()
        ([[2, 0], [2, 5], [5, 6]], [5, 6, 7])
    """

    ids: np.ndarray
    batch_size: int
    context: int
    seed: int | None = 0
    rare: RareWords | None = None

    def __post_init__(self) -> None:
        _check_not_empty(self.ids)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.ids) // self.batch_size)

    def batch(self, epoch: int, step: int) -> Batch:
        """The (B, context) windows, their (B,) targets and weights."""
        number = step * self.batch_size + np.arange(self.batch_size)
        real = number < len(self.ids)
        targets = np.where(real, number, 0)
        if self.seed is not None:
            targets = permute(targets, len(self.ids), (self.seed, epoch))
        positions = np.maximum(targets - self.context, -1)[:, None] + np.arange(self.context)
        x = np.where(positions < targets[:, None], _at(self.ids, positions, self.rare, epoch), PAD)
        y = _at(self.ids, targets, self.rare, epoch)
        return x.astype("int32"), y.astype("int32"), real.astype("float32")


def permute(indices: np.ndarray, n: int, key: tuple[int, ...]) -> np.ndarray:
    """Where each index of 0..n-1 stands in a random order of them, without holding that order in memory.

    A Feistel network over the next power of four, walked until it falls below n (Black & Rogaway 2002,
    section 4), shuffles a text of any size in constant memory.

    Args:
        indices: int array, each in 0..n-1.
        n: how many there are.
        key: integers that choose the order.

    Returns:
        Another int array of the same shape: a bijection of 0..n-1.

    Example:
        >>> sorted(permute(np.arange(10), 10, key=(1, 2)).tolist()) == list(range(10))
        True
    """
    half = max(1, (int(n - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    keys = np.random.default_rng(key).integers(0, 2**63, size=4, dtype=np.uint64)
    out = np.asarray(indices, np.uint64).copy()
    todo = np.ones(out.shape, bool)
    while todo.any():
        left, right = out[todo] >> np.uint64(half), out[todo] & mask
        for k in keys:
            mixed = (right ^ k) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(0xBF58476D1CE4E5B9)
            left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
        out[todo] = (left << np.uint64(half)) | right
        todo = out >= n
    return out.astype(np.int64)


def fitting_batch_size(tokens: int, model_config: ModelConfig, config: TrainConfig) -> int:
    """Small texts take fewer streams than asked for, so that an epoch still has some steps.

    Example:
        >>> fitting_batch_size(1000, ModelConfig(), TrainConfig(batch_size=32, sequence_length=35))
        7
    """
    per_row = 1 if model_config.context else config.sequence_length
    return max(1, min(config.batch_size, tokens // (4 * per_row)))


def _at(ids: np.ndarray, positions: np.ndarray, rare: RareWords | None, epoch: int) -> np.ndarray:
    """The ids at these positions, `<eos>` before the first, anything behind the last."""
    found = ids[np.clip(positions, 0, len(ids) - 1)]
    if rare:
        found = rare.hide(found, positions, epoch)
    return np.where(positions < 0, EOS, found)


def _check_not_empty(ids: np.ndarray) -> None:
    if len(ids) == 0:
        raise OptionError("batches need at least one token, and there is none")
