"""Word errors: how far hypotheses are from the reference, which is what a recognizer is judged by."""

from __future__ import annotations

import os
from collections.abc import Iterable

from wordlm.config import TextConfig
from wordlm.errors import TextError
from wordlm.files import find_files, read_text


def word_errors(reference: str, hypothesis: str) -> int:
    """Words that must be replaced, added or left out to make the reference of the hypothesis (Levenshtein 1966).

    Args:
        reference: what was said; its words are apart by white space, and compared as they are written.
        hypothesis: what was recognized.

    Example:
        >>> word_errors("the cat sat", "a cat sat down")
        2
    """
    return count_errors(reference, [hypothesis])[0]


def count_errors(reference: str, hypotheses: Iterable[str]) -> list[int]:
    """The `word_errors` of each hypothesis, in less time than by as many calls.

    A column of the table of distances is two whole numbers, whose bits say where it rises and where it falls from one
    word of the reference to the next (Myers 1999, in the form of Hyyrö 2003): a word of a hypothesis is a dozen
    operations, however long the reference is.

    Example:
        >>> count_errors("the cat sat", ["the cat sat", "the mat", ""])
        [0, 2, 3]
    """
    words = reference.split()
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    return [_distance(places, len(words), hypothesis.split()) for hypothesis in hypotheses]


def _distance(places: dict[str, int], length: int, words: list[str]) -> int:
    """`places` has, for each word of the reference, the bits of the places where it stands."""
    if not length:
        return len(words)
    errors, last, everywhere = length, 1 << (length - 1), (1 << length) - 1
    rises, falls = everywhere, 0
    for word in words:
        same = places.get(word, 0)
        diagonal = (((same & rises) + rises) ^ rises) | same
        up = falls | ~(diagonal | rises) & everywhere
        down = rises & diagonal
        if up & last:
            errors += 1
        elif down & last:
            errors -= 1
        same |= falls
        up = up << 1 | 1  # the first row rises by one with each word
        rises = (down << 1 | ~(same | up)) & everywhere
        falls = up & same & everywhere
    return errors


def read_references(path: str | os.PathLike[str], encoding: str | None = None) -> list[str] | dict[str, str]:
    """What was said, out of a file.

    Args:
        path: a reference a line, in the order of the lists of hypotheses; or, if the first line has a `|||`, lines of
            `id ||| reference` in any order. It may be compressed; `-` is stdin.
        encoding: of the file; None is UTF-8.

    Returns:
        The references in their order, or by their ids.

    Raises:
        TextError: a file that cannot be read, a line without an id among lines that have one, an id twice.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("u1 ||| the cat sat\\nu2 ||| yes\\n")
        ...     file.flush()
        ...     read_references(file.name)
        {'u1': 'the cat sat', 'u2': 'yes'}
    """
    config = TextConfig(encoding=encoding)
    file, *others = find_files([path], config)
    if others or os.path.isdir(path):
        raise TextError(f"{os.fspath(path)}: a folder, or several files; give one file of references")
    lines = "".join(read_text(file, config)).removesuffix("\n").split("\n")
    if "|||" not in lines[0]:
        return [line.strip() for line in lines]
    references: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        id, mark, reference = line.partition("|||")
        id = id.strip()
        if not mark or not id:
            raise TextError(
                f"{file.label}, line {number}: a line must be `id ||| reference`, as the first one is, but is "
                f"{line[:40]!r}; mend it"
            )
        if id in references:
            raise TextError(f"{file.label}, line {number}: {id!r} has a reference already; leave one of them out")
        references[id] = reference.strip()
    return references
