"""Documents and their paragraphs out of files: a stream that can be started again, so that memory stays flat.

A file is never in memory as a whole: bytes become characters (files.py), then lines and documents (here), then
paragraphs of bounded length (prose.py).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from wordlm.config import TextConfig
from wordlm.errors import TextError
from wordlm.files import File, find_files, read_bytes, read_text
from wordlm.prose import Line, paragraphs

_LINE = 1 << 20  # characters: a longer line of text is cut at white space
_FIELD = 1 << 26  # characters of a field of a .csv file: more comes of a quote that is not closed


class Paragraph(NamedTuple):
    """One paragraph (prose) or one line (lines, pretokenized).

    Attributes:
        document: number of the document that it is from, from 0.
        text: it, in NFC, white space folded.
        pieces: the lines that it was made of, with their places; None if they were not asked for.
    """

    document: int
    text: str
    pieces: tuple[Line, ...] | None = None


class Texts:
    """The paragraphs of some files, in order; each iteration reads the files again.

    Prose: paragraphs are apart by blank lines; hard-wrapped lines are joined, and words broken by a hyphen at a
    line end with them. Where the lines are not wrapped (much of the text lies in long lines), each line is a
    paragraph. Lines: each line that is not blank. Pretokenized: every line, a blank one as "". A paragraph over
    65,536 characters ends at the next line end, a line over 1,048,576 at the last white space.

    A document is a file, or a record of a .jsonl, .csv or .tsv file.

    Args:
        paths: files, folders (searched for text files), glob patterns, `-` for stdin.
        config: kind of text, encoding, field of the records, boilerplate. None: prose in UTF-8.
        places: whether each paragraph comes with its lines and their places.

    Attributes:
        files: names of the files found, in order.
        size: bytes on disk, all files together.
        position: bytes read so far in the present iteration, in the units of size.

    Raises:
        TextError: a path that is missing, a file that is empty or binary, a folder without text, a missing field.
            Iterating raises it for bytes that do not decode, damaged files, and files without any text.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "book.txt")
        >>> with open(path, "w") as file:
        ...     _ = file.write("It was a dark and stor-\\nmy night.\\n\\nThe end.\\n")
        >>> [paragraph.text for paragraph in Texts([path])]
        ['It was a dark and stormy night.', 'The end.']
    """

    def __init__(
        self, paths: Iterable[str | os.PathLike[str]], config: TextConfig | None = None, places: bool = False
    ) -> None:
        self.config, self.places = config or TextConfig(), places
        self._files = find_files(paths, self.config)
        field, records = self.config.field, [file for file in self._files if file.records]
        if field and not records:
            raise TextError(
                f"{self._files[0].label}: `field` names a field of .jsonl and .csv files, and this is none; "
                f"leave `--field` out"
            )
        if records and not field:
            names = next((", ".join(record) for _, record in _records(records[0], self.config)), "none")
            raise TextError(
                f"{records[0].label}: say which field holds the text, `--field NAME`; the first record has: {names}"
            )
        self.files = [file.name for file in self._files]
        self.size = sum(file.size for file in self._files)
        self.position = 0

    def __iter__(self) -> Iterator[Paragraph]:
        self.position = done = 0
        document, empty = -1, True
        for file in self._files:

            def advance(read: int, done: int = done) -> None:
                self.position = done + read

            for chunks in _documents(file, self.config, advance):
                document += 1
                for paragraph in _paragraphs(chunks, self.config, document, self.places):
                    empty = empty and not paragraph.text
                    yield paragraph
            done += file.size
            self.position = done
        if empty:
            names = ", ".join(file.label for file in self._files[:3])
            raise TextError(f"{names}: no text, only white space or boilerplate; give a file with text")

    def sha256(self) -> str:
        """The SHA-256 of the files' raw bytes, in order, as 64 hexadecimal digits.

        Raises:
            TextError: a file that cannot be read any more.

        Example:
            >>> import tempfile
            >>> path = os.path.join(tempfile.mkdtemp(), "book.txt")
            >>> with open(path, "w") as file:
            ...     _ = file.write("The end.")
            >>> Texts([path]).sha256()[:8]
            'e0a1d694'
        """
        digest = hashlib.sha256()
        for file in self._files:
            for chunk in read_bytes(file, unpack=False):
                digest.update(chunk)
        return digest.hexdigest()


def read_paragraphs(text: str, config: TextConfig | None = None, places: bool = False) -> Iterator[Paragraph]:
    """The paragraphs of a text, as those of a file that holds it.

    Args:
        text: one document, any line ends.
        config: its kind and its boilerplate; None: prose.
        places: whether each paragraph comes with its lines and their places.

    Example:
        >>> for paragraph in read_paragraphs("It was a dark and stor-\\nmy night.", places=True):
        ...     print(paragraph.text, [piece.offset for piece in paragraph.pieces])
        It was a dark and stormy night. [0, 24]
    """
    return _paragraphs([_one_line_end(text)], config or TextConfig(), 0, places)


def _paragraphs(chunks: Iterable[str], config: TextConfig, document: int, places: bool) -> Iterator[Paragraph]:
    """The paragraphs of a document."""
    if not places:
        return (Paragraph(document, text) for text, _ in paragraphs(lines_of(chunks), config))
    return (Paragraph(document, text, tuple(lines)) for text, lines in paragraphs(_placed(chunks), config))


def _one_line_end(text: str) -> str:
    """The text with its line ends as "\\n"; places in it stay, as blanks at the end of a line do no harm."""
    return text.replace("\r\n", " \n").replace("\r", "\n")


def _placed(chunks: Iterable[str]) -> Iterator[Line]:
    offset = 0
    for line in lines_of(chunks, end="\n"):
        yield Line(line.removesuffix("\n"), offset)
        offset += len(line)


def lines_of(chunks: Iterable[str], limit: int | None = _LINE, end: str = "") -> Iterator[str]:
    """The lines of a text that comes in chunks.

    Args:
        chunks: the text; its line ends are "\\n".
        limit: characters; a longer line comes in pieces, cut after a space. None: none does.
        end: what each line ends with, but for a last one without an end.

    Example:
        >>> list(lines_of(["It was", " dark.\\n", "The end."]))
        ['It was dark.', 'The end.']
    """
    rest = ""
    for chunk in chunks:
        first, *more = chunk.split("\n")
        rest += first
        if more:
            yield rest + end
            yield from [line + end for line in more[:-1]] if end else more[:-1]
            rest = more[-1]
        while limit and len(rest) > limit:
            cut = rest.rfind(" ", 0, limit) + 1 or limit
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest


def _documents(file: File, config: TextConfig, advance: Callable[[int], None]) -> Iterator[Iterable[str]]:
    """The text of each document of a file, in chunks."""
    if not file.records:
        yield read_text(file, config, advance)
        return
    for line, record in _records(file, config, advance):
        if config.field not in record:
            names = ", ".join(record) or "none"
            raise TextError(f"{file.label}, line {line}: no field {config.field!r}; `--field` takes one of: {names}")
        text = record[config.field]
        if not isinstance(text, str | None):
            raise TextError(
                f"{file.label}, line {line}: field {config.field!r} must hold text, but is {str(text)[:40]!r}; "
                f"mend the record, or give another `--field`"
            )
        yield [_one_line_end(text or "")]


def _records(
    file: File, config: TextConfig, advance: Callable[[int], None] = lambda read: None
) -> Iterator[tuple[int, dict]]:
    """The records of a .jsonl, .csv or .tsv file, and the line on which each ends."""
    text = read_text(file, config, advance)
    if file.records == "jsonl":
        return _json_records(file, lines_of(text, limit=None))
    return _csv_records(file, lines_of(text, limit=None, end="\n"))


def _json_records(file: File, lines: Iterator[str]) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        try:
            record = json.loads(line)
            fault = "" if isinstance(record, dict) else f"it is {line[:40]!r}"
        except (ValueError, RecursionError) as error:
            fault = str(error)
        if fault:
            raise TextError(
                f"{file.label}, line {number}: not a JSON object ({fault}); a line must be one record, "
                f'as {{"text": "..."}}: mend or remove it'
            )
        yield number, record


def _csv_records(file: File, lines: Iterator[str]) -> Iterator[tuple[int, dict]]:
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD))
    rows = csv.reader(lines, delimiter="\t" if file.records == "tsv" else ",", strict=True)
    try:
        header = next(rows, [])
        for row in rows:
            if row and len(row) != len(header):
                raise TextError(
                    f"{file.label}, line {rows.line_num}: {len(row)} fields, but the header names {len(header)}; "
                    f"mend the row (a text with a comma in it must be in quotes)"
                )
            if row:
                yield rows.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise TextError(f"{file.label}, line {rows.line_num}: not proper CSV ({error}); mend the row") from None
