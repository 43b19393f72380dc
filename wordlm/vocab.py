"""Tokens to ids and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from wordlm.errors import BundleError, OptionError

PAD, UNK, EOS = 0, 1, 2
SPECIALS = ("<pad>", "<unk>", "<eos>")


class Vocabulary:
    """Tokens by id: padding, unknown word, end of paragraph, then words by falling frequency.

    Args:
        tokens: the token of each id; the first three are `SPECIALS`.

    Raises:
        OptionError: other first tokens, a token twice, an empty one or one with a line end.

    Example:
        >>> vocabulary = Vocabulary.from_counts([("cat", 1), ("the", 2), ("sat", 1)], max_size=5)
        >>> vocabulary.tokens
        ['<pad>', '<unk>', '<eos>', 'the', 'cat']
        >>> vocabulary.encode(["the", "cat", "sat"])
        [3, 4, 1]
        >>> vocabulary.decode([3, 4, 1])
        ['the', 'cat', '<unk>']
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = list(tokens)
        if fault := _fault(self.tokens):
            raise OptionError(f"not a vocabulary: {fault}")

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[str, int]], max_size: int = 0, min_count: int = 1) -> Vocabulary:
        """The most frequent words, ties in the order of their first appearance.

        Args:
            counts: words with their counts; special tokens among them are left out.
            max_size: entries of the vocabulary at most, the special tokens counted; 0 keeps all.
            min_count: words that are rarer are left out.

        Raises:
            OptionError: a `max_size` that has no room for the special tokens.
        """
        if max_size != 0 and max_size < len(SPECIALS):
            raise OptionError(f"`max_size` must be 0 (all words) or at least {len(SPECIALS)}, but is {max_size!r}")
        words = [(word, count) for word, count in counts if count >= min_count and word not in SPECIALS]
        words.sort(key=lambda item: -item[1])  # stable: ties stay in order
        if max_size:
            del words[max_size - len(SPECIALS) :]
        return cls([*SPECIALS, *(word for word, _ in words)])

    @classmethod
    def from_text(cls, text: str) -> Vocabulary:
        """The vocabulary out of `to_text`'s form.

        Raises:
            BundleError: a text that `to_text` cannot have made; the message names the line.
        """
        # Not splitlines: tokens may hold U+0085 or U+2028, which are line ends to it.
        *tokens, rest = text.split("\n")
        if rest:
            raise BundleError(f"vocab.txt is cut short: its last line must end with a line end, but is {rest[:40]!r}")
        if fault := _fault(tokens):
            raise BundleError(f"vocab.txt is damaged: {fault}")
        return cls(tokens)

    def to_text(self) -> str:
        """The form of `vocab.txt`: a token a line, the line's number (from 0) its id. Lines end with LF alone."""
        return "".join(f"{token}\n" for token in self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token, special ones included."""
        return {token: id for id, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens; `UNK` for one that is not in the vocabulary, and for `<pad>`, which no text holds."""
        get = self.ids.get
        return [get(token, UNK) or UNK for token in tokens]

    def encode_inputs(self, tokens: Sequence[str], extra: Mapping[str, int]) -> list[int]:
        """The ids as which a model reads tokens: as `encode`, but for those of `extra`, which it reads besides.

        Example:
            >>> Vocabulary(["<pad>", "<unk>", "<eos>", "a"]).encode_inputs(["a", "dark", "knight"], {"knight": 4})
            [3, 1, 4]
        """
        get = self.ids.get
        return [get(token) or extra.get(token, UNK) for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.tokens[id] for id in ids]

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.ids

    def __getitem__(self, id: int) -> str:
        return self.tokens[id]


def _fault(tokens: list[str]) -> str | None:
    """What keeps the tokens from being a vocabulary, in words."""
    if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
        return f"its first tokens must be {' '.join(SPECIALS)}, but are {tokens[: len(SPECIALS)]!r}"
    if len(set(tokens)) != len(tokens):
        seen: dict[str, int] = {}
        for id, token in enumerate(tokens):
            if seen.setdefault(token, id) != id:
                return f"each token must be there once, but {token!r} has the ids {seen[token]} and {id}"
    for id, token in enumerate(tokens):
        if not token or "\n" in token or "\r" in token:
            return f"a token must be one or more characters without a line end, but id {id} is {token!r}"
    return None
