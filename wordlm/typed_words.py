"""Measures as rows: one for each token, or one for each word as it was typed, with its place in the text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import TYPE_CHECKING

import numpy as np

from wordlm.measures import Measures
from wordlm.passages import Passage
from wordlm.prose import find_words
from wordlm.vocab import EOS, SPECIALS, UNK

if TYPE_CHECKING:
    from wordlm.ngram import KneserNey

    # A passage, the measures of its targets, and by how much each one reduced the entropy, if that was asked.
    Scored = tuple[Passage, Measures, np.ndarray | None]


@dataclass(frozen=True, slots=True)
class WordScore:
    """What a model says of one token. `<eos>`, the end of a paragraph or line, is a token, too.

    Attributes:
        sentence_id: number of its paragraph or line in the text, from 1.
        token_id: its number in there, from 1.
        token: it, as typed; in lower case where the model knows only that.
        surprisal: -log2 of its probability, in bits.
        entropy: of the prediction that it met, in bits: the surprisal that was to be expected.
        rank: 1 for the likeliest word, else 1 + the number of words that were likelier.
        oov: whether the model does not know it; its surprisal is that of any unknown word, `<unk>`.
        entropy_reduction: how much surer of the rest it made the model, in bits; None if not asked for.
        ngram_surprisal: its surprisal under the Kneser-Ney model, in bits; None if not asked for.
    """

    sentence_id: int
    token_id: int
    token: str
    surprisal: float
    entropy: float
    rank: int
    oov: bool
    entropy_reduction: float | None = None
    ngram_surprisal: float | None = None


@dataclass(frozen=True, slots=True)
class TypedWord:
    """What a model says of one word as typed, a stretch without white space: the sums over its tokens.

    `<eos>` is a word of its own, without length, so that the surprisals of a text have the same sum as its tokens'.

    Attributes:
        sentence_id: number of its paragraph or line in the text, from 1.
        word_id: its number in there, from 1.
        word: it, as typed: `don't`, `Portugal,`.
        start: characters before it in its document, a file or a record's field; None where that was not kept.
        end: characters up to its end there. A word that was broken at a line end has the line end in its place.
        surprisal: of all its tokens together, in bits.
        oov: whether the model does not know one of its tokens.
        tokens: how many it has.
        document_id: number of its document, from 1.
        entropy_reduction: of all its tokens together, in bits; None if not asked for.
        ngram_surprisal: as surprisal, under the Kneser-Ney model; None if not asked for.
    """

    sentence_id: int
    word_id: int
    word: str
    start: int | None
    end: int | None
    surprisal: float
    oov: bool
    tokens: int
    document_id: int
    entropy_reduction: float | None = None
    ngram_surprisal: float | None = None


def word_scores(scored: Iterable[Scored], ngram: KneserNey | None = None) -> Iterator[WordScore]:
    """A row for each token, in order, as the passages come.

    Args:
        scored: what `score_passages` says of each passage.
        ngram: adds the surprisal under it.

    Example:
        >>> passage = Passage(0, "So it is.", ["So", "it", "is", "."], *2 * [np.array([3, 4, 1, 5, 2])])
        >>> measures = Measures(np.array([3.0, 1.5, 6.0, 0.5, 0.0]), np.ones(5), np.arange(1, 6), np.ones(5))
        >>> for row in word_scores([(passage, measures, None)]):
        ...     print(row.sentence_id, row.token_id, row.token, row.surprisal, row.oov)
        1 1 So 3.0 False
        1 2 it 1.5 False
        1 3 is 6.0 True
        1 4 . 0.5 False
        1 5 <eos> 0.0 False
    """
    for sentence_id, (passage, measures, reductions) in enumerate(scored, 1):
        yield from map(
            WordScore,
            repeat(sentence_id),
            count(1),
            [*passage.tokens, SPECIALS[EOS]],
            measures.surprisal.tolist(),
            measures.entropy.tolist(),
            measures.rank.tolist(),
            (passage.targets == UNK).tolist(),
            repeat(None) if reductions is None else reductions.tolist(),
            repeat(None) if ngram is None else _ngram_surprisal(ngram, passage).tolist(),
        )


def typed_words(scored: Iterable[Scored], ngram: KneserNey | None = None) -> Iterator[TypedWord]:
    """A row for each word as typed, in order, as the passages come; in pretokenized texts a word is a token.

    Args:
        scored: what `score_passages` says of each passage.
        ngram: adds the surprisal under it.

    Example:
        >>> passage = Passage(0, "So it is.", ["So", "it", "is", "."], *2 * [np.array([3, 4, 1, 5, 2])])
        >>> measures = Measures(np.array([3.0, 1.5, 6.0, 0.5, 0.0]), np.ones(5), np.arange(1, 6), np.ones(5))
        >>> for row in typed_words([(passage, measures, None)]):
        ...     print(row.word_id, row.word, row.surprisal, row.oov, row.tokens)
        1 So 3.0 False 1
        2 it 1.5 False 1
        3 is. 6.5 True 2
        4 <eos> 0.0 False 1
    """
    for sentence_id, (passage, measures, reductions) in enumerate(scored, 1):
        words = [word for word in passage.text.split(" ") if word]
        tokens = [*_count_tokens(words, passage.tokens), 1]
        starts = np.cumsum([0, *tokens[:-1]])
        places = _places(passage, words)
        yield from map(
            TypedWord,
            repeat(sentence_id),
            count(1),
            [*words, SPECIALS[EOS]],
            [start for start, _ in places],
            [end for _, end in places],
            np.add.reduceat(measures.surprisal, starts).tolist(),
            np.logical_or.reduceat(passage.targets == UNK, starts).tolist(),
            tokens,
            repeat(passage.document + 1),
            repeat(None) if reductions is None else np.add.reduceat(reductions, starts).tolist(),
            repeat(None) if ngram is None else np.add.reduceat(_ngram_surprisal(ngram, passage), starts).tolist(),
        )


def _ngram_surprisal(ngram: KneserNey, passage: Passage) -> np.ndarray:
    """(n + 1,) bits."""
    return ngram.target_logprobs(passage.targets) / -math.log(2) + 0.0  # zero without a sign


def _count_tokens(words: Sequence[str], tokens: Sequence[str]) -> Iterator[int]:
    """How many of the tokens each word has. Tokens lose nothing but the white space between words."""
    sizes = list(map(len, words))
    if sum(sizes) < sum(map(len, tokens)):
        # Only folding makes a text longer: İ has two characters in lower case.
        sizes = [len(word.lower()) for word in words]
    rest = map(len, tokens)
    for size in sizes:
        number = 0
        while size > 0:
            size -= next(rest)
            number += 1
        yield number


def _places(passage: Passage, words: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Start and end of each word and of `<eos>`, which has no length and stands at the end of the paragraph."""
    if passage.pieces is None:
        return [(None, None)] * (len(words) + 1)
    places: list[tuple[int | None, int | None]] = list(find_words(words, passage.pieces))
    end = places[-1][1] if places else passage.pieces[0].offset
    return [*places, (end, end)]
