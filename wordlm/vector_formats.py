"""The formats of word vectors that are rows: GloVe and word2vec text, fastText's .vec, word2vec binary."""

from __future__ import annotations

import codecs
import itertools
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from wordlm.errors import VectorError
from wordlm.vector_files import HEAD, Rows, VectorFile, read_blocks, read_lines

_LONGEST_WORD = 1 << 12
_HEADER = re.compile(rb"[ \t]*(\d{1,12})[ \t]+(\d{1,6})[ \t]*\r?\n")
_DECIMAL = re.compile(rb"[-+]?\d*\.\d{3,}(e[-+]?\d+)?", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def open_text_or_binary(path: Path, name: str, head: bytes) -> VectorFile:
    """GloVe text, word2vec text or binary, or fastText .vec, compressed or not.

    Args:
        path: the file.
        name: for messages.
        head: what `read_head` gives.

    Returns:
        The opened file; its numbers have not been read yet.

    Raises:
        VectorError: the file holds no word vectors.

    Example:
        >>> open_text_or_binary(Path("glove.txt"), "glove.txt", head=b"the 0.25 0.5 1\\nof 1 2 3\\n").dim
        3
    """
    warnings: list[str] = []
    header = _HEADER.match(head)
    if header:
        count, dim, first = int(header[1]), int(header[2]), head[header.end() :]
        if dim and _is_binary(first, dim):
            read = lambda wanted: _read_binary(path, name, count, dim, warnings, wanted)  # noqa: E731
            return VectorFile(name, path, dim, read, "row", warnings)
    else:
        count, dim = None, _dimension(head)
    if not dim or _CONTROL.search(head):
        raise VectorError(
            f"{name} is not a file of word vectors: wordlm reads GloVe text, word2vec text or binary, and fastText "
            ".vec or .bin"
        )
    read = lambda wanted: _read_text(path, name, count, dim, warnings, wanted)  # noqa: E731
    return VectorFile(name, path, dim, read, "line", warnings)


def _dimension(head: bytes) -> int:
    """How many numbers most of the first lines end with; 0 where that is fewer than two."""
    lines = head.split(b"\n")[:50]
    if len(head) >= HEAD and len(lines) > 1:
        lines.pop()  # cut by us
    ends: Counter[int] = Counter()
    for line in lines:
        fields = line.rstrip(b" \r").split(b" ")[1:]
        if fields:
            ends[sum(1 for _ in itertools.takewhile(_is_number, reversed(fields)))] += 1
    dim = ends.most_common(1)[0][0] if ends else 0
    return dim if dim >= 2 else 0


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_binary(first: bytes, dim: int) -> bool:
    """Whether what follows a word2vec header is binary: no row of text, and bytes that no text has."""
    fields = first.split(b"\n", 1)[0].rstrip(b" \r").rsplit(b" ", dim)[1:]
    if len(fields) == dim and all(map(_is_number, fields)):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return True
    return _CONTROL.search(first) is not None


def _read_text(
    path: Path, name: str, count: int | None, dim: int, warnings: list[str], wanted: Collection[bytes] | None
) -> Rows:
    """Rows of text; `count` is what a header promises, None without one."""
    rows, number, ended = 0, 0, True
    for number, line, ended in read_lines(path, name):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
            if count is not None:
                continue
        if line.endswith((b" ", b"\r")):
            line = line.rstrip(b" \r")
        if not line:
            continue
        spaces = line.count(b" ")
        if spaces == dim:
            word = line[: line.find(b" ")]
        elif spaces > dim:
            word = line.rsplit(b" ", dim)[0]  # the word has spaces of its own, or the row a number too many
            if _DECIMAL.fullmatch(word.rpartition(b" ")[2]):
                raise VectorError(f"{name}, line {number}: the row has more than {dim} numbers; get the file again")
        else:
            where = "" if ended else "the file is cut short, "
            raise VectorError(
                f"{name}, line {number}: {where}the row has {spaces} numbers, but must have {dim}; get the file again"
            )
        rows += 1
        if wanted is None or word in wanted:
            try:
                vector = np.array(list(map(float, line[len(word) + 1 :].split(b" "))))
            except ValueError as error:
                raise VectorError(f"{name}, line {number}: {error}; get the file again") from error
            with np.errstate(over="ignore"):
                yield number, word, vector.astype(np.float32)
    if count is not None and rows < count:
        raise VectorError(
            f"{name} is cut short: its header promises {count} rows, but it has {rows}; get the file again"
        )
    if count is not None and rows > count:
        warnings.append(f"{name} has {rows} rows, {rows - count} more than its header says")
    if not ended:
        warnings.append(
            f"{name}, line {number}: the last line has no end; if the file was cut there, so was its last number"
        )


def _read_binary(
    path: Path, name: str, count: int, dim: int, warnings: list[str], wanted: Collection[bytes] | None
) -> Rows:
    """Rows of word2vec binary: word, space, D float32 numbers, and perhaps a line end."""
    size = 4 * dim
    blocks = read_blocks(path, name)
    buffer = next(blocks)
    start = _HEADER.match(buffer).end()  # type: ignore[union-attr]
    for row in range(1, count + 1):
        while (space := buffer.find(b" ", start)) < 0 or len(buffer) < space + 1 + size:
            block = next(blocks, b"")
            if space < 0 and len(buffer) - start > _LONGEST_WORD:
                break
            if not block:
                raise VectorError(
                    f"{name} is cut short: its header promises {count} rows, but it ends in row {row}; "
                    "get the file again"
                )
            buffer, start = buffer[start:] + block, 0
        word = buffer[start:space].lstrip(b"\n")
        if space < 0 or len(word) > _LONGEST_WORD or min(word, default=32) < 32:
            raise VectorError(f"{name}, row {row}: this is not a word; the file is damaged, get it again")
        if wanted is None or word in wanted:
            yield row, word, np.frombuffer(buffer, "<f4", dim, space + 1)
        start = space + 1 + size
    if buffer[start:].strip() or next(blocks, b"").strip():
        warnings.append(f"{name} goes on after the {count} rows of its header; what follows was not read")
