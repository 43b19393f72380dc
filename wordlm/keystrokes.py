"""How many keys a text takes where a model suggests words.

Keystroke savings, 1 - keys / keys without suggestions, are the measure of word prediction: Trnka and McCoy, "Evaluating
Word Prediction: Framing Keystroke Savings" (ACL 2008); Garay-Vitoria and Abascal, "Text prediction systems: a survey"
(2006).
"""

from __future__ import annotations

import numpy as np

from wordlm.completion import Completer
from wordlm.vocab import SPECIALS, Vocabulary

# Suggestions in sight, as over the keys of a telephone.
SHOWN = 3


class Keyboard:
    """A keyboard that shows the three likeliest words before each key.

    Whoever types sees a word as soon as it is shown, and picks it with one key, which enters the space too. A word
    that is never shown takes a key for each letter (Unicode character) and one for the space.

    Args:
        vocabulary: the words.

    Example:
        >>> keyboard = Keyboard(Vocabulary(["<pad>", "<unk>", "<eos>", "the", "a", "of", "cat", "cow"]))
        >>> scores = -np.arange(8.0)
        >>> keyboard.keys(np.stack([scores] * 4), np.array([3, 6, 7, 1])).tolist()  # shown at once, after c, after c
        [1, 2, 2, -1]
        >>> keyboard.length("cow")
        4
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._tokens, self._completer = vocabulary.tokens, Completer(vocabulary)

    def keys(self, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The keys that each word takes.

        Args:
            scores: (n, V) numbers; those of a row order the words as their probabilities at that place do.
            targets: (n,) ids of the words to enter.

        Returns:
            (n,) int64; -1 for `<pad>`, `<unk>` and `<eos>`, which cannot be typed.
        """
        pairs = zip(scores, np.asarray(targets).tolist(), strict=True)
        return np.array([self._keys(row, target) for row, target in pairs], np.int64)

    def length(self, token: str) -> int:
        """The keys of a word without suggestions: its letters, and the space after it."""
        return len(token) + 1

    def _keys(self, scores: np.ndarray, target: int) -> int:
        if target < len(SPECIALS):
            return -1
        token = self._tokens[target]
        for typed in range(len(token)):
            if self._completer.shows(scores, token[:typed], SHOWN, target):
                return typed + 1
        return self.length(token)
