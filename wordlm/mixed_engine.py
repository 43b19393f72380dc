"""An engine whose predictions are a mixture of the network's, an n-gram model's and a neural cache's.

The cache's part is `CachedEngine` with a lambda of 1, where the network's prediction counts as one more context that is
the same: (S p_cache + p_lstm) / (S + 1). So it is a distribution even where the cache is empty.

Nearly all of a mixture is a p_lstm + b p_unigram, with two numbers a word: few passes over the vocabulary, while its
softmax is in the processor's cache. What the n-grams and the cache add to it is some words each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wordlm.additions import Additions, Context, Piece
from wordlm.cache import CacheState, NeuralCache
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.measures import Look, Measures, check_targets, finish, ranks, row_products
from wordlm.mixture import Mixture
from wordlm.ngram import KneserNey
from wordlm.state import begin, check_ids
from wordlm.vocab import EOS, PAD, UNK

# Places of a batch that are read before threads get them, and that a thread gets: at most, and at least if there are.
_READ, _LOT, _LEAST = 1024, 256, 32
# Numbers of the logits that a thread holds, 64 MB at most. From so many predicted numbers on there are threads.
_LOGITS, _PARALLEL = 1 << 24, 1 << 20
_THREADS = min(8, os.cpu_count() or 1)
# Lots for each thread that may wait while the next ones are read.
_AHEAD = 3
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class MixedState:
    """What the engine and the cache remember of each text of a batch, and the last words for the n-gram model.

    Args:
        inner: the state of the network and the cache.
        contexts: for each text the words since the last `<eos>`, it included, or the last ones of them.
    """

    inner: CacheState
    contexts: tuple[Context, ...]

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
            raise OptionError("`mix` needs a model that NumPy runs, but Keras runs this one; leave it out")
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
        token_ids, state = begin(self, token_ids, state)
        return MixedState(self._cache.read(token_ids, state.inner), self._contexts(token_ids, state)[1])

    def step(self, token_ids: np.ndarray | Sequence[int], state: MixedState) -> tuple[np.ndarray, MixedState]:
        """Reads one word of each text; as `Engine.step`."""
        token_ids = check_ids(token_ids, 1, state.batch_size, self.input_size)
        logprobs, state = self.run(token_ids[:, np.newaxis], state)
        return logprobs[:, 0], state

    def run(self, token_ids: np.ndarray | Sequence, state: MixedState | None = None) -> tuple[np.ndarray, MixedState]:
        """Reads many words of each text at once, equal to as many steps; as `Engine.run`."""
        token_ids, state = begin(self, token_ids, state)
        logprobs = np.empty((*token_ids.shape, self.config.vocab_size), np.float32)
        end = state

        def lots() -> Iterator[tuple[list[Piece], np.ndarray]]:
            nonlocal end
            rows, done = logprobs.reshape(-1, logprobs.shape[-1]), 0
            for lot, after in self._lots(token_ids, None, state):
                end = after
                count = sum(len(piece.contexts) for piece in lot)
                yield lot, rows[done : done + count]
                done += count

        def fill(lot: list[Piece], rows: np.ndarray) -> None:
            for at, block, _ in self._mixed(lot, self._additions(lot)):
                # What is nearly impossible rounds to 0.
                np.log(np.add(block, _TINY, out=rows[at]), out=rows[at])

        _on_threads(fill, lots(), logprobs.size)
        return logprobs, end

    def measure(
        self,
        token_ids: np.ndarray | Sequence,
        targets: np.ndarray | Sequence,
        state: MixedState | None = None,
        look: Look | None = None,
    ) -> tuple[Measures, MixedState]:
        """As `run`, then `measure_logprobs`, but faster, and no (batch, time, V) is held: a text may be long.

        Args:
            token_ids: (batch, time) ids, padded with 0 where texts end.
            targets: (batch, time) ids, the word after each of these. Nothing is measured at padding.
            state: what was read before; None: nothing.
            look: called with some rows of probabilities and their targets at a time; perhaps in several threads at
                once.

        Returns:
            Measures of (batch, time), zeros at padding, and the new state. Their `parts` are what each part alone says,
            whatever its weight; NaN for an n-gram model that is not there.

        Raises:
            OptionError: ids out of range, or not as many rows as the state has texts.
            WordlmError: the prediction is NaN.
        """
        token_ids, state = begin(self, token_ids, state)
        if np.shape(targets) != token_ids.shape:
            raise OptionError(f"`targets` must have the ids' shape, {token_ids.shape}, but have {np.shape(targets)}")
        targets = check_targets(np.ravel(targets), (token_ids.size, self.config.vocab_size)).reshape(token_ids.shape)
        rows, times, end = [], [], state

        def lots() -> Iterator[tuple[list[Piece]]]:
            nonlocal end
            for lot, after in self._lots(token_ids, targets, state):
                end = after
                rows.extend(np.full(len(piece.times), piece.stretch.place[0]) for piece in lot)
                times.extend(piece.times for piece in lot)
                yield (lot,)

        def measure(lot: list[Piece]) -> Measures:
            return self._measure(lot, self._additions(lot), look)

        measured = _on_threads(measure, lots(), targets.size * self.config.vocab_size)
        # Of padding alone nobody has looked.
        measured = Measures.join([some for some in measured if some.rank.size] or measured[:1])
        in_time = np.lexsort((np.concatenate(rows), np.concatenate(times)))
        return measured[in_time].spread(token_ids.T != PAD), end

    def _measure(self, lot: list[Piece], additions: Additions, look: Look | None) -> Measures:
        """The measures of a lot."""
        targets = np.concatenate([piece.targets for piece in lot])
        entropy, best, of_network = np.empty((3, len(targets)))
        rank, looked = np.empty(len(targets), np.int64), []
        for at, block, spare in self._mixed(lot, additions, targets, of_network):
            own = block[np.arange(len(block)), targets[at]]
            rank[at] = ranks(block, own)
            best[at] = block.max(axis=1)
            # What cannot be adds nothing to the entropy, but 0 * -inf would be NaN.
            np.log(np.add(block, _TINY, out=spare), out=spare)
            entropy[at] = row_products(block, spare)
            if look:
                looked.append(np.array(look(block, targets[at])))
        weights, parts = self.weights.weights, additions.parts(of_network)
        own = np.logaddexp.reduce(parts[:, weights > 0] + np.log(weights[weights > 0]), axis=1)
        return replace(finish(own, entropy, rank, np.log(best), looked), parts=parts)

    def _lots(
        self, token_ids: np.ndarray, targets: np.ndarray | None, state: MixedState
    ) -> Iterator[tuple[list[Piece], MixedState]]:
        """Reads a batch, and cuts it into lots for threads; with the state after what was read, at last all.

        Args:
            token_ids: (batch, time).
            targets: (batch, time), of which those at padding are left out; None: no place is.
            state: what was read before.
        """
        step = max(1, _READ // len(token_ids)) if targets is not None else max(1, token_ids.shape[1])
        for start in range(0, max(1, token_ids.shape[1]), step):
            ids = token_ids[:, start : start + step]
            hidden, stretches, inner = self._cache.follow(ids, state.inner)
            contexts, ends = self._contexts(ids, state)
            state, lot, count = MixedState(inner, ends), [], 0
            most = min(_LOT, max(_LEAST, -(-ids.size // _THREADS)))
            for stretch in stretches:
                row, at = stretch.place
                places = np.arange(len(ids[row, at]))
                if targets is not None:
                    places = places[ids[row, at] != PAD]
                if lot and count + len(places) > most:
                    yield lot, state
                    lot, count = [], 0
                times = start + at.start + places
                own_contexts = [contexts[row][at.start + place] for place in places.tolist()]
                own_targets = None if targets is None else targets[row, times]
                lot.append(Piece(stretch, places, times, hidden[row, at][places], own_contexts, own_targets))
                count += len(places)
            yield lot, state

    def _contexts(self, token_ids: np.ndarray, state: MixedState) -> tuple[list[list[Context]], tuple[Context, ...]]:
        """The context of the n-grams after each of (batch, time) words, and after the last one of each text."""
        contexts: list[list[Context]] = [[] for _ in state.contexts]
        ends = list(state.contexts)
        for row, words in enumerate(np.where(token_ids < self.config.vocab_size, token_ids, UNK).tolist()):
            for word in words:
                if word != PAD:
                    ends[row] = (EOS,) if word == EOS else (*ends[row], word)[-self._kept :]
                contexts[row].append(ends[row])
        return contexts, tuple(ends)

    def _additions(self, lot: list[Piece]) -> Additions:
        """What the cache and the n-grams say at the places of a lot; of parts without weight only to measure them."""
        additions = Additions()
        for piece in lot:
            if self.weights.cache or piece.targets is not None:
                additions.add_cache(*self._cache.recall(piece.stretch), piece)
            if self.ngram and (self.weights.kneser_ney or piece.targets is not None):
                additions.add_ngram(self.ngram, piece)
        return additions

    def _mixed(
        self,
        lot: list[Piece],
        additions: Additions,
        targets: np.ndarray | None = None,
        of_network: np.ndarray | None = None,
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """The mixture's probabilities at the places of a lot.

        Args:
            lot: the places.
            additions: what is said there.
            targets: (n,) words.
            of_network: (n,) gets the targets' log-probabilities under the network.

        Yields:
            Some of the places; the probabilities there, (rows, V); an array like that for any use.
        """
        hidden, mixture = np.concatenate([piece.hidden for piece in lot]), self.weights
        network = np.full(len(hidden), mixture.lstm)
        if additions.network:
            network += mixture.cache * np.concatenate(additions.network)
        rows = max(1, _LOGITS // self.config.vocab_size)
        for first in range(0, len(hidden), rows):
            for start, logits, block, sums in self.engine.output.softmaxes(hidden[first : first + rows]):
                at = slice(first + start, first + start + len(logits))
                if targets is not None:
                    of_network[at] = logits[np.arange(len(logits)), targets[at]] - np.log(sums)
                block *= (network[at] / sums).astype(np.float32)[:, np.newaxis]
                if mixture.kneser_ney:
                    shares = np.float32(mixture.kneser_ney) * np.array(additions.shares[at], np.float32)
                    block += np.multiply(shares[:, np.newaxis], self._unigram, out=logits)
                for part, weight in ((additions.grams, mixture.kneser_ney), (additions.cached, mixture.cache)):
                    if weight:
                        for row, (words, masses) in zip(block, part[at], strict=True):
                            row[words] += np.float32(weight) * masses
                yield at, block, logits


def _on_threads(work: Callable[..., Any], lots: Iterable[tuple[Any, ...]], size: int) -> list[Any]:
    """What `work` makes of each lot, in order; on threads, while the next lots are read, if there is much to do."""
    if size < _PARALLEL or _THREADS == 1:
        return [work(*lot) for lot in lots]
    waiting = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for lot in lots:
            waiting.append(pool.submit(work, *lot))
            if len(waiting) > _AHEAD * _THREADS:
                waiting[-_AHEAD * _THREADS].result()
        return [each.result() for each in waiting]
