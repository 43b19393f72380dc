"""Files of word vectors: opened, decompressed, and read one row after the other.

A file is read from front to back in blocks, and a word is compared before its numbers are parsed: reading the rows of
30,000 words out of 400,000 takes the memory of those rows and some megabytes. So a damaged number in a row that nobody
asked for goes unseen; a row of another length never does.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.errors import VectorError

HEAD = 1 << 18  # bytes that tell the format: some 20 rows of 1,000 numbers

Rows = Iterator[tuple[int, bytes, np.ndarray]]

_BATCH = 1024
_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 22


@dataclass
class VectorFile:
    """Word vectors that were opened.

    Attributes:
        name: what they were asked for by; error messages begin with it.
        path: the file that holds the numbers; None where the vectors are in memory.
        dim: D, numbers in a vector.
        read: goes through the vectors once, and gives (place, word in UTF-8, (D,) vector) for the words that are in
            its argument, or for all of them (None).
        unit: what a place counts, from 1: lines or rows.
        warnings: what reading brought to light, one line each.
        subword: makes the vector of a word that is not in the file; None where the file cannot.
    """

    name: str
    path: Path | None
    dim: int
    read: Callable[[Collection[bytes] | None], Rows]
    unit: str = "row"
    warnings: list[str] = field(default_factory=list)
    subword: Callable[[str], np.ndarray | None] | None = None

    def batches(self, wanted: Collection[bytes] | None = None) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """What `read` gives, some thousand at a time: n words and their (n, D) float32 block, all numbers finite.

        Raises:
            VectorError: the file is damaged.
        """
        rows = self.read(wanted)
        while batch := list(itertools.islice(rows, _BATCH)):
            places, words, vectors = zip(*batch, strict=True)
            block = np.stack(vectors).astype(np.float32, copy=False)  # (n, D)
            finite = np.isfinite(block).all(axis=1)
            if not finite.all():
                bad = int(np.argmin(finite))
                raise VectorError(
                    f"{self.name}, {self.unit} {places[bad]}: {show(words[bad])} has a number that is not "
                    "finite; get the file again"
                )
            yield list(words), block

    def sha256(self) -> str | None:
        """Of the file's bytes as they lie on disk."""
        if self.path is None:
            return None
        with open(self.path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def open_table(name: str, path: Path | None, words: Callable[[], Iterable[bytes]], matrix: np.ndarray) -> VectorFile:
    """Words that have a row each in a (n, D) matrix, in memory or memory-mapped.

    Args:
        name: for messages.
        path: the file of the matrix; None where there is none.
        words: goes through the n words, in UTF-8.
        matrix: (n, D).

    Example:
        >>> table = open_table("mine", None, lambda: [b"the", b"."], np.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> [(words, block.tolist()) for words, block in table.batches({b"."})]
        [([b'.'], [[3.0, 4.0]])]
    """

    def read(wanted: Collection[bytes] | None) -> Rows:
        row = -1
        for row, word in enumerate(words()):
            if row >= len(rows):
                break
            if wanted is None or word in wanted:
                yield row + 1, word, rows[row]
        if row != len(rows) - 1:
            raise VectorError(f"{name} has {len(rows)} vectors, but not as many words: make the folder again")

    rows = np.asarray(matrix)  # a plain view: indexing a np.memmap is slow
    return VectorFile(name, path, rows.shape[1], read)


def read_head(path: Path, name: str) -> bytes:
    """The first bytes of a file, decompressed, without a byte-order mark.

    Raises:
        VectorError: an empty file, or one that cannot be read.
    """
    head = b""
    for block in read_blocks(path, name):
        head += block
        if len(head) >= HEAD:
            break
    head = head[:HEAD].removeprefix(codecs.BOM_UTF8)
    if not head.strip():
        raise VectorError(f"{name} is empty: give a file of word vectors")
    return head


def read_blocks(path: Path, name: str) -> Iterator[bytes]:
    """The decompressed bytes of a file.

    Raises:
        VectorError: a file that cannot be read, or an archive of several files.
    """
    try:
        with open(path, "rb") as raw, _decompress(raw, name) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except VectorError:
        raise
    except Exception as error:  # each decompressor has kinds of its own
        raise VectorError(f"{name} cannot be read, or is damaged: {error}") from error


def read_lines(path: Path, name: str) -> Iterator[tuple[int, bytes, bool]]:
    """The decompressed lines of a file: number from 1, line without its end, whether it had one."""
    number, rest = 0, b""
    for block in read_blocks(path, name):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            raise VectorError(f"{name}, line {number + len(lines) + 1}: a line of more than {_LONGEST_LINE:,} bytes")
        for line in lines:
            number += 1
            yield number, line, True
    if rest:
        yield number + 1, rest, False


def show(word: bytes) -> str:
    """A word of a file as messages print it.

    Example:
        >>> show(b"na\\xc3\\xafve\\xff")
        "'naïve�'"
    """
    return repr(word[:60].decode("utf-8", "replace"))


def _decompress(raw: Any, name: str) -> Any:
    """The stream behind a compressed one; the first bytes tell how, whatever the file's name."""
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.GzipFile(fileobj=raw)
    if magic.startswith(b"BZh"):
        import bz2

        return bz2.BZ2File(raw)
    if magic.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return lzma.LZMAFile(raw)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    if magic.startswith(b"PK\x03\x04"):
        import zipfile

        archive = zipfile.ZipFile(raw)
        members = [member.filename for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise VectorError(
                f"{name} holds {len(members)} files ({', '.join(members)}): unzip it, and give one of them"
            )
        return archive.open(members[0])
    return raw
