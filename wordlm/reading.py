"""What is read of a text, and by which engine: paragraphs as the model's own were, unknown words by their vectors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wordlm.config import TextConfig
from wordlm.engine import Engine
from wordlm.errors import TextError
from wordlm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel
    from wordlm.passages import Passage
    from wordlm.text import Paragraph, Texts

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Text:
    """One text that is in memory, to be gone through as those of files."""

    text: str
    config: TextConfig
    places: bool

    def __iter__(self) -> Iterator[Paragraph]:
        from wordlm.text import read_paragraphs

        is_empty = True
        for paragraph in read_paragraphs(self.text, self.config, self.places):
            is_empty = is_empty and not paragraph.text
            yield paragraph
        if is_empty:
            raise TextError(f"the text must hold a word, but is {self.text[:40]!r}; give another one")


def config_of(lm: LanguageModel, options: dict[str, Any]) -> TextConfig:
    """How a text is read: as the model's own was, but for some fields of `TextConfig`."""
    return TextConfig.from_dict(lm.tokenizer.config.to_dict() | options)


def texts_at(
    lm: LanguageModel, paths: Paths, options: dict[str, Any], *, places: bool = False, needs_field: bool = True
) -> Texts:
    """The texts at some paths, read as the model's own were, but for some options.

    Args:
        lm: the model.
        paths: a path or several.
        options: fields of `TextConfig` that differ from those of the model's own text.
        places: as in `Texts`.
        needs_field: whether a `field` among the options is to be found there.
    """
    from wordlm.text import Texts  # few texts are generated with it

    found = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    config = config_of(lm, options)
    if config.field and not (needs_field and "field" in options):
        # It is that of other records; these may be no records, and what is typed is none.
        try:
            if "-" not in found:
                return Texts(found, config, places=places)
        except TextError:
            pass
        config = config.replace(field=None)
    return Texts(found, config, places=places)


def passages_of(lm: LanguageModel, texts: Texts | Text, vectors: str | None = None) -> tuple[Any, Iterator[Passage]]:
    """Texts as the model reads them, and the engine that does.

    Args:
        lm: the model.
        texts: they are gone through twice, where `vectors` are given.
        vectors: what unknown words are read by: a file or package; "auto": the packaged ones, where the model learned
            with them; None or "none": they are `<unk>`.
    """
    from wordlm.passages import read_passages

    # Words are looked up in the model's vocabulary, so they are folded as it is.
    tokenizer = Tokenizer(texts.config.replace(lowercase=lm.tokenizer.config.lowercase))
    engine: Any = lm.engine
    extra: dict[str, int] = {}
    if vectors := chosen_vectors(lm, vectors):
        from wordlm.open_vocabulary import open_inputs, unknown_words

        engine, extra = open_inputs(unknown_words(texts, tokenizer, lm.vocabulary), engine, vectors, lm.metadata)
    return engine, read_passages(texts, tokenizer, lm.vocabulary, extra)


def with_words(lm: LanguageModel, words: Iterable[str], vectors: str | None) -> tuple[Engine, dict[str, int]]:
    """The engine that reads some words, and the input ids of those that are unknown and have a vector.

    Args:
        lm: the model.
        words: tokens, known or not.
        vectors: as in `passages_of`.
    """
    unknown = [word for word in dict.fromkeys(words) if word not in lm.vocabulary]
    if unknown and (vectors := chosen_vectors(lm, vectors)):
        from wordlm.open_vocabulary import open_inputs

        return open_inputs(unknown, lm.engine, vectors, lm.metadata)
    return lm.engine, {}


def chosen_vectors(lm: LanguageModel, vectors: str | None) -> str | None:
    """The vectors that are meant: "auto" are the packaged ones, where the model learned with them, and "none" none."""
    if vectors == "auto":
        from wordlm.open_vocabulary import usual_vectors

        return usual_vectors(lm.metadata) if isinstance(lm.engine, Engine) else None
    return None if vectors == "none" else vectors
