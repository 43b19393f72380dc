"""Words that people type, as the model reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wordlm.config import TextConfig
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import Vocabulary


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
    tokens: list[str] = []
    for token in tokenizer.tokenize(_own_marks(text, vocabulary)):
        known = token in vocabulary or tokenizer.config.kind != "pretokenized"
        tokens += [token] if known else _split_further(token, tokenizer.config, vocabulary)
    unknown = [token for token in tokens if token not in vocabulary]
    return Prompt(text.rstrip(), tokens, vocabulary.encode(tokens), list(dict.fromkeys(unknown)))


def _own_marks(text: str, vocabulary: Vocabulary) -> str:
    """The text with the quotation marks and apostrophes that the model knows."""
    has = vocabulary.__contains__
    if has("’s") or has("”"):
        if not has('"'):
            text = re.sub(r'"(?=\w)', "“", text).replace('"', "”")
        if not has("'s"):
            text = text.replace("'", "’")
    else:
        text = text.translate(str.maketrans("“”‘’", "\"\"''"))
    return text


def _split_further(token: str, config: TextConfig, vocabulary: Vocabulary) -> list[str]:
    """A token that a model of pretokenized text does not know, as words and marks, if it knows any of these."""
    if "@-@" in vocabulary:
        # WikiText: ill @-@ fated, 10 @,@ 000, didn 't
        token = re.sub(r"(?<=\w)-(?=\w)|(?<=\d)[.,](?=\d)", r" @\g<0>@ ", token)
        token = re.sub(r"(?<=\w)'(?=\w)", " '", token)
    pieces = [
        piece
        for part in token.split()
        for piece in (
            [part] if part in vocabulary else Tokenizer(TextConfig(lowercase=config.lowercase)).tokenize(part)
        )
    ]
    return pieces if any(piece in vocabulary for piece in pieces) else [token]
