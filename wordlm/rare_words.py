"""Words that stand once in a text are unknown now and then, so that the network learns what an unknown word is.

Where the vocabulary has room for every word of the training text, there is no `<unk>` in it: the network never reads
one, never predicts one, and finds those of any other text all but impossible. About as many words of a further text are
new as stand once in this one (Good 1953, "The population frequencies of species and the estimation of population
parameters"), so these are the ones to practise on. In each epoch each of them is `<unk>` with some chance, as in Dyer
et al. (2015), "Transition-based dependency parsing with stack long short-term memory"; in the others it is itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wordlm.vocab import EOS, UNK


@dataclass(frozen=True)
class RareWords:
    """Which words are unknown now and then, and how often.

    Args:
        is_rare: (V,) bool.
        share: of the epochs in which a place of a rare word is `<unk>`, 0 to 1.
        seed: another one hides other places.
    """

    is_rare: np.ndarray
    share: float
    seed: int = 0

    @classmethod
    def of(cls, counts: np.ndarray, share: float, seed: int = 0) -> RareWords | None:
        """The words that stand once, hidden so often that `share` of their number is `<unk>`, with those that are.

        Args:
            counts: (V,) how often each id stands in the training text.
            share: 0 to 1.
            seed: of the places.

        Returns:
            None where there is nothing to hide: the text has as many `<unk>` of its own.

        Example:
            >>> RareWords.of(np.array([0, 0, 3, 1, 1, 5]), share=0.5).share
            0.5
            >>> RareWords.of(np.array([0, 1, 3, 1, 1, 5]), share=0.5) is None
            True
        """
        is_rare = np.asarray(counts) == 1
        is_rare[: EOS + 1] = False
        once = int(is_rare.sum())
        share -= float(counts[UNK]) / max(1, once)
        return cls(is_rare, share, seed) if once and share > 0 else None

    def counts(self, counts: np.ndarray) -> np.ndarray:
        """(V,) how often each id is to be expected in an epoch, of how often it stands in the text.

        Example:
            >>> RareWords(np.array([False, False, False, True, False]), share=0.25).counts(np.array([0, 0, 3, 1, 5]))
            array([0.  , 0.25, 3.  , 0.75, 5.  ])
        """
        expected = np.where(self.is_rare, (1 - self.share) * counts, counts)
        expected[UNK] += self.share * self.is_rare.sum()
        return expected

    def hide(self, ids: np.ndarray, positions: np.ndarray, epoch: int) -> np.ndarray:
        """The ids at some places of the text as an epoch has them; the same place is the same wherever it comes.

        Args:
            ids: of any shape.
            positions: of the same shape, their places in the text.
            epoch: from 0.

        Example:
            >>> rare = RareWords(np.array([False, False, False, True, False]), share=0.5)
            >>> [rare.hide(np.array([3, 4]), np.array([0, 1]), epoch).tolist() for epoch in range(4)]
            [[3, 4], [3, 4], [3, 4], [1, 4]]
        """
        # SplitMix64 (Steele, Lea, Flood 2014): a random number of each place and epoch, without a table of them.
        with np.errstate(over="ignore"):
            x = np.asarray(positions, np.int64).astype(np.uint64) + np.uint64(1)
            x += np.uint64((epoch + 1) * 0x9E3779B97F4A7C15 + self.seed * 0xD1B54A32D192ED03 & (1 << 64) - 1)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
            x ^= x >> np.uint64(31)
        is_hidden = self.is_rare[ids] & (x < np.uint64(min(self.share, 1 - 2**-53) * 2**64))
        return np.where(is_hidden, UNK, ids)
