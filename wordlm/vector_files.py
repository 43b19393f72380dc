"""Files of word vectors: what format one has, and its rows one after the other.

A file is read from front to back in blocks, and a word is compared before its numbers are parsed: reading the rows of
30,000 words out of 400,000 takes the memory of those rows and some megabytes. So a damaged number in a row that nobody
asked for goes unseen; a row of another length never does.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.errors import VectorError

FORMAT_VERSION = 1
MATRIX_FILE, WORDS_FILE, METADATA_FILE = "vectors.npy", "words.txt", "metadata.json"

Rows = Iterator[tuple[int, bytes, np.ndarray]]

_BATCH = 1024
_BLOCK = 1 << 20
_HEAD = 1 << 18  # bytes that tell the format: some 20 rows of 1,000 numbers
_LONGEST_LINE = 1 << 22
_LONGEST_WORD = 1 << 12
_HEADER = re.compile(rb"[ \t]*(\d{1,12})[ \t]+(\d{1,6})[ \t]*\r?\n")
_DECIMAL = re.compile(rb"[-+]?\d*\.\d{3,}(e[-+]?\d+)?", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


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


def read_head(path: Path, name: str) -> bytes:
    """The first bytes of a file, decompressed, without a byte-order mark.

    Raises:
        VectorError: an empty file, or one that cannot be read.
    """
    head = b""
    for block in _blocks(path, name):
        head += block
        if len(head) >= _HEAD:
            break
    head = head[:_HEAD].removeprefix(codecs.BOM_UTF8)
    if not head.strip():
        raise VectorError(f"{name} is empty: give a file of word vectors")
    return head


def open_table(name: str, path: Path | None, words: Callable[[], Iterable[bytes]], matrix: np.ndarray) -> VectorFile:
    """Words that have a row each in a (n, D) matrix, in memory or memory-mapped; `words()` goes through them."""

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


def open_text_or_binary(path: Path, name: str, head: bytes) -> VectorFile:
    """GloVe text, word2vec text or binary, or fastText .vec, compressed or not.

    Args:
        path: the file.
        name: for messages.
        head: what `read_head` gives.

    Raises:
        VectorError: the file holds no word vectors.
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


def open_folder(path: Path, name: str) -> VectorFile:
    """A folder that `write_folder` made, memory-mapped.

    Raises:
        VectorError: not such a folder, or a damaged one.
    """
    if not all((path / file).is_file() for file in (MATRIX_FILE, WORDS_FILE)):
        raise VectorError(
            f"{name} is a folder without {MATRIX_FILE} and {WORDS_FILE}: give a file of word vectors, or a folder that "
            "`wordlm vectors convert` made"
        )
    try:
        matrix = np.load(path / MATRIX_FILE, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise VectorError(f"{path / MATRIX_FILE} is damaged ({error}): make the folder again") from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise VectorError(
            f"{path / MATRIX_FILE} must hold a matrix of floats, but holds {matrix.dtype} of shape {matrix.shape}"
        )

    def words() -> Iterator[bytes]:
        return (line for _, line, _ in _lines(path / WORDS_FILE, name))

    return open_table(name, path / MATRIX_FILE, words, matrix)


def write_folder(out: Path, vectors: VectorFile, metadata: dict[str, Any], overwrite: bool = False) -> None:
    """Writes vectors as a folder that `open_folder` reads; row by row, and whole or not at all.

    Raises:
        VectorError: `out` exists, or cannot be written.
    """
    if out.exists() and not overwrite:
        raise VectorError(f"{out} exists: give another folder, or --overwrite")
    if out.exists() and not (out / MATRIX_FILE).is_file():
        raise VectorError(f"{out} is not a folder of vectors, and is not overwritten: give another folder")
    out = out.resolve()
    new, old = (out.with_name(f".{out.name}.{os.getpid()}.{kind}") for kind in ("new", "old"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        count = _write_rows(new, vectors)
        about = {"format_version": FORMAT_VERSION, "words": count, "dim": vectors.dim} | metadata
        with open(new / METADATA_FILE, "w", encoding="utf-8") as file:
            file.write(json.dumps(about, indent=2, ensure_ascii=False) + "\n")
            _sync(file)
        if out.exists():
            out.rename(old)
        new.rename(out)
    except OSError as error:
        raise VectorError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def show(word: bytes) -> str:
    """A word of a file as messages print it."""
    return repr(word[:60].decode("utf-8", "replace"))


def _write_rows(folder: Path, vectors: VectorFile) -> int:
    count, skipped = 0, 0
    with open(folder / MATRIX_FILE, "wb") as matrix, open(folder / WORDS_FILE, "wb") as words:

        def write_header() -> None:
            # NumPy pads the header so that the first axis can grow: written again at the end, it is as long.
            shape = {"descr": "<f4", "fortran_order": False, "shape": (count, vectors.dim)}
            np.lib.format.write_array_header_1_0(matrix, shape)

        write_header()
        for batch, block in vectors.batches():
            fits = [b"\n" not in word for word in batch]
            matrix.write(block[fits].astype("<f4", copy=False).tobytes())
            words.writelines(word + b"\n" for word, fit in zip(batch, fits, strict=True) if fit)
            count += sum(fits)
            skipped += len(fits) - sum(fits)
        matrix.seek(0)
        write_header()
        _sync(matrix)
        _sync(words)
    if skipped:
        vectors.warnings.append(f"{vectors.name}: {skipped} words that contain a line end were left out")
    return count


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _blocks(path: Path, name: str) -> Iterator[bytes]:
    """The decompressed bytes of a file."""
    try:
        with open(path, "rb") as raw, _decompress(raw, name) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except VectorError:
        raise
    except Exception as error:  # each decompressor has kinds of its own
        raise VectorError(f"{name} cannot be read, or is damaged: {error}") from error


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


def _lines(path: Path, name: str) -> Iterator[tuple[int, bytes, bool]]:
    """Line number from 1, line without its end, whether it had one."""
    number, rest = 0, b""
    for block in _blocks(path, name):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > _LONGEST_LINE:
            raise VectorError(f"{name}, line {number + len(lines) + 1}: a line of more than {_LONGEST_LINE:,} bytes")
        for line in lines:
            number += 1
            yield number, line, True
    if rest:
        yield number + 1, rest, False


def _dimension(head: bytes) -> int:
    """How many numbers most of the first lines end with; 0 where that is fewer than two."""
    lines = head.split(b"\n")[:50]
    if len(head) >= _HEAD and len(lines) > 1:
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
    for number, line, ended in _lines(path, name):
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
    blocks = _blocks(path, name)
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
