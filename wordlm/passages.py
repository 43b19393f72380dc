"""Paragraphs as a model reads them: tokens as typed, ids to read and ids to predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from wordlm.prose import Line
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, UNK, Vocabulary

_NO_WORDS: Mapping[str, int] = {}


@dataclass(frozen=True, eq=False)
class Passage:
    """One paragraph (prose) or line (lines, pretokenized), as a model reads it.

    Attributes:
        document: number of its document, from 0.
        text: the paragraph as it was read.
        tokens: its n tokens as typed, without `<eos>`.
        inputs: (n + 1,) ids that the model reads, `<eos>` last.
        targets: (n + 1,) ids that it is to predict. They differ from `inputs` only where a word outside the
            vocabulary has a vector: its input has an id of its own, from the vocabulary's size on, its target is
            `<unk>`.
        pieces: the lines that the paragraph was made of, with their places; None if they were not asked for.
    """

    document: int
    text: str
    tokens: list[str]
    inputs: np.ndarray
    targets: np.ndarray
    pieces: tuple[Line, ...] | None = None


def read_passages(
    paragraphs: Iterable[Paragraph],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    extra: Mapping[str, int] = _NO_WORDS,
) -> Iterator[Passage]:
    """The passages of some paragraphs, one by one.

    Words are taken as they stand: a curly quotation mark that the model has not seen is `<unk>`, as in training.

    Args:
        paragraphs: such as `Texts`; a blank line of a pretokenized text becomes a passage of `<eos>` alone.
        tokenizer: how the model's text was split.
        vocabulary: the model's words.
        extra: ids, from the vocabulary's size on, of words outside it that the model can read all the same.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "a", "dark"])
        >>> paragraphs = [Paragraph(0, "a dark knight")]
        >>> passage = next(read_passages(paragraphs, Tokenizer(), vocabulary, {"knight": 5}))
        >>> passage.tokens, passage.inputs.tolist(), passage.targets.tolist()
        (['a', 'dark', 'knight'], [3, 4, 5, 2], [3, 4, 1, 2])
    """
    for document, text, pieces in paragraphs:
        tokens = tokenizer.tokenize(text)
        ids = [*vocabulary.encode(tokens), EOS]
        targets = inputs = np.array(ids, np.int64)
        if extra and UNK in ids:
            inputs = np.array([*vocabulary.encode_inputs(tokens, extra), EOS], np.int64)
        yield Passage(document, text, tokens, inputs, targets, pieces)
