"""Lines to paragraphs, and what of a Project Gutenberg file is text."""

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_samples import read, write

from wordlm import prose, text
from wordlm.config import TextConfig

BOOK = """\
The Project Gutenberg EBook of A Short Book, by Nobody

This eBook is for the use of anyone anywhere.

Title: A Short Book

*** START OF THIS PROJECT GUTENBERG EBOOK A SHORT BOOK, WITH A TITLE
THAT GOES ON ***


Produced by Some One and the Online Distributed Proofreading
Team at https://www.pgdp.net


A SHORT BOOK

It was short.

End of the Project Gutenberg EBook of A Short Book, by Nobody

*** END OF THIS PROJECT GUTENBERG EBOOK A SHORT BOOK ***

*** START: FULL LICENSE ***

Section 1. General Terms
"""


def prose_of(content):
    return [text for text, _ in prose.paragraphs(iter(content.split("\n")), TextConfig())]


def test_examples():
    results = doctest.testmod(prose)
    assert results.attempted > 0
    assert results.failed == 0


def test_prose_joins_wrapped_lines(tmp_path):
    path = write(tmp_path, "  One  two\nthree.\n\n \t\n\nFour\tfive.\n")
    assert read(path) == ["One two three.", "Four five."]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("an exam-\nple", "an example"),
        ("a well-\nknown man\n\nless well-known", "a well-known man"),  # written so elsewhere
        ("with-\nout it\n\ndo without or with it, out", "without it"),
        ("a pack-\nsaddle\n\na pack, a saddle", "a pack-saddle"),  # both are words
        ("the first-\nclass\n\nfirst lesson", "the firstclass"),  # nothing known about "class"
        ("a dash--\nand more", "a dash--and more"),
        ("a dash —\nand more", "a dash — and more"),
        ("a dash -\nand more", "a dash - and more"),
        ("Anglo-\nSaxon", "Anglo-Saxon"),
        ("EXAM-\nPLE", "EXAMPLE"),
        ("1914-\n1918", "1914-1918"),
        ("an e-\nmail", "an e-mail"),
        ("pre-\nand post-war", "pre- and post-war"),
        ("thous-\nand\n\na thousand", "thousand"),
        ("Mr. ----\ngone", "Mr. ---- gone"),
        ("soft\u00ad\nness, soft\u00adly", "softness, softly"),
        ("ein Bei\u2010\nspiel", "ein Beispiel"),
        ("世界人权\n宣言", "世界人权宣言"),
        ("세계 인권\n선언", "세계 인권 선언"),
    ],
)
def test_prose_line_ends(content, expected):
    assert prose_of(content)[0] == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("  One  two\n three.", ["One", "two", "three."]),
        ("an exam-  \n  ple, a", ["an", "exam-  \n  ple,", "a"]),
        ("a well-\nknown man\n\nless well-known", ["a", "well-\nknown", "man", "less", "well-known"]),
        ("pre-\nand post-war", ["pre-", "and", "post-war"]),
        ("a dash--\nand - \nmore", ["a", "dash--\nand", "-", "more"]),
        ("世界人\n权宣\n言 a", ["世界人\n权宣\n言", "a"]),
        ("%\n1\n%\n\u200e2\u200e", ["1", "2"]),
        ("e\u0301x-\ne\u0301 o\u0323\u0302 o\u0302\u0323", ["e\u0301x-\ne\u0301", "o\u0323\u0302", "o\u0302\u0323"]),
        ("a\ufeffb \u200e \x07 \xadc\x07 \x1cd", ["a\ufeffb", "c", "d"]),
    ],
)
def test_words_are_found_where_they_stand(content, expected):
    lines, offset = [], 0
    for line in content.split("\n"):
        lines.append(prose.Line(line, offset))
        offset += len(line) + 1
    found = []
    for paragraph, pieces in prose.paragraphs(iter(lines), TextConfig()):
        words = paragraph.split(" ")
        places = list(prose.find_words(words, pieces))
        assert len(places) == len(words)
        found += [content[start:end] for start, end in places]
    assert found == expected


def test_prose_without_wrapping_has_a_paragraph_a_line(shared_data):
    declaration = read(shared_data / "languages" / "eng.txt")
    assert declaration[:2] == ["Universal Declaration of Human Rights", "Preamble"]
    assert len(declaration) == 92
    assert len(read(shared_data / "languages" / "jpn.txt")) == 90
    assert len(read(shared_data / "prose" / "kjv.txt")) == 31_102


def test_prose_bounds_a_paragraph_and_a_line(tmp_path):
    wrapped = read(write(tmp_path, "some words on a line\n" * 20_000))
    assert len(wrapped) > 5
    assert max(map(len, wrapped)) < 70_000
    assert " ".join(wrapped).split() == ["some", "words", "on", "a", "line"] * 20_000
    one_line = read(write(tmp_path, "some words " * 300_000))
    assert max(map(len, one_line)) <= 1 << 20
    assert " ".join(one_line).split() == ["some", "words"] * 300_000


def test_lines_and_pretokenized(tmp_path):
    path = write(tmp_path, " one \n\n  \ntwo <unk>\r\nthree\rfour")
    assert read(path, kind="lines") == ["one", "two <unk>", "three", "four"]
    assert read(path, kind="pretokenized") == ["one", "", "", "two <unk>", "three", "four"]


def test_fortune_file_is_parted_at_percent_signs(tmp_path):
    path = write(tmp_path, "One saying,\non two lines.\n%\nAnother, 100 %\n%\n")
    assert read(path) == ["One saying, on two lines.", "Another, 100 %"]
    assert read(path, kind="lines") == ["One saying,", "on two lines.", "Another, 100 %"]


def test_nfc_and_no_control_characters(tmp_path):
    assert prose_of("\ufeffcafe\u0301\x00 \x07a\u200eb\x0c\u2028c\u00a0d\ud800\ufeff") == ["café ab c d"]
    # WikiText-2 has byte-order marks as tokens, and counts them.
    assert read(write(tmp_path, "a \ufeff b and more words \x07\n"), kind="pretokenized") == [
        "a \ufeff b and more words"
    ]


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["prose", "lines", "pretokenized"]))
def test_any_text_becomes_clean_lines(content, kind):
    chunks = [content.replace("\r\n", "\n").replace("\r", "\n")]
    for paragraph, _ in prose.paragraphs(text.lines_of(chunks), TextConfig(kind=kind)):
        assert paragraph == paragraph.strip()
        assert kind == "pretokenized" or paragraph
        assert unicodedata.is_normalized("NFC", paragraph)
        assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in paragraph)


# Project Gutenberg


def test_gutenberg_boilerplate(tmp_path):
    path = write(tmp_path, BOOK)
    assert read(path) == ["A SHORT BOOK", "It was short."]
    assert read(path, kind="lines") == ["A SHORT BOOK", "It was short."]
    assert read(path, keep_boilerplate=True)[0].startswith("The Project Gutenberg EBook")
    assert read(path, keep_boilerplate=True)[-1] == "Section 1. General Terms"


def test_gutenberg_books_in_one_file(tmp_path):
    path = write(tmp_path, BOOK + BOOK.replace("short", "long"))
    assert read(path) == ["A SHORT BOOK", "It was short.", "A SHORT BOOK", "It was long."]


def test_gutenberg_of_the_nineties(tmp_path):
    old = (
        "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nWhy is this here?\n\n"
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\nThe text.\n\n"
        "End of Project Gutenberg's Old Book\n"
    )
    assert read(write(tmp_path, old)) == ["The text."]
    new = "*** START OF THE PROJECT GUTENBERG EBOOK OLD ***\n\n" + old
    assert read(write(tmp_path, new)) == ["The text."]


def test_gutenberg_files(shared_data):
    for name, first, last in [
        ("sherlock.txt", "THE ADVENTURES OF SHERLOCK HOLMES", "met with considerable success."),
        ("war-and-peace.txt", "WAR AND PEACE", "of which we are not conscious."),
        ("time-machine.txt", "The Time Machine, by H. G. Wells [1898]", "still lived on in the heart of man."),
    ]:
        paragraphs = read(shared_data / "prose" / name)
        assert paragraphs[0] == first
        assert paragraphs[-1].endswith(last)
        assert not any("Gutenberg" in paragraph or "Anonymous" in paragraph for paragraph in paragraphs)
