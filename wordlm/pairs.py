"""Minimal pairs of sentences out of files: columns apart by tabs, or JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from wordlm.config import TextConfig
from wordlm.errors import OptionError, TextError
from wordlm.files import File, find_files, read_text

COLUMNS = ("group", "good", "bad")
_LINE = 1 << 20  # characters: a longer line is no pair


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in what makes one of them ungrammatical, and the name of the group they belong to."""

    group: str
    good: str
    bad: str


def read_pairs(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    columns: Sequence[str] | None = None,
    encoding: str | None = None,
) -> Iterator[Pair]:
    """The pairs of files, a pair a line.

    A line has three columns, apart by tabs: the group, the good sentence and the bad one. A first line that names
    its columns, `group`, `good` and `bad` among them, is a header, and there may be others. Of .jsonl and .ndjson
    files a line is an object with these keys. Blank lines are passed over.

    Args:
        paths: a file or several, perhaps compressed; patterns; `-` for stdin, where JSON begins with a brace.
        columns: what group, good sentence and bad one are called in the header, or in the objects.
        encoding: of the files; None is UTF-8.

    Raises:
        OptionError: columns that are not three, or not different.
        TextError: a file that cannot be read. Iterating raises it for a line that is no pair, behind all pairs before
            it, and for a file without any.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "pairs.tsv")
        >>> with open(path, "w") as file:
        ...     _ = file.write("number\\tdogs bark\\tdogs barks\\n")
        >>> list(read_pairs(path))
        [Pair(group='number', good='dogs bark', bad='dogs barks')]
    """
    names = tuple(COLUMNS if columns is None else columns)
    if len(names) != 3 or len(set(names)) != 3 or not all(names):
        raise OptionError(
            f"`columns` must be three different names, of group, good and bad sentence, but are {','.join(names)!r}"
        )
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    for path in given:
        if os.path.isdir(path):
            raise TextError(f"{os.fspath(path)}: a folder; give a file of pairs, or a pattern in quotes")
    config = TextConfig(encoding=encoding)
    files = find_files(given, config)
    return (pair for file in files for pair in _pairs(file, config, names, columns is not None))


def _pairs(file: File, config: TextConfig, names: tuple[str, ...], is_named: bool) -> Iterator[Pair]:
    """The pairs of one file."""
    lines = _lines(file, config)
    first = next(lines, None)
    if first is None:
        raise TextError(f"{file.label}: no pairs, only white space; give a file with a pair a line")
    is_json = file.records == "jsonl" or (not file.records and first[1].lstrip().startswith("{"))
    rows = (_objects if is_json else _rows)(chain([first], lines), names, is_named)
    pair = None
    for where, values in rows:
        for name, value in zip(names, values, strict=True):
            if not isinstance(value, str) or not value.strip():
                raise TextError(
                    f"{where}: {name!r} must be a text, but is {str(value)[:40]!r}; mend or remove the line"
                )
        yield (pair := Pair(*values))
    if not pair:
        raise TextError(f"{file.label}: no pairs, only a header; give a file with a pair a line")


def _lines(file: File, config: TextConfig) -> Iterator[tuple[str, str]]:
    """The lines that are not blank, each with the file's name and its number."""
    number, rest = 0, ""
    for chunk in chain(read_text(file, config), ["\n"]):
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield f"{file.label}, line {number}", line
        if len(rest) > _LINE:
            raise TextError(
                f"{file.label}, line {number + 1}: over {_LINE:,} characters; give a file with a pair a line"
            )


def _rows(lines: Iterable[tuple[str, str]], names: tuple[str, ...], is_named: bool) -> Iterator[tuple[str, list[str]]]:
    """The three columns of each line but the header."""
    places, width = [0, 1, 2], 0
    for where, line in lines:
        fields = line.split("\t")
        if not width:
            header = [name.strip() if is_named else name.strip().lower() for name in fields]
            width = len(fields)
            if is_named or set(names) <= set(header):
                if missing := [name for name in names if name not in header]:
                    raise TextError(
                        f"{where}: the header must name the `columns`, but has no {missing[0]!r}; it has: "
                        f"{', '.join(header)}"
                    )
                places = [header.index(name) for name in names]
                continue
            if width != len(names):
                raise TextError(
                    f"{where}: expected three columns apart by tabs, the group, the good and the bad sentence, but "
                    f"found {width}: {line[:60]!r}; mend the line, or say how a header names the three, with `columns`"
                )
        if len(fields) != width:
            raise TextError(
                f"{where}: expected {width} columns apart by tabs, as in the first line, but found {len(fields)}: "
                f"{line[:60]!r}; mend or remove the line"
            )
        yield where, [fields[place] for place in places]


def _objects(
    lines: Iterable[tuple[str, str]], names: tuple[str, ...], is_named: bool
) -> Iterator[tuple[str, list[Any]]]:
    """The three values of each line's JSON object."""
    for where, line in lines:
        try:
            record = json.loads(line)
            fault = "" if isinstance(record, dict) else "it is none"
        except (ValueError, RecursionError) as error:
            fault = str(error)
        if fault:
            raise TextError(
                f"{where}: expected a JSON object with the keys {', '.join(names)}, but found {line[:60]!r} ({fault}); "
                "mend or remove the line"
            )
        if missing := [name for name in names if name not in record]:
            hint = "mend or remove the line" if is_named else "say how the keys are called, with `columns`"
            raise TextError(
                f"{where}: expected a JSON object with the keys {', '.join(names)}, but found no {missing[0]!r} among "
                f"{', '.join(record) or 'none'}; {hint}"
            )
        values = [record[name] for name in names]
        # Without halves of surrogate pairs, which are no characters.
        yield where, [value.encode(errors="ignore").decode() if isinstance(value, str) else value for value in values]
