"""Log-probabilities of many whole sentences, where what several of them begin with is read only once.

The sentences of minimal pairs and of n-best lists share most of their beginnings. In order, they are the leaves of a
tree whose nodes are their beginnings: it is walked a depth at a time, and each node is read and predicted from once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from wordlm.errors import OptionError
from wordlm.vocab import EOS, UNK

# Sentences whose beginnings are in memory together, as far as their predictions are.
_SENTENCES = 2048
# With a window model, which reads up to `context` words for each of them.
_WINDOWS = 256
# Float32 numbers of the predictions that are in memory at once, where an engine gives them as a whole.
_FLOATS = 1 << 24
# Ids of the sentences in memory together, each as long as the longest one.
_IDS = 1 << 20


def score_sentences(
    engine: Any, sentences: Sequence[Sequence[int]], *, progress: Callable[[int], None] | None = None
) -> np.ndarray:
    """The log-probability of each sentence as a whole, the `<eos>` at its end included.

    Each one is read from the start: the zero state, then `<eos>`.

    Args:
        engine: the network, or anything with its `initial_state`, `step` and `config.vocab_size`.
        sentences: their ids, without `<eos>`; an id that is no word of the vocabulary, but that the engine reads, is
            predicted as `<unk>`. A sentence may be empty.
        progress: called with the number of sentences done so far.

    Returns:
        (N,) float64, natural logarithms.

    Raises:
        OptionError: ids out of range.
        WordlmError: a prediction is NaN.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.engine import Engine
        >>> from wordlm.layout import weight_shapes
        >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> np.exp(score_sentences(engine, [[], [5], [5, 7], [5, 8]])).round(4).tolist()
        [0.1, 0.01, 0.001, 0.001]
    """
    # As the bytes of big-endian numbers, sentences sort as lists of ids do, and are equal where these are.
    keys = [_key(sentence) for sentence in sentences]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    scores = np.empty(len(keys))
    vocab_size = engine.config.vocab_size
    has_hidden = hasattr(engine, "logprobs_of")
    at_once = _WINDOWS if getattr(engine.config, "context", 0) else _SENTENCES
    if not has_hidden:
        at_once = max(1, min(at_once, _FLOATS // vocab_size))
    done = 0
    for numbers, owners, distinct in _chunks(order, keys, at_once):
        tree = _Tree(distinct, vocab_size)
        totals = _walk_hidden(engine, tree) if has_hidden else _walk(engine, tree)
        scores[numbers] = totals[owners]
        done += len(numbers)
        if progress:
            progress(done)
    return scores


def _key(sentence: Sequence[int]) -> bytes:
    ids = np.asarray(sentence)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise OptionError(f"a sentence must be a list of token ids, but is {str(sentence)[:60]}")
    if ids.size and not (ids.min() >= 1 and ids.max() < 1 << 32):
        raise OptionError(
            f"the ids of a sentence must be those of words, from {UNK} on, but one goes from {ids.min()} to "
            f"{ids.max()}; use the model's own vocabulary"
        )
    return ids.astype(">u4").tobytes()


def _chunks(
    order: list[int], keys: list[bytes], at_once: int
) -> Iterator[tuple[list[int], list[int], list[np.ndarray]]]:
    """Sentences in order: their numbers, the place of each one among the distinct ones, and these."""
    numbers: list[int] = []
    owners: list[int] = []
    distinct: list[np.ndarray] = []
    last, longest = None, 0
    for number in order:
        key = keys[number]
        if key != last:
            longest = max(longest, len(key) // 4)
            if len(distinct) == at_once or (distinct and (len(distinct) + 1) * longest > _IDS):
                yield numbers, owners, distinct
                numbers, owners, distinct, longest = [], [], [], len(key) // 4
            distinct.append(np.frombuffer(key, ">u4"))
            last = key
        numbers.append(number)
        owners.append(len(distinct) - 1)
    if numbers:
        yield numbers, owners, distinct


class _Tree:
    """The beginnings of some distinct sentences in order, and the words that follow them.

    A node of the depth t is a beginning of t words. The sentences that share it stand next to each other.

    Attributes:
        ids: (sentences, longest) what is read, padded with 0.
        targets: (sentences, longest + 1) what is predicted: `<eos>` behind the last word.
        lengths: (sentences,) words.
        shared: (sentences,) words that a sentence begins with as the one before it does; -1 for the first one.
    """

    def __init__(self, sentences: list[np.ndarray], vocab_size: int) -> None:
        self.lengths = np.array([len(sentence) for sentence in sentences])
        longest = self.lengths.max()
        self.ids = np.zeros((len(sentences), longest), np.intp)
        for row, sentence in zip(self.ids, sentences, strict=True):
            row[: len(sentence)] = sentence
        self.targets = np.zeros((len(sentences), longest + 1), np.intp)
        self.targets[:, :-1] = np.where(self.ids < vocab_size, self.ids, UNK)
        self.targets[np.arange(len(sentences)), self.lengths] = EOS
        is_same = (self.ids[1:] == self.ids[:-1]) & (self.ids[1:] != 0)
        self.shared = np.append(-1, np.logical_and.accumulate(is_same, axis=1).sum(axis=1))

    def levels(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """For each depth: the sentences that reach it, the node of each one, and of each node the id that it ends
        with, and its parent's number; and what follows in each sentence."""
        above = np.zeros(len(self.ids), np.intp)
        for depth in range(self.targets.shape[1]):
            rows = np.flatnonzero(self.lengths >= depth)
            is_new = self.shared[rows] < depth
            is_new[0] = True
            nodes = np.cumsum(is_new) - 1
            first = rows[is_new]
            ids = self.ids[first, depth - 1] if depth else np.array([EOS])
            yield rows, nodes, ids, above[first], self.targets[rows, depth]
            above[rows] = nodes


def _walk(engine: Any, tree: _Tree) -> np.ndarray:
    """The log-probability of each sentence, with an engine that tells no more than its predictions."""
    totals = np.zeros(len(tree.ids))
    state = engine.initial_state(1)
    for rows, nodes, ids, parents, targets in tree.levels():
        logprobs, state = engine.step(ids, state.select(parents))
        totals[rows] += logprobs[nodes, targets]
    return totals


def _walk_hidden(engine: Any, tree: _Tree) -> np.ndarray:
    """The same, with the output layer apart: nodes of several depths go through it together."""
    totals = np.zeros(len(tree.ids))
    waiting: list[tuple[np.ndarray, ...]] = []
    count = 0
    state = engine.initial_state(1)
    for rows, nodes, ids, parents, targets in tree.levels():
        hidden, state = engine.hidden(ids[:, np.newaxis], state.select(parents))
        waiting.append((hidden[:, 0], rows, nodes + count, targets))
        count += len(ids)
        if count >= _SENTENCES:
            _add(engine, totals, waiting)
            waiting, count = [], 0
    if waiting:
        _add(engine, totals, waiting)
    return totals


def _add(engine: Any, totals: np.ndarray, waiting: list[tuple[np.ndarray, ...]]) -> None:
    """Adds to each sentence the log-probabilities of what follows the nodes that wait."""
    hidden, rows, nodes, targets = map(np.concatenate, zip(*waiting, strict=True))
    logprobs = engine.logprobs_of(hidden, nodes, targets)
    # A sentence may have several nodes here.
    totals += np.bincount(rows, logprobs, len(totals))
