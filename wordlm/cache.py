"""A neural cache around an engine: words that a text has used become likelier where their context comes again.

Grave, Joulin, Usunier, "Improving neural language models with a continuous cache" (2017), section 3. Nothing is
trained for it: what the engine hands to its output layer, the hidden vector h, is kept with the word that followed.

Two things are not the paper's. Vectors are brought to length one, so that it is the cosine of two that counts: on
WikiText-2 the products as they are, in which long vectors drown the similar ones, leave a perplexity a tenth higher,
and their theta is another one for each model. And the cache's share grows with the number of contexts that are alike:
a fixed one falls on the few words of a text that has just begun, which then says "The The The". Of the words of texts
generated so, 5 to 7 % repeat the word before; with this share 0.4 %, without a cache 0.2 %. The perplexity is as good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.layout import weight_shapes
from wordlm.state import State, begin, check_ids
from wordlm.vocab import PAD, UNK

# Words of a text that the cache takes in, and is compared with, at once.
_BLOCK = 128


@dataclass(frozen=True)
class CacheState:
    """What the engine remembers of each text of a batch, and the words and hidden vectors that its cache is made of.

    Args:
        inner: the state of the engine within.
        histories: one for each text.
    """

    inner: State
    histories: tuple[_History, ...]

    @property
    def batch_size(self) -> int:
        """Texts in the batch."""
        return len(self.histories)

    def select(self, indices: Sequence[int] | np.ndarray) -> CacheState:
        """The state of some rows of the batch, in the order of `indices`; a row may come more than once."""
        return CacheState(self.inner.select(indices), tuple(self.histories[index] for index in indices))

    def join(self, other: CacheState) -> CacheState:
        """The rows of this state, then those of another one of the same model."""
        return CacheState(self.inner.join(other.inner), self.histories + other.histories)


@dataclass(frozen=True)
class Stretch:
    """Some words in a row of one text of a batch, and the text up to them.

    Args:
        place: the text's number in the batch, and the times of the words.
        vectors: (t, d), their hidden vectors, of length one.
        lengths: (t,) how long the text was at each of them.
        history: the text, up to the last of them.
    """

    place: tuple[int, slice]
    vectors: np.ndarray
    lengths: np.ndarray
    history: _History


class NeuralCache:
    """The last words of each text that an engine reads, and how much speaks for each of them to come next.

    Args:
        engine: the model.
        size: words in the cache, at least 1.
        theta: how alike contexts must be, at least 0.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> cache = NeuralCache(engine, size=3, theta=0.0)
        >>> hidden, (stretch,), state = cache.follow([[2, 5, 6, 5]])
        >>> words, masses = cache.recall(stretch)
        >>> words.tolist(), masses[-1].tolist()
        ([6, 5], [1.0, 2.0])
    """

    def __init__(self, engine: Engine, size: int, theta: float) -> None:
        self.engine, self.config, self.input_size = engine, engine.config, engine.input_size
        self.size, self._theta = int(size), np.float32(min(theta, float(np.finfo(np.float32).max)))
        self._nothing = _History(_Store(0, weight_shapes(engine.config)["output/kernel"][0]), 0)

    def initial_state(self, batch_size: int) -> CacheState:
        """The state of `batch_size` texts of which nothing has been read yet."""
        return CacheState(self.engine.initial_state(batch_size), (self._nothing,) * batch_size)

    def read(self, token_ids: np.ndarray | Sequence, state: CacheState | None = None) -> CacheState:
        """The state after some more words, (batch, time) ids, of each text."""
        token_ids, state = begin(self, token_ids, state)
        for start in range(0, token_ids.shape[1], _BLOCK):
            block = token_ids[:, start : start + _BLOCK]
            hidden, inner = self.engine.hidden(block, state.inner)
            words = self._words(block)
            state = CacheState(inner, tuple(map(self._append, state.histories, words, _to_length_one(hidden))))
        return state

    def follow(
        self, token_ids: np.ndarray | Sequence, state: CacheState | None = None
    ) -> tuple[np.ndarray, list[Stretch], CacheState]:
        """As `read`, with what predictions are made of.

        Returns:
            The engine's hidden vectors, (batch, time, d); stretches of the texts, all words in one of them, to be
            given to `recall`, in any order and by any thread; the new state.
        """
        token_ids, state = begin(self, token_ids, state)
        hidden, inner = self.engine.hidden(token_ids, state.inner)
        stretches, histories = [], []
        rows = zip(self._words(token_ids), _to_length_one(hidden), state.histories, strict=True)
        for row, (words, vectors, history) in enumerate(rows):
            for start in range(0, max(1, len(words)), _BLOCK):
                block = slice(start, start + _BLOCK)
                read = np.cumsum(words[block] != PAD)
                history = self._append(history, words[block], vectors[block])
                lengths = history.length - read.max(initial=0) + read
                stretches.append(Stretch((row, block), vectors[block], lengths, history))
            histories.append(history)
        return hidden, stretches, CacheState(inner, tuple(histories))

    def recall(self, stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
        """The words that the cache has at some place of a stretch, and how much speaks for each of them.

        Returns:
            The words, (n,) different ids, and for each place their sums of exp(theta (cos(h, h_i) - 1)),
            (t, n) float64: 0 where a word is not in the cache yet, or no more. The sum of a row is the S of
            `CachedEngine`.
        """
        # The pair i is the vector i and the word i + 1.
        first = max(0, int(stretch.lengths.min(initial=stretch.history.length)) - 1 - self.size)
        cached, words = stretch.history.pairs(first)
        words, places = _distinct(words, self.config.vocab_size)
        masses = np.zeros((len(stretch.lengths), len(words)))
        if not len(words):
            return words, masses
        exponents = stretch.vectors @ cached.T
        # Rounding may leave a cosine above one, and a large theta what is above by far.
        np.minimum(exponents, 1, out=exponents)
        exponents -= 1
        with np.errstate(over="ignore", under="ignore"):
            exponents *= self._theta
            for row, exponent, length in zip(masses, exponents, stretch.lengths.tolist(), strict=True):
                end = length - 1 - first
                if end > 0:
                    known = slice(max(0, end - self.size), end)
                    row[:] = np.bincount(places[known], np.exp(exponent[known]), len(words))
        return words, masses

    def _words(self, token_ids: np.ndarray) -> np.ndarray:
        """What is kept of words that are read: those outside the vocabulary, which have a vector alone, are unknown."""
        return np.where(token_ids < self.config.vocab_size, token_ids, UNK)

    def _append(self, history: _History, words: np.ndarray, vectors: np.ndarray) -> _History:
        is_word = words != PAD
        # One more vector than pairs: the last one waits for the word that follows it.
        return history.append(words[is_word], vectors[is_word], self.size + 1) if is_word.any() else history


class CachedEngine:
    """An engine whose predictions are mixed with those of a cache of each text's last words.

    p(w) = (1 - s) p_model(w) + s p_cache(w), where p_cache(w) is the share of w in S, the sum of
    exp(theta (cos(h, h_i) - 1)) over the last pairs of a hidden vector h_i and the word that followed it; h is the
    present hidden vector. A context that is the same counts one in S. The paper's share s is lambda; here it is
    lambda S / (S + 1), as if the model's prediction came from one more context that is the same (exactly so, were
    lambda 1). Where no context is alike, or the cache is empty, the model's prediction holds alone.

    `<eos>` and `<unk>` are words like all others, as in the paper; padding is none. Where a model met no `<unk>` in
    training, learning of it is most of what a cache gains in perplexity.

    The methods are those of `Engine`, and mean the same.

    Args:
        engine: the model.
        cache: words in the cache, at least 1.
        cache_theta: how alike contexts must be: 0 counts the words whatever their context, 20 asks for the same one.
        cache_lambda: the cache's greatest share, which it nears where many contexts are alike; at least 0, below 1.

    Raises:
        OptionError: a number out of its range.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> config = ModelConfig(vocab_size=10, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> cached = CachedEngine(engine, cache=3, cache_theta=0.3, cache_lambda=0.5)
        >>> logprobs, state = cached.run([[2, 5, 6, 5]])
        >>> print(np.exp(logprobs[0, [0, -1]]).round(2))
        [[0.1  0.1  0.1  0.1  0.1  0.1  0.1  0.1  0.1  0.1 ]
         [0.07 0.07 0.07 0.07 0.07 0.3  0.18 0.07 0.07 0.07]]
    """

    def __init__(self, engine: Engine, cache: int, cache_theta: float, cache_lambda: float) -> None:
        if not isinstance(cache, int | np.integer) or cache < 1:
            raise OptionError(f"`cache` must be a whole number, at least 1, but is {cache!r}; leave it out for none")
        # Written so that NaN fails too.
        if not 0 <= cache_theta < math.inf:
            raise OptionError(f"`cache_theta` must be a finite number, at least 0, but is {cache_theta!r}")
        if not 0 <= cache_lambda < 1:
            raise OptionError(f"`cache_lambda` must be at least 0 and below 1, but is {cache_lambda!r}")
        self.engine, self.config, self.input_size = engine, engine.config, engine.input_size
        self.cache, self.cache_theta, self.cache_lambda = int(cache), float(cache_theta), float(cache_lambda)
        self._cache = NeuralCache(engine, cache, cache_theta)

    def initial_state(self, batch_size: int) -> CacheState:
        """The state of `batch_size` texts of which nothing has been read yet."""
        return self._cache.initial_state(batch_size)

    def step(self, token_ids: np.ndarray | Sequence[int], state: CacheState) -> tuple[np.ndarray, CacheState]:
        """Reads one word of each text; as `Engine.step`."""
        token_ids = check_ids(token_ids, 1, state.batch_size, self.input_size)
        logprobs, state = self.run(token_ids[:, np.newaxis], state)
        return logprobs[:, 0], state

    def run(self, token_ids: np.ndarray | Sequence, state: CacheState | None = None) -> tuple[np.ndarray, CacheState]:
        """Reads many words of each text at once, equal to as many steps; as `Engine.run`."""
        hidden, stretches, state = self._cache.follow(token_ids, state)
        logprobs = self.engine.logprobs(hidden)
        for stretch in stretches:
            self._mix(logprobs[stretch.place], *self._cache.recall(stretch))
        return logprobs, state

    def read(self, token_ids: np.ndarray | Sequence, state: CacheState | None = None) -> CacheState:
        """As `run`, for the new state alone: nothing is predicted."""
        return self._cache.read(token_ids, state)

    def _mix(self, logprobs: np.ndarray, words: np.ndarray, masses: np.ndarray) -> None:
        """Mixes what the cache recalls of a stretch into the predictions (t, V) of its text, in place."""
        if not len(words):
            return
        for row, mass in zip(logprobs, masses, strict=True):
            total = mass.sum()
            share = self.cache_lambda * total / (total + 1)
            row += np.float32(math.log1p(-share))
            # A word without mass has the logarithm -inf, which leaves it to the model.
            with np.errstate(divide="ignore"):
                row[words] = np.logaddexp(row[words], np.log(mass * (self.cache_lambda / (total + 1))))


class _Store:
    """Words and the hidden vectors after them, side by side. Places are filled once and never overwritten.

    So any number of states can share one: each knows how far it reaches, and does not see what comes behind.
    """

    def __init__(self, capacity: int, size: int) -> None:
        self.words = np.empty(capacity, np.intp)
        self.vectors = np.empty((capacity, size), np.float32)
        self._used = 0
        self._lock = Lock()

    def claim(self, start: int, end: int) -> bool:
        """Whether the places are free, and behind the last used one; from now on they are the caller's."""
        with self._lock:
            if start != self._used or end > len(self.words):
                return False
            self._used = end
            return True


@dataclass(frozen=True)
class _History:
    """The last words of one text, with the hidden vectors after them: a store's first `length` places."""

    store: _Store
    length: int

    def append(self, words: np.ndarray, vectors: np.ndarray, kept: int) -> _History:
        """The history after some more words, of which at least the last `kept` ones are there."""
        store, start = self.store, self.length
        if not store.claim(start, start + len(words)):
            # Another text went on from here, or the store is full. The new one has room for a quarter more, so that
            # a text is copied once in many words, and holds what the cache needs, so that it does not grow for ever.
            start = min(self.length, kept)
            end = start + len(words)
            store = _Store(end + end // 4 + 16, self.store.vectors.shape[1])
            store.claim(0, end)
            store.words[:start] = self.store.words[self.length - start : self.length]
            store.vectors[:start] = self.store.vectors[self.length - start : self.length]
        store.words[start : start + len(words)] = words
        store.vectors[start : start + len(words)] = vectors
        return _History(store, start + len(words))

    def pairs(self, first: int) -> tuple[np.ndarray, np.ndarray]:
        """From the pair `first` on, the vectors (pairs, d) and the words (pairs,) that followed them."""
        return self.store.vectors[first : max(first, self.length - 1)], self.store.words[first + 1 : self.length]


def _to_length_one(vectors: np.ndarray) -> np.ndarray:
    # A vector of nothing but zeros stays one.
    with np.errstate(over="ignore", invalid="ignore"):
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-20))


def _distinct(words: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The different words among some, and the place of each one among them; faster than sorting."""
    table = np.empty(vocab_size, np.intp)
    numbers = np.arange(len(words))
    table[words] = numbers
    # Of a word that comes more than once, one number has stayed.
    distinct = words[table[words] == numbers]
    table[distinct] = numbers[: len(distinct)]
    return distinct, table[words]
