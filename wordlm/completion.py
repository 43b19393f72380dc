"""Which words complete what someone has typed of one, and in which order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from functools import cached_property

import numpy as np

from wordlm.vocab import SPECIALS, Vocabulary
from wordlm.wordforms import Memo


class Completer:
    """The words of a vocabulary that begin in a given way, likeliest first.

    Special words are never among them. A prefix matches in any case: `por`, `Por` and `POR` all lead to Portugal. Of
    words that differ by case alone, `The` and `the`, one is shown: the likeliest; but where the prefix has capitals,
    the likeliest of those that begin exactly as typed, if there are any. Words are shown as the model knows them, so
    `Por` leads to `porter` too, and a word that is typed in full leads to itself.

    Args:
        vocabulary: the words.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "the", "The", "Thebes", "a"])
        >>> completer = Completer(vocabulary)
        >>> scores = np.log([0.0625, 0.0625, 0.0625, 0.5, 0.125, 0.0625, 0.125])
        >>> [vocabulary.decode(completer.best(scores, prefix, k=2)) for prefix in ("", "th", "Th", "x")]
        [['the', 'a'], ['the', 'Thebes'], ['The', 'Thebes'], []]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens = vocabulary.tokens
        self._all = np.arange(len(SPECIALS), len(vocabulary))
        self._candidates = Memo(self._find)

    def best(self, scores: np.ndarray, prefix: str, k: int) -> np.ndarray:
        """The ids of the `k` likeliest words that begin with a prefix, fewer if there are no more.

        Args:
            scores: (V,) numbers that order the words as their probabilities do.
            prefix: what was typed of the word; empty for any word.
            k: how many, at least 1.

        Returns:
            Ids, likeliest first; of equally likely words, lower ids first.
        """
        ids = self._candidates[prefix]
        values = scores[ids]
        count = 2 * k
        while True:
            places = _top(values, count)
            places = places[np.lexsort((ids[places], -values[places]))]
            shown: dict[str, int] = {}
            for id in ids[places].tolist():
                shown.setdefault(self._tokens[id].casefold(), id)
            if len(shown) >= k or len(places) == len(ids):
                return np.array(list(shown.values())[:k], np.intp)
            count *= 2

    def shows(self, scores: np.ndarray, prefix: str, k: int, id: int) -> bool:
        """Whether a word is among the `k` of `best`, without finding the others; some microseconds.

        Args:
            scores: (V,), as in `best`.
            prefix: as in `best`.
            k: as in `best`.
            id: the word; it begins with exactly the prefix.

        Example:
            >>> completer = Completer(Vocabulary(["<pad>", "<unk>", "<eos>", "the", "cat", "dog"]))
            >>> [completer.shows(np.arange(6), "", 2, id) for id in (3, 4, 5)]
            [False, True, True]
        """
        # All words need no gathering: a view does.
        ids = self._candidates[prefix]
        values, score = scores[ids] if prefix else scores[len(SPECIALS) :], scores[id]
        # So many likelier words are more than k-1 different ones, whatever their cases are.
        if np.count_nonzero(values > score) >= k * self._most_forms:
            return False
        rivals = ids[np.flatnonzero(values >= score)]
        likelier = rivals[(scores[rivals] > score) | (rivals < id)]
        different = {self._tokens[rival].casefold() for rival in likelier.tolist()}
        return len(different) < k and self._tokens[id].casefold() not in different

    def _find(self, prefix: str) -> np.ndarray:
        """The ids of the words that may be shown for a prefix."""
        if not prefix:
            return self._all
        beginning = prefix.casefold()
        keys, ids = self._sorted
        first = bisect_left(keys, beginning)
        end = bisect_right(keys, beginning, first, key=lambda key: key[: len(beginning)])
        if prefix == prefix.lower():
            return ids[first:end]
        exact = [self._tokens[id].startswith(prefix) for id in ids[first:end].tolist()]
        typed = {key for key, is_exact in zip(keys[first:end], exact, strict=True) if is_exact}
        is_shown = [is_exact or key not in typed for key, is_exact in zip(keys[first:end], exact, strict=True)]
        return ids[first:end][is_shown]

    @cached_property
    def _sorted(self) -> tuple[list[str], np.ndarray]:
        """The words without their case, sorted, so that those of a prefix stand together; and their ids."""
        keys = [token.casefold() for token in self._tokens]
        order = sorted(range(len(SPECIALS), len(keys)), key=keys.__getitem__)
        return [keys[id] for id in order], np.array(order, np.intp)

    @cached_property
    def _most_forms(self) -> int:
        """How many words there are, at most, that differ by case alone."""
        return max(Counter(map(str.casefold, self._tokens)).values())


def _top(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the `count` greatest values in no order, and of all that equal the least of these."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.flatnonzero(values >= np.partition(values, -count)[-count])
