"""An engine whose predictions are a mixture of the network's, an n-gram model's and a neural cache's.

The cache's part is `CachedEngine` with a lambda of 1, where the network's prediction counts as one more context that is
the same: (S p_cache + p_lstm) / (S + 1). So it is a distribution even where the cache is empty.

Nearly all of a mixture is a p_lstm + b p_unigram, with two numbers a word: few passes over the vocabulary. What the
n-grams and the cache add to it is some words each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from wordlm.cache import CacheState, NeuralCache, Stretch
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.measures import Look, Measures, check_targets, finish
from wordlm.mixture import Mixture
from wordlm.ngram import KneserNey
from wordlm.state import check_ids
from wordlm.vocab import EOS, PAD, UNK

# Numbers of a block of predictions that all passes go over while it is in the processor's cache.
_BLOCK = 1 << 18
# Numbers of the predictions that are there at once to be measured, 64 MB.
_AT_ONCE = 1 << 24
# From so many numbers on, threads share the predictions.
_PARALLEL = 1 << 20
_THREADS = min(8, os.cpu_count() or 1)
_TINY = np.finfo(np.float32).tiny

# The words of a sentence up to some place, `<eos>` first, or the last ones of them.
_Context = tuple[int, ...]


@dataclass(frozen=True)
class MixedState:
    """What the engine and the cache remember of each text of a batch, and the last words for the n-gram model.

    Args:
        inner: the state of the network and the cache.
        contexts: for each text the words since the last `<eos>`, it included, or the last ones of them.
    """

    inner: CacheState
    contexts: tuple[tuple[int, ...], ...]

    @property
    def batch_size(self) -> int:
        """Texts in the batch."""
        return len(self.contexts)

    def select(self, indices: Sequence[int] | np.ndarray) -> MixedState:
        """The state of some rows of the batch, in the order of `indices`; a row may come more than once."""
        return MixedState(self.inner.select(indices), tuple(self.contexts[index] for index in indices))

    def join(self, other: MixedState) -> MixedState:
        """The rows of this state, then those of another one of the same model."""
        return MixedState(self.inner.join(other.inner), self.contexts + other.contexts)


class MixedEngine:
    """The network, an n-gram model and a neural cache as one engine.

    The methods are those of `Engine`, and mean the same. A word outside the vocabulary, which the network reads by its
    vector, is `<unk>` to the others.

    Args:
        engine: the network.
        ngram: the n-gram model over the same ids; None if it has no weight.
        weights: the mixture.

    Raises:
        OptionError: Keras runs the network, or the n-gram model is missing, or of another vocabulary.

    Example:
        >>> from wordlm.config import ModelConfig
        >>> from wordlm.layout import weight_shapes
        >>> config = ModelConfig(vocab_size=6, embedding_dim=4, units=3, dense=0)
        >>> engine = Engine(config, {name: np.zeros(shape) for name, shape in weight_shapes(config).items()})
        >>> ngram = KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6, order=2)
        >>> mixed = MixedEngine(engine, ngram, Mixture(0.25, 0.5, 0.25))
        >>> logprobs, state = mixed.run([[2]])
        >>> np.allclose(np.exp(logprobs[0, 0]), 0.5 / 6 + 0.5 * ngram.distribution([2]))
        True
    """

    def __init__(self, engine: Engine, ngram: KneserNey | None, weights: Mixture) -> None:
        if not isinstance(engine, Engine):
            raise OptionError("a mixture needs a model that NumPy runs, but Keras runs this one; leave `mix` out")
        if ngram is None and weights.kneser_ney:
            raise OptionError(
                f"`kneser_ney` has the weight {weights.kneser_ney:g}, but there is no n-gram model; give one"
            )
        if ngram and ngram.vocab_size != engine.config.vocab_size:
            raise OptionError(
                f"`ngram` must be over the model's {engine.config.vocab_size:,} words, but has {ngram.vocab_size:,}; "
                "fit it with this model's vocabulary"
            )
        self.engine, self.config, self.input_size = engine, engine.config, engine.input_size
        self.ngram, self.weights = ngram, weights
        self._cache = NeuralCache(engine, weights.cache_words, weights.cache_theta)
        self._kept = max(1, ngram.order - 1) if ngram else 1
        self._unigram = ngram.unigram.astype(np.float32) if ngram else None

    def initial_state(self, batch_size: int) -> MixedState:
        """The state of `batch_size` texts of which nothing has been read yet."""
        return MixedState(self._cache.initial_state(batch_size), ((EOS,),) * batch_size)

    def read(self, token_ids: np.ndarray | Sequence, state: MixedState | None = None) -> MixedState:
        """As `run`, for the new state alone: nothing is predicted."""
        inner = self._cache.read(token_ids, state and state.inner)
        return MixedState(inner, self._contexts(token_ids, state)[1])

    def step(self, token_ids: np.ndarray | Sequence[int], state: MixedState) -> tuple[np.ndarray, MixedState]:
        """Reads one word of each text; as `Engine.step`."""
        token_ids = check_ids(token_ids, 1, state.batch_size, self.input_size)
        logprobs, state = self.run(token_ids[:, np.newaxis], state)
        return logprobs[:, 0], state

    def run(self, token_ids: np.ndarray | Sequence, state: MixedState | None = None) -> tuple[np.ndarray, MixedState]:
        """Reads many words of each text at once, equal to as many steps; as `Engine.run`."""
        logprobs, stretches, state = self._follow(token_ids, state)

        def mix(pair: tuple[Stretch, list[_Context]]) -> None:
            stretch, contexts = pair
            for block, _, _ in self._mixed(logprobs[stretch.place], self._look_up(stretch, contexts)):
                np.log(np.maximum(block, _TINY, out=block), out=block)

        with _threads(logprobs.size) as apply:
            list(apply(mix, stretches))
        return logprobs, state

    def measure(
        self,
        token_ids: np.ndarray | Sequence,
        targets: np.ndarray | Sequence,
        state: MixedState | None = None,
        look: Look | None = None,
    ) -> tuple[Measures, MixedState]:
        """As `run`, then `measure_logprobs`, but no (batch, time, V) is held: a text may be long.

        Args:
            token_ids: (batch, time) ids, padded with 0 where texts end.
            targets: (batch, time) ids, the word after each of these. What is measured at padding means nothing.
            state: what was read before; None: nothing.
            look: called with some rows of probabilities and their targets at a time; perhaps in several threads at
                once.

        Returns:
            Measures of (batch, time), and the new state. Their `parts` are what each part alone says, whatever its
            weight; NaN for an n-gram model that is not there.

        Raises:
            OptionError: ids out of range, or not as many rows as the state has texts.
            WordlmError: the prediction is NaN.
        """
        token_ids, targets, pieces = np.asarray(token_ids), np.asarray(targets), []
        if targets.shape != token_ids.shape:
            raise OptionError(f"`targets` must have the ids' shape, {token_ids.shape}, but have {targets.shape}")
        targets = check_targets(targets.ravel(), (targets.size, self.config.vocab_size)).reshape(targets.shape)
        times = max(1, _AT_ONCE // (self.config.vocab_size * max(1, len(token_ids))))
        for start in range(0, max(1, token_ids.shape[-1]), times):
            at = np.s_[:, start : start + times]
            logprobs, stretches, state = self._follow(token_ids[at], state)

            def measure(
                pair: tuple[Stretch, list[_Context]], logprobs: np.ndarray = logprobs, words: np.ndarray = targets[at]
            ) -> Measures:
                stretch, contexts = pair
                extras = self._look_up(stretch, contexts, all_parts=True)
                return self._measure(logprobs[stretch.place], words[stretch.place], extras, look)

            with _threads(logprobs.size) as apply:
                pieces.append(Measures.join(list(apply(measure, stretches))).reshape(*logprobs.shape[:2]))
        return Measures.join(pieces, axis=1), state

    def _measure(self, rows: np.ndarray, targets: np.ndarray, extras: _Extras, look: Look | None) -> Measures:
        """The measures of a stretch, of which the network's log-probabilities (t, V) are overwritten."""
        parts = extras.parts(rows[np.arange(len(targets)), targets].astype(np.float64), targets)
        entropy, rank, best = np.empty(len(targets)), np.empty(len(targets), np.int64), np.empty(len(targets))
        looked = []
        for block, at, spare in self._mixed(rows, extras):
            own = block[np.arange(len(block)), targets[at]]
            rank[at] = [1 + np.count_nonzero(row > value) for row, value in zip(block, own, strict=True)]
            best[at] = block.max(axis=1)
            # What cannot be adds nothing to the entropy, but 0 * -inf would be NaN.
            np.log(np.maximum(block, _TINY, out=spare), out=spare)
            entropy[at] = np.einsum("rv,rv->r", block, spare)
            if look:
                looked.append(np.asarray(look(block, targets[at])))
        weights = self.weights.weights
        own = np.logaddexp.reduce(parts[:, weights > 0] + np.log(weights[weights > 0]), axis=1)
        return replace(finish(own, entropy, rank, np.log(best), looked), parts=parts)

    def _follow(
        self, token_ids: np.ndarray | Sequence, state: MixedState | None
    ) -> tuple[np.ndarray, list[tuple[Stretch, list[_Context]]], MixedState]:
        """The network's log-probabilities (batch, time, V), stretches with the contexts in them, and the new state."""
        hidden, stretches, inner = self._cache.follow(token_ids, state and state.inner)
        contexts, ends = self._contexts(token_ids, state)
        pairs = [(stretch, contexts[stretch.place[0]][stretch.place[1]]) for stretch in stretches]
        return self.engine.logprobs(hidden), pairs, MixedState(inner, ends)

    def _contexts(
        self, token_ids: np.ndarray | Sequence, state: MixedState | None
    ) -> tuple[list[list[_Context]], tuple[_Context, ...]]:
        """The context of the n-grams after each of (batch, time) words, and after the last one of each text."""
        token_ids = np.asarray(token_ids)
        ends = list(state.contexts) if state else [(EOS,)] * len(token_ids)
        contexts: list[list[_Context]] = [[] for _ in ends]
        for row, words in enumerate(np.where(token_ids < self.config.vocab_size, token_ids, UNK).tolist()):
            context = ends[row]
            for word in words:
                if word != PAD:
                    context = (EOS,) if word == EOS else (*context, word)[-self._kept :]
                contexts[row].append(context)
            ends[row] = context
        return contexts, tuple(ends)

    def _look_up(self, stretch: Stretch, contexts: list[_Context], all_parts: bool = False) -> _Extras:
        """What the cache and the n-grams say in a stretch; of parts without weight only if all are asked for."""
        words, masses = np.zeros(0, np.intp), np.zeros((len(contexts), 0))
        if self.weights.cache or all_parts:
            words, masses = self._cache.recall(stretch)
        network = 1 / (masses.sum(axis=1) + 1)
        masses *= network[:, np.newaxis]
        grams = []
        if self.ngram and (self.weights.kneser_ney or all_parts):
            grams = [self.ngram.sparse(context) for context in contexts]
        return _Extras(words, masses, network, grams, self.ngram)

    def _mixed(self, rows: np.ndarray, extras: _Extras) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
        """Makes probabilities of the mixture out of the network's log-probabilities (t, V), in place.

        Yields:
            Some of the rows at a time, when they are done; which ones they are; an array of the same size for any use.
        """
        mixture, step = self.weights, max(1, _BLOCK // rows.shape[1])
        network = (mixture.lstm + mixture.cache * extras.network).astype(np.float32)
        masses = (mixture.cache * extras.masses).astype(np.float32)
        room = np.empty((min(step, len(rows)), rows.shape[1]), np.float32)
        for start in range(0, len(rows), step):
            at = slice(start, start + step)
            block = rows[at]
            spare = room[: len(block)]
            np.exp(block, out=block)
            block *= network[at, np.newaxis]
            if mixture.kneser_ney:
                shares = [mixture.kneser_ney * share for share, _, _ in extras.grams[at]]
                block += np.multiply.outer(np.array(shares, np.float32), self._unigram, out=spare)
                for row, (_, words, more) in zip(block, extras.grams[at], strict=True):
                    row[words] += mixture.kneser_ney * more
            block[:, extras.words] += masses[at]
            yield block, at, spare


@dataclass(frozen=True)
class _Extras:
    """What the cache and the n-grams say at each of t words in a row of a text, apart from what the network says.

    Args:
        words: (n,) the different words in the cache.
        masses: (t, n) their probabilities in the cache's part.
        network: (t,) the network's share of the cache's part.
        grams: for each word what `KneserNey.sparse` says; empty if nobody asks.
        ngram: the n-gram model.
    """

    words: np.ndarray
    masses: np.ndarray
    network: np.ndarray
    grams: list[tuple[float, np.ndarray, np.ndarray]]
    ngram: KneserNey | None

    def parts(self, own: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(t, 3) log-probabilities of the targets under each part, given those under the network, (t,) float64."""
        of_cache, of_ngram = np.zeros(len(own)), np.full(len(own), np.nan)
        places, columns = np.nonzero(targets[:, np.newaxis] == self.words)
        of_cache[places] = self.masses[places, columns]
        for place, ((share, words, masses), target) in enumerate(zip(self.grams, targets.tolist(), strict=False)):
            of_ngram[place] = share * self.ngram.unigram[target] + masses[words == target].sum()
        with np.errstate(divide="ignore"):
            cached = np.logaddexp(own + np.log(self.network), np.log(of_cache))
            return np.stack([own, np.log(of_ngram), cached], axis=1)


@contextmanager
def _threads(size: int) -> Iterator[Callable[..., Iterable]]:
    """A `map` that runs on threads where there are many numbers to make."""
    if size < _PARALLEL or _THREADS == 1:
        yield map
    else:
        with ThreadPoolExecutor(_THREADS) as pool:
            yield pool.map
