"""The likeliest next words after what was written so far: asked once, or again with every key."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from wordlm.completion import Completer
from wordlm.errors import OptionError
from wordlm.prompts import read_prompt
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, UNK, Vocabulary
from wordlm.wordforms import Memo

Find = Callable[[Iterable[str]], tuple[Any, Mapping[str, int]]]

_NO_WORDS: Mapping[str, int] = {}


@dataclass(frozen=True)
class Suggestion:
    """A word that may come next, and its probability under the model.

    The probability is a share of all words, not of those that are shown or that begin with the prefix.
    """

    word: str
    probability: float


def suggest(
    engine: Any,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    context: str = "",
    *,
    k: int = 10,
    prefix: str = "",
    extra: Mapping[str, int] = _NO_WORDS,
) -> list[Suggestion]:
    """The likeliest next words; see `Completer` for which words complete a prefix.

    Args:
        engine: the network, or anything with its methods.
        tokenizer: how its text was split.
        vocabulary: its words.
        context: what was written so far, in whole words; empty at the beginning of a paragraph.
        k: how many words, at most.
        prefix: what is typed of the next word; in any case.
        extra: ids, from the vocabulary's size on, of unknown words that the engine can read all the same.

    Returns:
        The words, likeliest first; fewer than `k` where no more begin with the prefix.

    Raises:
        OptionError: a number of words out of its range; a prefix of more than one word.

    Example:
        >>> [suggestion.word for suggestion in suggest(lm.engine, lm.tokenizer, lm.vocabulary, "I don't", prefix="S")]
        ['see', 'say', 'shout', 'Spain']
    """
    return Suggester(engine, tokenizer, vocabulary, lambda _: (engine, extra)).suggest([context], k=k, prefix=prefix)


class Suggester:
    """Suggestions for a text that grows and shrinks word by word.

    It keeps what the engine has made of the text. A further word costs one step, a further letter none, and after
    an undo the engine goes on from what it knew before.

    Args:
        engine, tokenizer, vocabulary: as in `suggest`.
        find: finds the inputs of unknown words, as `InputWords.find` does; each is asked for once. Left out, they
            are `<unk>`.

    Example:
        >>> suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary)
        >>> suggester.suggest(["I don't"], k=1)[0].word, suggester.suggest(["I don't see"], prefix="t", k=1)[0].word
        ('see', 'the')
    """

    def __init__(self, engine: Any, tokenizer: Tokenizer, vocabulary: Vocabulary, find: Find | None = None) -> None:
        self._engine, self._tokenizer, self._vocabulary, self._find = engine, tokenizer, vocabulary, find
        self._extra, self._asked = _NO_WORDS, set[str]()
        self._completer = Completer(vocabulary)
        # Prompts are read chunk by chunk between spaces: those that were met before need not be read again. Unknown
        # words are still words there.
        self._ids_of = Memo(self._read_chunk)
        self._read: list[int] = []
        # States after so many of these ids. A prediction is as long as the vocabulary, so only the last one is kept.
        self._states: list[tuple[int, Any]] = []
        self._logprobs: np.ndarray | None = None

    def suggest(self, lines: Sequence[str], *, k: int = 10, prefix: str = "") -> list[Suggestion]:
        """As `suggest`, of a text of several paragraphs.

        Args:
            lines: its paragraphs, whose white space parts words; the last one is the context.
            k: how many words, at most.
            prefix: what is typed of the next word.
        """
        if not isinstance(k, int | np.integer) or k < 1:
            raise OptionError(f"`k` must be a whole number, at least 1, but is {k!r}")
        prefix = unicodedata.normalize("NFC", prefix.strip())
        if prefix.split() != [prefix] and prefix:
            raise OptionError(
                f"`prefix` must be the beginning of one word, but is {prefix!r}; words before it belong to the context"
            )
        ids: list[int | str] = [EOS]
        for number, line in enumerate(lines):
            ids += [EOS] if number else []
            ids += chain.from_iterable(map(self._ids_of.__getitem__, line.split(" ")))
        logprobs = self._predict(self._with_inputs(ids))
        best = self._completer.best(logprobs, prefix, k)
        probabilities = np.exp(logprobs[best].astype(np.float64)).tolist()
        return [Suggestion(*pair) for pair in zip(self._vocabulary.decode(best), probabilities, strict=True)]

    def _read_chunk(self, chunk: str) -> list[int | str]:
        prompt = read_prompt(chunk, self._tokenizer, self._vocabulary)
        return [token if id == UNK else id for token, id in zip(prompt.tokens, prompt.ids, strict=True)]

    def _with_inputs(self, ids: list[int | str]) -> list[int]:
        """The ids of unknown words in their places; those that are new are looked up together."""
        new = {word for word in ids if isinstance(word, str)} - self._asked
        if new and self._find:
            self._engine, self._extra = self._find(sorted(new))
            self._asked |= new
        return [self._extra.get(word, UNK) if isinstance(word, str) else word for word in ids]

    def _predict(self, ids: list[int]) -> np.ndarray:
        """The log-probabilities (V,) of the word after the ids."""
        if ids == self._read and self._logprobs is not None:
            return self._logprobs
        common = 0
        for old, new in zip(self._read, ids, strict=False):
            if old != new:
                break
            common += 1
        # The last id is read again even where its state is known: the prediction comes with it.
        while self._states and self._states[-1][0] > min(common, len(ids) - 1):
            self._states.pop()
        self._read, self._logprobs = ids, None
        done, state = self._states[-1] if self._states else (0, None)
        *before, last = ids[done:]
        if before:
            state = self._engine.read(np.array([before]), state)
            self._states.append((len(ids) - 1, state))
        if state is None:
            state = self._engine.initial_state(1)
        logprobs, state = self._engine.step(np.array([last]), state)
        self._states.append((len(ids), state))
        self._logprobs = logprobs[0]
        return self._logprobs
