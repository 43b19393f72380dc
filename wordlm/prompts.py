"""Words that people type, as the model reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wordlm.config import TextConfig
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary

_PAIRS = ("“”", "„“", "«»", "»«")  # of quotation marks, the most common ones first


@dataclass(frozen=True)
class Prompt:
    """What a text goes on from: as typed, its tokens, their ids, and the words that the model does not know."""

    text: str
    tokens: list[str]
    ids: list[int]
    unknown: list[str]


def read_prompt(text: str, tokenizer: Tokenizer, vocabulary: Vocabulary) -> Prompt:
    """The prompt as the model reads it; words that it does not know become `<unk>`.

    Straight and typographic quotation marks stand for each other where the model knows only one kind. A model of
    pretokenized text reads white-space tokens; what it does not know that way, `dark,` or `ill-fated` say, is split
    as its text was.

    Args:
        text: any text; its white space parts words, and no paragraph ends in it.
        tokenizer: how the model's text was split.
        vocabulary: the model's words.

    Example:
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "a", "dark"])
        >>> prompt = read_prompt("a dark knight", Tokenizer(), vocabulary)
        >>> prompt.ids, prompt.unknown
        ([3, 4, 1], ['knight'])
    """
    is_split = tokenizer.config.kind == "pretokenized"
    tokens: list[str] = []
    for chunk in tokenizer.tokenize(text) if is_split else text.split():
        found = tokenizer.tokenize(chunk)
        if not all(token in vocabulary for token in found):
            found = [_own_apostrophe(token, vocabulary) for token in tokenizer.tokenize(_own_quotes(chunk, vocabulary))]
        if is_split and found[0] not in vocabulary:
            found = _split_further(found[0], tokenizer.config, vocabulary)
        tokens += found
    unknown = [token for token in tokens if token not in vocabulary]
    return Prompt(text.rstrip(), tokens, vocabulary.encode(tokens), list(dict.fromkeys(unknown)))


def _own_quotes(text: str, vocabulary: Vocabulary) -> str:
    """The text with the quotation marks that the model knows."""
    pairs = [pair for pair in _PAIRS if all(mark in vocabulary for mark in pair)]
    if pairs and '"' not in vocabulary:
        opening, closing = pairs[0]
        return re.sub(r'"(?=\w)', opening, text).replace('"', closing)
    for mark, straight in {"“": '"', "”": '"', "‘": "'"}.items():
        if mark not in vocabulary:
            text = text.replace(mark, straight)
    return text


def _own_apostrophe(token: str, vocabulary: Vocabulary) -> str:
    """The token, or if the model knows it only with the other kind of apostrophe, as it knows it."""
    forms = (token, token.replace("’", "'"), token.replace("'", "’"))
    return next((form for form in forms if form in vocabulary), token)


def _split_further(token: str, config: TextConfig, vocabulary: Vocabulary) -> list[str]:
    """A token that a model of pretokenized text does not know, as words and marks, if it knows any of these."""
    if "@-@" in vocabulary:
        # WikiText: ill @-@ fated, 10 @,@ 000, didn 't
        token = re.sub(r"(?<=\w)-(?=\w)|(?<=\d)[.,](?=\d)", r" @\g<0>@ ", token)
        token = re.sub(r"(?<=\w)['’](?=\w)", r" \g<0>", token)
    finer = Tokenizer(TextConfig(lowercase=config.lowercase))
    pieces = []
    for part in token.split():
        part = _own_apostrophe(part, vocabulary)
        pieces += [part] if part in vocabulary else finer.tokenize(part)
    pieces = [_own_apostrophe(piece, vocabulary) for piece in pieces]
    return pieces if any(piece in vocabulary for piece in pieces) else [token]
