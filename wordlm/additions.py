"""What a cache and an n-gram model add to a network's predictions: at each place a few words, and two shares."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wordlm.cache import Stretch
from wordlm.ngram import KneserNey

# The words of a sentence up to some place, `<eos>` first, or the last ones of them.
Context = tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """Some places of a stretch of a text, n of them, and what is known there.

    Args:
        stretch: where they are, for the cache.
        places: (n,) their numbers in the stretch.
        times: (n,) their times in the batch.
        hidden: (n, d) the network's hidden vectors.
        contexts: for each place that of the n-grams.
        targets: (n,) the words that came; None if nothing is measured.
    """

    stretch: Stretch
    places: np.ndarray
    times: np.ndarray
    hidden: np.ndarray
    contexts: list[Context]
    targets: np.ndarray | None = None


@dataclass(frozen=True)
class Additions:
    """What the cache and the n-grams say at some places, one piece after the other, apart from what the network says.

    Attributes:
        network: arrays of the network's share of the cache's part, 1 / (S + 1).
        cached: for each place words, and their probabilities in the cache's part, float32.
        of_cache: arrays of the targets' probabilities among these.
        shares: for each place the share of the single words' probabilities in the n-grams' part.
        grams: for each place words, and what they have more, float32.
        of_ngram: the targets' probabilities in the n-grams' part.

    Example:
        >>> additions = Additions()
        >>> ngram = KneserNey.fit([3, 4, 2, 3, 5, 2], vocab_size=6, order=2)
        >>> additions.add_ngram(ngram, Piece(None, [0], [0], None, [(2,)]))
        >>> [words.tolist() for words, _ in additions.grams]
        [[3]]
    """

    network: list[np.ndarray] = field(default_factory=list)
    cached: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    of_cache: list[np.ndarray] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    grams: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    of_ngram: list[float] = field(default_factory=list)

    def add_cache(self, words: np.ndarray, masses: np.ndarray, piece: Piece) -> None:
        """Takes in what `NeuralCache.recall` says of the stretch of a piece."""
        masses = masses[piece.places]
        network = 1 / (masses.sum(axis=1) + 1)
        masses *= network[:, np.newaxis]
        self.network.append(network)
        if piece.targets is not None:
            of_cache = np.zeros(len(masses))
            places, columns = np.nonzero(piece.targets[:, np.newaxis] == words)
            of_cache[places] = masses[places, columns]
            self.of_cache.append(of_cache)
        self.cached.extend((words, row) for row in masses.astype(np.float32))

    def add_ngram(self, ngram: KneserNey, piece: Piece) -> None:
        """Takes in what an n-gram model says at the places of a piece."""
        for place, context in enumerate(piece.contexts):
            share, words, masses = ngram.sparse(context)
            self.shares.append(share)
            if piece.targets is not None:
                target = int(piece.targets[place])
                self.of_ngram.append(share * ngram.unigram[target] + masses[words == target].sum())
            self.grams.append((words.astype(np.intp), masses.astype(np.float32)))

    def parts(self, of_network: np.ndarray) -> np.ndarray:
        """The targets under each part of a mixture.

        Args:
            of_network: (n,) their log-probabilities under the network, float64.

        Returns:
            (n, 3) log-probabilities under the network, the n-grams (NaN if none were added) and the cache's part.
        """
        with np.errstate(divide="ignore"):
            of_ngram = np.log(self.of_ngram) if self.of_ngram else np.full(len(of_network), np.nan)
            alike, other = np.concatenate(self.of_cache), np.concatenate(self.network)
            return np.stack([of_network, of_ngram, np.logaddexp(np.log(alike), of_network + np.log(other))], axis=1)
