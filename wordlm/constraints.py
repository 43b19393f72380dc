"""Phrases that a text must hold, and words that it must end with: how far a text has come, word by word."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

# How many words of each phrase a text has come to, the end's last; a phrase that it holds stays complete.
Progress = tuple[int, ...]


class Constraints:
    """Follows a text and says which words bring it further, and how many are still missing.

    A phrase counts when its words follow on each other; one that is broken off begins anew. Phrases may overlap: "in
    the dark night" holds "in the dark" and "dark night". This is the automaton of Knuth, Morris and Pratt (1977),
    once a phrase. The end is followed in the same way, but never done: it must come last.

    Args:
        include: phrases, as ids.
        end: the last words, as ids; empty: any.

    Attributes:
        start: the progress of a text of no words.

    Example:
        >>> constraints = Constraints([(5, 6), (7,)], end=(8,))
        >>> progress = constraints.advance(constraints.start, 5)
        >>> progress, constraints.needed(progress), constraints.missing(progress)
        ((1, 0, 0), (5, 6, 7), 3)
    """

    def __init__(self, include: Sequence[tuple[int, ...]], end: tuple[int, ...] = ()) -> None:
        # What another one holds comes with it.
        self._include = [
            phrase
            for phrase in dict.fromkeys(include)
            if not holds(end, phrase) and not any(phrase != other and holds(other, phrase) for other in include)
        ]
        self._phrases = [*self._include, end]
        self._borders = [_borders(phrase) for phrase in self._phrases]
        count = len(self._phrases)
        self._overlaps = [[_overlap(first, second) for second in self._phrases] for first in self._phrases]
        others = [[j for j in range(count) if j != i] for i in range(count)]
        self._loose = frozenset(
            i for i in range(count) if not any(self._overlaps[i][j] or self._overlaps[j][i] for j in others[i])
        )
        self.start: Progress = (0,) * count
        # A search asks the same few questions again and again.
        self.advance = cache(self._advance)
        self.needed = cache(self._needed)
        self.missing = cache(self._missing)
        self._rest = cache(self._rest_after)

    def unmet(self, progress: Progress) -> list[tuple[int, ...]]:
        """The phrases that the text does not hold; the end, if it is not the text's last words."""
        pairs = zip(self._phrases, progress, strict=True)
        return [phrase for phrase, matched in pairs if matched < len(phrase)]

    def _advance(self, progress: Progress, id: int) -> Progress:
        """The progress after one more word."""
        parts = zip(self._phrases, self._borders, progress, strict=True)
        *held, end = (_match(phrase, borders, matched, id) for phrase, borders, matched in parts)
        for i in range(len(held)):
            if progress[i] == len(self._include[i]):
                held[i] = progress[i]
        return (*held, end)

    def _needed(self, progress: Progress) -> tuple[int, ...]:
        """The words that begin or go on with a phrase; the end's once all others are there. Ascending."""
        open_ = self._open(progress) or [len(self._include)]
        ids = set()
        for i in open_:
            phrase, matched = self._phrases[i], progress[i]
            while True:
                if matched < len(phrase):
                    ids.add(phrase[matched])
                if not matched:
                    break
                # The words that a shorter beginning of the same phrase, which the text ends with too, waits for.
                matched = self._borders[i][matched]
        return tuple(sorted(ids))

    def _missing(self, progress: Progress) -> int:
        """How many words it takes at least until all is fulfilled; 0: the text may end here."""
        unmet = self._open(progress)
        if not unmet:
            return len(self._phrases[-1]) - progress[-1]
        # What overlaps with nothing may stand in any order: of all these phrases, one is enough to look at.
        loose = [i for i in unmet if i in self._loose and not progress[i]][1:]
        others = frozenset(unmet).difference(loose)
        ways = (len(self._phrases[i]) - progress[i] + self._rest(i, others - {i}) for i in others)
        return min(ways) + sum(len(self._phrases[i]) for i in loose)

    def _rest_after(self, last: int, unmet: frozenset[int]) -> int:
        """The fewest words after the phrase `last` for these and the end: each overlaps with the one before it."""
        overlaps = self._overlaps[last]
        if not unmet:
            return len(self._phrases[-1]) - overlaps[-1]
        return min(len(self._phrases[i]) - overlaps[i] + self._rest(i, unmet - {i}) for i in unmet)

    def _open(self, progress: Progress) -> list[int]:
        return [i for i, phrase in enumerate(self._include) if progress[i] < len(phrase)]


def holds(phrase: tuple[int, ...], part: tuple[int, ...]) -> bool:
    """Whether the words of `part` follow on each other in `phrase`.

    Example:
        >>> holds((5, 6, 7), (6, 7)), holds((5, 6, 7), (5, 7))
        (True, False)
    """
    return any(phrase[start : start + len(part)] == part for start in range(len(phrase) - len(part) + 1))


def _overlap(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many words the end of one and the beginning of the other share."""
    longest = min(len(first), len(second))
    return next((length for length in range(longest, 0, -1) if first[-length:] == second[:length]), 0)


def _borders(phrase: tuple[int, ...]) -> list[int]:
    """For each number of first words, the longest shorter beginning that these end with."""
    return [0] + [_overlap(phrase[1:length], phrase[: length - 1]) for length in range(1, len(phrase) + 1)]


def _match(phrase: tuple[int, ...], borders: list[int], matched: int, id: int) -> int:
    while matched == len(phrase) or phrase[matched] != id:
        if not matched:
            return 0
        matched = borders[matched]
    return matched + 1
