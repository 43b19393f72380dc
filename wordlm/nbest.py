"""N-best lists: the likely sentences that a recognizer or translator gives for each one, as files hold them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wordlm.config import TextConfig
from wordlm.errors import OptionError, TextError
from wordlm.files import File, find_files, read_text
from wordlm.text import lines_of


@dataclass(frozen=True)
class Hypothesis:
    """A sentence that may have been said.

    Raises:
        OptionError: a score that is no finite number.
    """

    id: str
    """Of its list: those of one list have the same, and stand together."""
    text: str
    score: float
    """Greater is better."""
    source: tuple[str, ...] | dict[str, Any] | None = field(default=None, repr=False, compare=False)
    """The fields of its line, or its JSON record, as read."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise OptionError(f"`score` must be a finite number, but is {self.score!r}; leave the hypothesis out")


class ListFault(TextError):
    """A fault in a list.

    Attributes:
        id: of the list, if it can be told: a list before it is complete then.
    """

    def __init__(self, message: str, id: str | None) -> None:
        super().__init__(message)
        self.id = id


def read_nbest(path: str | os.PathLike[str], encoding: str | None = None) -> Iterator[Hypothesis]:
    """The hypotheses of a file, as they are needed.

    Args:
        path: of lines `id ||| hypothesis ||| score`, where further fields may stand before the score; or, if the first
            line begins with `{`, of JSON records with the keys id, hypothesis and score, and any others. Blank lines
            are passed over. It is one file, perhaps compressed; `-` is stdin.
        encoding: of the file; None is UTF-8.

    Raises:
        TextError: a file that cannot be read, a folder, several files; iterating raises it for a line that is no
            hypothesis, a number that is not finite, an id that comes again after another, and a file without any.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     _ = file.write("1 ||| it was dark ||| -3.5\\n1 ||| it was a dog ||| -3\\n")
        ...     file.flush()
        ...     [hypothesis.text for hypothesis in read_nbest(file.name)]
        ['it was dark', 'it was a dog']
    """
    config = TextConfig(encoding=encoding)
    file, *others = find_files([path], config)
    if others or os.path.isdir(path):  # ids may be the same in several files
        raise TextError(f"{os.fspath(path)}: a folder, or several files; give one file of hypotheses")
    return _read(file, config)


def _read(file: File, config: TextConfig) -> Iterator[Hypothesis]:
    parse, last = None, None
    ends: dict[str, int] = {}
    for number, line in enumerate(lines_of(read_text(file, config), limit=None), 1):
        if not line or line.isspace():
            continue
        if parse is None:
            parse = _parse_record if line.lstrip().startswith("{") else _parse_fields
        where = f"{file.label}, line {number}"
        hypothesis = parse(line, where)
        if hypothesis.id != last and hypothesis.id in ends:
            raise ListFault(
                f"{where}: the list {hypothesis.id!r} has ended at line {ends[hypothesis.id]}; the hypotheses of a "
                "list must stand together: sort the lines by their ids",
                hypothesis.id,
            )
        last = hypothesis.id
        ends[last] = number
        yield hypothesis
    if parse is None:
        raise TextError(f"{file.label}: no hypotheses, only white space; give a file with a hypothesis a line")


def _parse_fields(line: str, where: str) -> Hypothesis:
    fields = tuple(part.strip(" \t") for part in line.split("|||"))
    id = fields[0]
    if len(fields) < 3 or not id:
        raise ListFault(
            f"{where}: a line must be `id ||| hypothesis ||| score`, but is {line[:60]!r}; mend or remove it",
            id if len(fields) > 1 and id else None,
        )
    try:
        score = float(fields[-1])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ListFault(
            f"{where}: the last field must be the score, a finite number, but is {fields[-1][:40]!r}; mend it", id
        )
    return Hypothesis(id, fields[1], score, fields)


def _parse_record(line: str, where: str) -> Hypothesis:
    try:
        record = json.loads(line, parse_float=_finite, parse_constant=_finite)
        fault = "" if isinstance(record, dict) else f"it is {line[:40]!r}"
    except (ValueError, RecursionError) as error:
        fault = str(error)
    if fault:
        raise ListFault(
            f"{where}: not a JSON object ({fault}); a line must be one, with the keys id, hypothesis and score, as "
            "the first one begins: mend or remove it",
            None,
        )
    id = record.get("id")
    id = str(id) if isinstance(id, str | int) and not isinstance(id, bool) else None
    rules = {
        "id": ("a string or a whole number", id is not None),
        "hypothesis": ("a string", isinstance(record.get("hypothesis"), str)),
        "score": ("a finite number", _is_finite(record.get("score"))),
    }
    for key, (rule, is_kept) in rules.items():
        if not is_kept:
            found = f"is {json.dumps(record[key])[:40]}" if key in record else "is missing"
            raise ListFault(f"{where}: the key {key!r} must be {rule}, but {found}; mend or remove the record", id)
    text = record["hypothesis"].encode(errors="ignore").decode()  # without halves of surrogate pairs
    return Hypothesis(id, text, float(record["score"]), record)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # it could not be written again
        raise ValueError(f"{text[:40]} is no finite number")
    return value


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False
