"""Eight words with their vectors, in the formats that several test files read."""

import numpy as np

from wordlm.vectors import load_vectors
from wordlm.vocab import SPECIALS, Vocabulary

WORDS = ["the", ".", "new york", "naïve", "'s", "whale", "--", "nan"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
LINES = [f"{word} {' '.join(map(repr, row.tolist()))}" for word, row in zip(WORDS, MATRIX, strict=True)]
GLOVE = "\n".join(LINES) + "\n"
WORD2VEC = f"{len(WORDS)} 5\n{GLOVE}"
BINARY = f"{len(WORDS)} 5\n".encode() + b"".join(
    word.replace(" ", "_").encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, MATRIX, strict=True)
)


def vocabulary(*words):
    return Vocabulary([*SPECIALS, *words])


def load_content(folder, content, *words, name="vectors.txt", counts=None, **options):
    """Writes content to a file and loads the vectors of some words from it."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_vectors(path, vocabulary(*words), counts, **options)
