"""Paths to characters: files, folders, globs, stdin; compressed or not; any encoding; streamed and restartable."""

from __future__ import annotations

import codecs
import contextlib
import glob
import importlib
import io
import os
import re
import stat
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from wordlm.charset import likely_encodings
from wordlm.config import TextConfig
from wordlm.errors import TextError

_CHUNK = 1 << 18  # bytes read at a time
_TEXT_SUFFIXES = {"", ".txt", ".text", ".md", ".markdown", ".rst", ".asc", ".raw", ".tok", ".tokens"}
_RECORD_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma", b"\x28\xb5\x2f\xfd": "zstandard"}
_MARKS = {  # UTF-32's mark begins with UTF-16's, and so comes first
    codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be", codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip
_FORMATS = {b"%PDF": "PDF", b"PK\x03\x04": "zip, .docx, .odt or .epub", b"{\\rtf": "RTF", b"\xd0\xcf\x11\xe0": ".doc"}
_CONTROL = re.compile(r"[\0-\x08\x0e-\x19\x1c-\x1f\x7f]")  # escapes and the end-of-file mark of old are found in texts


@dataclass(frozen=True)
class File:
    """A file that was found and looked at: it is not empty, and not binary.

    Attributes:
        name: as it was given, or found in a folder; `-` for stdin.
        path: what to open; stdin and pipes lie in a temporary file.
        size: bytes on disk.
        records: jsonl, csv or tsv for a file of records, else ''.
    """

    name: str
    path: str
    size: int
    records: str = ""
    spool: IO[bytes] | None = field(default=None, repr=False, compare=False)  # goes when the File does

    @property
    def label(self) -> str:
        """The name for messages."""
        return "stdin" if self.name == "-" else self.name


def find_files(paths: Iterable[str | os.PathLike[str]], config: TextConfig) -> list[File]:
    """The files that the paths stand for, in order, none twice.

    Args:
        paths: files, folders (searched for text files; hidden, empty and binary ones are passed over), glob patterns,
            `-` for stdin.
        config: its encoding is for the look into each file; with a field, .jsonl and .csv files of a folder are taken.

    Returns:
        At least one file.

    Raises:
        TextError: a path that is missing, a file that is empty or binary, a folder without text, an unknown encoding.

    Example:
        >>> path = os.path.join(tempfile.mkdtemp(), "book.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("The end.")
        >>> [file.size for file in find_files([path], TextConfig())]
        [8]
    """
    try:
        "".encode(config.encoding or "utf-8")  # refuses the codecs that are no encodings of text
        codecs.getincrementaldecoder(config.encoding or "utf-8")
    except LookupError:
        raise TextError(
            f"`encoding` must be one that Python knows, but is {config.encoding!r}: give utf-8 or cp1252, for example"
        ) from None
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    found: dict[str, File] = {}
    for path in given:
        for file in _find(os.fspath(path), config):
            found.setdefault(os.path.realpath(file.path), file)
    if not found:
        raise TextError("no text was given: name a file, a folder, a pattern in quotes, or - for stdin")
    return list(found.values())


def read_bytes(file: File, advance: Callable[[int], None] = lambda read: None, unpack: bool = True) -> Iterator[bytes]:
    """The bytes of a file in chunks, unpacked by what they are, whatever the file's name says.

    Args:
        file: one of `find_files`.
        advance: is told, before each chunk, how many bytes have been read from the disk.
        unpack: False gives the bytes as they lie on the disk.

    Raises:
        TextError: a file that cannot be read, or is damaged.
    """
    with contextlib.ExitStack() as stack:
        with _reading(file.label):
            raw = stack.enter_context(open(file.path, "rb"))
            head = raw.peek(8)
            packed = next((name for magic, name in _PACKED.items() if unpack and head.startswith(magic)), None)
            read: Callable[[int], bytes] = raw.read
            if packed == "zstandard":
                frames = _zstd_frames(raw)
                read = lambda size: next(frames, b"")  # noqa: E731
            elif packed:  # gzip, bz2 and lzma have the same `open`
                read = stack.enter_context(importlib.import_module(packed).open(raw)).read
        while True:
            with _reading(file.label):
                chunk = read(_CHUNK)
            advance(raw.tell())
            if not chunk:
                return
            yield chunk


def read_text(file: File, config: TextConfig, advance: Callable[[int], None] = lambda read: None) -> Iterator[str]:
    """The characters of a file in chunks: every line end is a line feed, a byte-order mark is left out.

    Args:
        file: one of `find_files`.
        config: its encoding is that of a file without a byte-order mark; None is UTF-8.
        advance: is told, before each chunk, how many bytes have been read from the disk.

    Raises:
        TextError: a file that cannot be read, is damaged, or has bytes that do not decode.

    Example:
        >>> path = os.path.join(tempfile.mkdtemp(), "book.txt")
        >>> with open(path, "wb") as file:
        ...     _ = file.write("\\ufeffThe\\r\\nend.".encode("utf-16-le"))
        >>> "".join(read_text(find_files([path], TextConfig())[0], TextConfig()))
        'The\\nend.'
    """
    chunks = read_bytes(file, advance)
    chunk = next(chunks, b"")
    mark, encoding = _encoding(chunk, config)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    offset, line = mark, 1
    chunk = chunk[mark:]
    while True:
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, "ignore")
            line += good.replace("\r\n", "\n").replace("\r", "\n").count("\n")
            # The decoder may have kept the first bytes of a character from the chunk before.
            offset += len(chunk) - len(error.object) + error.start
            says = ", as its byte-order mark says" if mark else ", as `--encoding` says" if config.encoding else ""
            raise TextError(
                f"{file.label}, line {line}, byte offset {offset}: 0x{error.object[error.start]:02x} does not decode "
                f"as {encoding.upper()}{says}; {_advice(error.object[max(0, error.start - 4096) :], encoding)}"
            ) from None
        if text:
            yield text
        if not chunk:
            return
        line += text.count("\n")
        offset += len(chunk)
        chunk = next(chunks, b"")


def _find(path: str, config: TextConfig) -> list[File]:
    """The files that one given path stands for."""
    if path == "-":
        if sys.stdin is None:
            raise TextError("stdin: it is closed; give a file, or text there")
        return [_spool("-", sys.stdin.buffer, config)]
    path = os.path.expanduser(path)
    with _reading(path):
        if os.path.isdir(path):
            return _search(path, config)
        if os.path.exists(path):
            info = os.stat(path)
            if stat.S_ISREG(info.st_mode):
                return [_checked(File(path, path, info.st_size, _RECORD_SUFFIXES.get(_suffix(path), "")), config)]
            with open(path, "rb") as pipe:  # such as <(command)
                return [_spool(path, pipe, config)]
    matches = sorted(glob.glob(path, recursive=True))
    if not matches:
        what = "no file matches this pattern" if glob.has_magic(path) else "there is no such file or folder"
        raise TextError(
            f"{path or repr(path)}: {what}; give a text file, a folder, a pattern in quotes, or - for stdin"
        )
    return [file for match in matches for file in _find(match, config)]


def _search(folder: str, config: TextConfig) -> list[File]:
    """The text files of a folder and of those in it, sorted."""
    found: list[File] = []
    others: Counter[str] = Counter()
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            suffix, path = _suffix(name), os.path.join(parent, name)
            if suffix in _TEXT_SUFFIXES or (config.field and suffix in _RECORD_SUFFIXES):
                with _reading(path):
                    file = File(path, path, os.path.getsize(path), _RECORD_SUFFIXES.get(suffix, ""))
                if not _fault(file, config):
                    found.append(file)
                    continue
            others[suffix or "unnamed"] += 1
    if not found:
        has = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(4)) or "no file"
        way = f"name other text files yourself, as '{os.path.join(folder, '*.srt')}'"
        if not config.field and any(suffix in _RECORD_SUFFIXES for suffix in others):
            way = "for .jsonl and .csv say which field holds the text, `--field NAME`"
        raise TextError(f"{folder}: no text in this folder: .txt, .md and the like are taken, but it has {has}; {way}")
    return found


def _spool(name: str, stream: IO[bytes], config: TextConfig) -> File:
    """Copies what can be read only once to a temporary file; with a field, stdin is taken for .jsonl."""
    spool = tempfile.NamedTemporaryFile(prefix="wordlm-")  # noqa: SIM115 (closed with the File that holds it)
    while chunk := stream.read(_CHUNK):
        spool.write(chunk)
    spool.flush()
    records = "jsonl" if name == "-" and config.field else _RECORD_SUFFIXES.get(_suffix(name), "")
    return _checked(File(name, spool.name, spool.tell(), records, spool), config)


def _checked(file: File, config: TextConfig) -> File:
    if fault := _fault(file, config):
        raise TextError(f"{file.label}: {fault}")
    return file


def _suffix(name: str) -> str:
    """The lower-case suffix of a file name, one of compression left out: '.txt' of 'a.TXT.gz'."""
    stem, suffix = os.path.splitext(name.lower())
    return os.path.splitext(stem)[1] if suffix in _PACKED_SUFFIXES else suffix


@contextlib.contextmanager
def _reading(label: str) -> Iterator[None]:
    """Turns what reading a file can raise into a TextError."""
    try:
        yield
    except PermissionError:
        raise TextError(f"{label}: no permission to read it; change its permissions or give another file") from None
    except Exception as error:
        # lzma and zstandard are loaded only on use, so their errors are known by name; gzip and bz2 raise OSErrors
        # without a number.
        damaged = isinstance(error, (EOFError, zlib.error)) or type(error).__name__ in ("LZMAError", "ZstdError")
        if damaged or (isinstance(error, OSError) and error.errno is None):
            raise TextError(f"{label}: the compressed file is damaged or cut short; get or make it again") from None
        if isinstance(error, OSError):
            raise TextError(f"{label}: it cannot be read ({error.strerror}); give another file") from None
        raise


def _zstd_frames(raw: IO[bytes]) -> Iterator[bytes]:
    """The unpacked bytes of all frames; the library's own readers take a file that is cut short for a whole one."""
    import zstandard

    rest = b""
    while rest or (rest := raw.read(_CHUNK)):
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if not rest and not (rest := raw.read(_CHUNK)):
                raise EOFError
            if data := frame.decompress(rest):
                yield data
            rest = frame.unused_data if frame.eof else b""


def _fault(file: File, config: TextConfig) -> str | None:
    """Why a file is no text, judged by its first bytes; None if it is."""
    if not file.size:
        return "the file is empty; give one with text"
    head = next(read_bytes(file), b"")[:8192]
    for magic, what in _FORMATS.items():
        if head.startswith(magic):
            return f"a {what} file, not plain text; save it as plain text first"
    mark, encoding = _encoding(head, config)
    text = codecs.getincrementaldecoder(encoding)("ignore").decode(head[mark:])
    if "\0" in text:
        zeros = head[0::2].count(0), head[1::2].count(0)
        if max(zeros) * 4 > len(head) > min(zeros) * 16:
            name = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
            return f"UTF-16 without a byte-order mark, it seems; pass `--encoding {name}`"
    if "\0" in text or len(_CONTROL.findall(text)) * 20 > len(text):
        if file.name.lower().endswith(_PACKED_SUFFIXES):
            return "the compressed file is damaged, or is none; get or make it again"
        return "a binary file, not text; give a text file"
    return None


def _encoding(head: bytes, config: TextConfig) -> tuple[int, str]:
    """Length of the byte-order mark, and the encoding: the mark's own, the config's, or UTF-8."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return len(mark), name
    return 0, config.encoding or "utf-8"


def _advice(sample: bytes, encoding: str) -> str:
    """What to do about bytes that do not decode: the likely encodings, and how each would read."""
    sample = sample[: 1 << 15]
    decoded = sample.decode(encoding, "replace")
    bad = decoded.count("\ufffd")
    if encoding.startswith("utf") and sum(not c.isascii() for c in decoded) > 5 * bad:
        return "nearly all of the file does: it is damaged there, mend or remove these bytes"
    likely = likely_encodings(sample)
    if not likely:
        return "find out which encoding it has and pass `--encoding NAME`"
    (name, words), *others = likely
    also = "".join(f"; {other} {read}" for other, read in others)
    return f"it is likely {name}, pass `--encoding {name}` (reads {words}{also and '; if that is wrong: ' + also[2:]})"
