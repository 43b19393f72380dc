"""Minimal pairs out of files: columns, headers, JSON lines, and what is said of lines that are none."""

import bz2
import doctest
import gzip
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import pairs
from wordlm.errors import OptionError, TextError
from wordlm.pairs import Pair, read_pairs

PAIRS = [Pair("number", "the dogs bark", "the dogs barks"), Pair("case", "he sees me", "he sees I")]
ROWS = "number\tthe dogs bark\tthe dogs barks\ncase\the sees me\the sees I\n"
OBJECTS = "".join(json.dumps(vars(pair)) + "\n" for pair in PAIRS)


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_doctests():
    result = doctest.testmod(pairs)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.tsv", ROWS),
        ("pairs.txt", ROWS),
        ("pairs", ROWS),
        ("pairs.tsv", ROWS.rstrip("\n")),
        ("pairs.tsv", ROWS.replace("\n", "\r\n")),
        ("pairs.tsv", "\n \t \n" + ROWS.replace("\n", "\n\n")),
        ("pairs.tsv", b"\xef\xbb\xbf" + ROWS.encode()),
        ("pairs.tsv", ROWS.encode("utf-16")),
        ("pairs.tsv", "group\tgood\tbad\n" + ROWS),
        ("pairs.tsv", "Group\tGood\tBad\n" + ROWS),
        (
            "pairs.tsv",
            "bad\tid\tgood \tgroup\nthe dogs barks\t1\tthe dogs bark\tnumber\nhe sees I\t\the sees me\tcase\n",
        ),
        ("pairs.tsv.gz", gzip.compress(ROWS.encode())),
        ("pairs.bz2", bz2.compress(ROWS.encode())),
        ("pairs.jsonl", OBJECTS),
        ("pairs.ndjson.gz", gzip.compress(OBJECTS.encode())),
        ("pairs.txt", "\n" + OBJECTS),
    ],
)
def test_a_file_of_pairs(write, name, content):
    assert list(read_pairs(write(content, name))) == PAIRS


@pytest.mark.parametrize("content", [ROWS, "group\tgood\tbad\n" + ROWS, OBJECTS])
def test_pairs_from_stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert list(read_pairs("-")) == PAIRS


def test_columns_are_named(write):
    path = write("test\tkey\tright\twrong\tmore\nnumber\t\tthe dogs bark\tthe dogs barks\t\n")
    assert list(read_pairs(path, ["test", "right", "wrong"])) == PAIRS[:1]
    path = write('{"UID": "number", "good": 1, "right": "the dogs bark", "wrong": "the dogs barks"}', "pairs.jsonl")
    assert list(read_pairs(path, ["UID", "right", "wrong"])) == PAIRS[:1]


def test_many_files_one_after_the_other(write, tmp_path):
    write("group\tgood\tbad\n" + ROWS, "a.tsv")
    write("bad\tgood\tgroup\nhe sees I\the sees me\tcase\n", "b.tsv")
    write(OBJECTS, "c.jsonl")
    together = PAIRS + PAIRS[1:] + PAIRS
    assert list(read_pairs([tmp_path / name for name in ("a.tsv", "b.tsv", "c.jsonl")])) == together
    assert list(read_pairs(f"{tmp_path}/*.*")) == together


def test_a_longer_file_comes_in_several_chunks(write):
    rows = [f"{number}\tgood {number}\tbad {number}" for number in range(40_000)]
    path = write("\n".join(rows))
    assert path.stat().st_size > 1 << 18
    found = list(read_pairs(path))
    assert [pair.group for pair in found] == [str(number) for number in range(40_000)]
    assert found[-1] == Pair("39999", "good 39999", "bad 39999")


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), min_size=1)] * 3)))
def test_any_texts_come_back(tmp_path_factory, rows):
    rows = [row for row in rows if all(value.strip() for value in row)]
    if not rows:
        return
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text("".join(json.dumps(dict(zip(pairs.COLUMNS, row, strict=True))) + "\n" for row in rows))
    assert [tuple(vars(pair).values()) for pair in read_pairs(path)] == rows


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("number\tthe dogs bark", 3, "expected 3 columns apart by tabs, as in the first line, but found 2: 'number"),
        ("number\ta\tb\tc", 3, "expected 3 columns apart by tabs, as in the first line, but found 4"),
        ("number\tthe dogs bark\t ", 3, "'bad' must be a text, but is ' '; mend or remove the line"),
        ("\n\n\ta\tb", 5, "'group' must be a text, but is ''; mend or remove the line"),
        ("a" * ((1 << 20) + 1), 3, "over 1,048,576 characters; give a file with a pair a line"),
    ],
)
def test_a_bad_row_behind_good_ones(write, content, line, says):
    path = write(ROWS + content)
    found = read_pairs(path)
    assert [next(found), next(found)] == PAIRS
    with pytest.raises(TextError) as error:
        next(found)
    assert str(error.value).startswith(f"{path}, line {line}: {says}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "expected a JSON object with the keys group, good, bad, but found '{' ("),
        ("[1]", "but found '[1]' (it is none); mend or remove the line"),
        ("[" * 100_000, "expected a JSON object"),
        ('{"group": "a", "good": "b"}', "but found no 'bad' among group, good; say how the keys are called, with `col"),
        ("{}", "but found no 'group' among none"),
        ('{"group": 7, "good": "b", "bad": "c"}', "'group' must be a text, but is '7'; mend or remove the line"),
        ('{"group": "a", "good": null, "bad": "c"}', "'good' must be a text, but is 'None'"),
    ],
)
def test_a_bad_object_behind_good_ones(write, content, says):
    path = write(OBJECTS + content, "pairs.jsonl")
    found = read_pairs(path)
    assert [next(found), next(found)] == PAIRS
    with pytest.raises(TextError) as error:
        next(found)
    assert str(error.value).startswith(f"{path}, line 3: ")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("content", "columns", "says"),
    [
        (
            "a\tb\tc\td\n",
            None,
            "line 1: expected three columns apart by tabs, the group, the good and the bad sentence, b",
        ),
        ("he sees me,he sees I\n", None, "but found 1: 'he sees me,he sees I'; mend the line, or say how a header"),
        (
            ROWS,
            ["a", "b", "c"],
            "line 1: the header must name the `columns`, but has no 'a'; it has: number, the dogs b",
        ),
        ("x\tGood\tBad\n", ["x", "good", "bad"], "has no 'good'; it has: x, Good, Bad"),
        (" \n\n", None, "no pairs, only white space; give a file with a pair a line"),
        ("group\tgood\tbad\n\n", None, "no pairs, only a header; give a file with a pair a line"),
    ],
)
def test_a_bad_first_line(write, content, columns, says):
    path = write(content)
    with pytest.raises(TextError) as error:
        list(read_pairs(path, columns))
    assert str(error.value).startswith(str(path))
    assert says in str(error.value)


def test_bytes_that_do_not_decode_are_told_by_their_line(write):
    with pytest.raises(TextError, match=r"line 3, byte offset \d+: 0xef does not decode as UTF-8"):
        list(read_pairs(write(ROWS.encode() + b"a\tna\xefve\tb\n")))


@pytest.mark.parametrize("columns", [["a"], ["a", "b"], ["a", "b", "b"], ["a", "b", ""], ["a", "b", "c", "a"]])
def test_columns_are_three(write, columns):
    with pytest.raises(OptionError, match="`columns` must be three different names, of group, good and bad sentence"):
        read_pairs(write(ROWS), columns)


def test_what_is_no_file_is_told_at_once(tmp_path):
    with pytest.raises(TextError, match="there is no such file"):
        read_pairs(tmp_path / "nothing.tsv")
    with pytest.raises(TextError, match="a folder; give a file of pairs, or a pattern in quotes"):
        read_pairs(tmp_path)
    (tmp_path / "empty.tsv").touch()
    with pytest.raises(TextError, match="the file is empty"):
        read_pairs(tmp_path / "empty.tsv")


def test_encodings(write):
    path = write("a\té\tè\n".encode("latin-1"))
    assert list(read_pairs(path, encoding="latin-1")) == [Pair("a", "é", "è")]
    with pytest.raises(TextError, match="does not decode as UTF-8"):
        list(read_pairs(path))


def test_halves_of_surrogate_pairs_are_left_out(write):
    path = write(r'{"group": "a\ud800", "good": "\udc00b", "bad": "\ud83d\ude00"}', "pairs.jsonl")
    assert list(read_pairs(path)) == [Pair("a", "b", "\U0001f600")]
    with pytest.raises(TextError, match="'group' must be a text, but is ''"):
        list(read_pairs(write(r'{"group": "\ud800", "good": "b", "bad": "c"}', "pairs.jsonl")))


@pytest.mark.parametrize("columns", [[], [""]])
def test_no_columns_are_not_three(write, columns):
    with pytest.raises(OptionError, match="`columns` must be three different names"):
        read_pairs(write(ROWS), columns)
