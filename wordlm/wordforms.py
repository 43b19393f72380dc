"""What the tokenizer and the detokenizer both know of words: their scripts and apostrophes, as patterns, and a memo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memo(dict[str, Value], Generic[Value]):
    """A function's values by their argument, for a function that is mostly asked the same. Its memory is bounded."""

    def __init__(self, function: Callable[[str], Value], size: int = 50_000, longest: int = 40) -> None:
        self.function, self.size, self.longest = function, size, longest

    def __missing__(self, key: str) -> Value:
        value = self.function(key)
        if len(key) <= self.longest:
            if len(self) >= self.size:
                self.clear()
            self[key] = value
        return value


# Scripts written without spaces between words: each grapheme cluster is a token. Kept out of every class that repeats.
SOLO = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Tibetan}\p{Line_Break=SA}ー〆ｰ"
LETTER = rf"[\p{{L}}--[{SOLO}]]"
# Words that begin with an apostrophe, and words that end with one.
OWN_WORDS = r"['’](?i:t(?:is|was|were|will|would|wixt|il|ween)|em|un|cause|bout|neath|gainst|n['’]?)"
ELIDED = rf"(?i:[cdjlmnst]|{LETTER}*+(?<=ll|qu))['’]"  # l' of l'homme, qu', dell'
