"""Texts: what is found, how it is unpacked and decoded, and what becomes of its lines."""

import bz2
import contextlib
import csv
import doctest
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tracemalloc
import unicodedata
import warnings

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wordlm import charset, files, prose, text
from wordlm.config import TextConfig
from wordlm.errors import TextError, WordlmError
from wordlm.text import Paragraph, Texts

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


def write(folder, content, name="text.txt"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(*paths, **options):
    return [paragraph.text for paragraph in Texts(paths, TextConfig(**options))]


def refusal(*paths, **options):
    """The one-line message with which the paths are refused."""
    with pytest.raises(TextError) as info:
        read(*paths, **options)
    message = str(info.value)
    assert "\n" not in message
    return message


def prose_of(content):
    return list(prose.paragraphs(iter(content.split("\n")), TextConfig()))


@pytest.mark.parametrize("module", [charset, files, prose, text])
def test_examples(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


# Lines to paragraphs


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
    for paragraph in prose.paragraphs(text._lines(chunks), TextConfig(kind=kind)):
        assert paragraph == paragraph.strip()
        assert kind == "pretokenized" or paragraph
        assert unicodedata.is_normalized("NFC", paragraph)
        assert not any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in paragraph)


@given(st.lists(st.text("ab \n", max_size=30)), st.integers(2, 8))
def test_lines_are_those_of_the_whole(chunks, limit):
    whole = "".join(chunks)
    assert list(text._lines(chunks, None)) == whole.split("\n")[: -1 if whole.endswith("\n") or not whole else None]
    assert "".join(text._lines(chunks, limit)) == whole.replace("\n", "")


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


# Packed and encoded


def test_compressed_files_are_known_by_their_bytes(tmp_path):
    content = "Some words.\n\n" * 1000
    packed = {
        ".gz": gzip.compress(content[:6000].encode()) + gzip.compress(content[6000:].encode()),
        ".bz2": bz2.compress(content.encode()),
        ".xz": lzma.compress(content.encode()),
        ".zst": zstandard.compress(content[:6000].encode()) + zstandard.compress(content[6000:].encode()),
    }
    for suffix, raw in packed.items():
        path = write(tmp_path, raw, "text.txt" + suffix)
        texts = Texts([path])
        assert len(list(texts)) == 1000
        assert texts.position == texts.size == len(raw)
        assert read(write(tmp_path, raw, "no-suffix")) == read(path)
        cut = write(tmp_path, raw[: len(raw) - 12], "cut.txt" + suffix)
        assert "damaged or cut short" in refusal(cut), suffix
        assert "damaged" in refusal(write(tmp_path, b"\x01" + raw[1:], "bad.txt" + suffix)), suffix


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_byte_order_marks(tmp_path, encoding):
    path = write(tmp_path, "\ufeffDer Fluß\r\nhat 世界.\r\n\r\n\U0001f600".encode(encoding))
    assert read(path) == ["Der Fluß hat 世界.", "\U0001f600"]
    assert read(path, encoding="cp1252") == read(path)  # the mark is surer than the option


def test_encoding_is_named(tmp_path):
    path = write(tmp_path, "Aĝo ĉiu".encode("iso8859-3"))
    assert read(path, encoding="iso8859_3") == ["Aĝo ĉiu"]
    assert "but is 'latin-9000'" in refusal(path, encoding="latin-9000")
    assert "but is 'base64'" in refusal(path, encoding="base64")


@pytest.mark.parametrize(
    ("encoding", "name", "before", "bad"),
    [
        ("utf-8", None, "Größe\r\n", b"gro\xdf und gro\xdf"),
        ("utf-16-le", None, "\ufeffGröße\n", b"\x00\xdc\x20\x00"),
        ("shift_jis", "shift_jis", "世界\n", b"\x81\x20\x81\x20"),
        ("cp1252", "cp1252", "Größe\n", b"\x81"),
        ("utf-8", "utf-8", "cut off ", "世".encode()[:2]),
    ],
)
def test_undecodable_bytes_have_line_and_offset(tmp_path, monkeypatch, encoding, name, before, bad):
    good = (before * 30_000).replace("\ufeff", "")
    raw = (("\ufeff" if "\ufeff" in before else "") + good).encode(encoding)
    wrong = 3 if encoding == "utf-8" and not name else 0
    for chunk in (1 << 18, 1009):
        monkeypatch.setattr(files, "_CHUNK", chunk)
        message = refusal(write(tmp_path, raw + bad), encoding=name)
        line = good.count("\n") + 1
        assert f"line {line}, byte offset {len(raw) + wrong}: 0x{bad[wrong]:02x} does not decode" in message
    assert str(tmp_path / "text.txt") in message


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("fra", "cp1252"), ("deu_1996", "cp850"), ("ell_monotonic", "cp1253"), ("heb", "cp1255"), ("arb", "cp1256"),
     ("jpn", "cp932"), ("jpn", "euc_jp"), ("cmn_hans", "gb18030")],
)  # fmt: skip
def test_likely_encoding(tmp_path, shared_data, language, encoding):
    content = (shared_data / "languages" / f"{language}.txt").read_text("utf-8").encode(encoding, "ignore")
    assert f"pass `--encoding {encoding}`" in refusal(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Zażółć gęślą jaźń, a źródło światła świeci na łące.", "cp1250"),
        ("Zażółć gęślą jaźń, a źródło światła świeci na łące.", "iso8859_2"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy.", "iso8859_2"),
        ("Все счастливые семьи похожи друг на друга.", "cp1251"),
        ("café", "cp1252"),
    ],
)
def test_likely_encoding_of_a_short_text(content, encoding):
    (name, words), *_ = charset.likely_encodings(content.encode(encoding))
    assert name == encoding
    assert all(word in content for word in words.split(", "))


def test_likely_encodings_are_shown_as_they_read(tmp_path, shared_data):
    esperanto = shared_data / "messy" / "esperanto_iso8859-3.txt"
    message = refusal(esperanto)
    assert "line 7, byte offset 120: 0xf8 does not decode as UTF-8; it is likely" in message
    assert "iso8859_3 Aĝo, ĝi, danĝera, putraĵo" in message
    assert read(esperanto, encoding="iso8859_3")[4] == "Aĝo tro matura ne estas plezura"
    assert "likely utf_8, pass" in refusal(write(tmp_path, "Größe, Fluß"), encoding="ascii")


def test_one_damaged_byte_is_no_other_encoding(tmp_path):
    raw = "Größe und Fluß, Äpfel und Öl.\n".encode() * 50
    assert "it is damaged there" in refusal(write(tmp_path, raw + b"\xff" + raw))


def test_utf_16_without_a_mark_is_known(tmp_path):
    for encoding in ("utf-16-le", "utf-16-be"):
        path = write(tmp_path, "Some words of a text.".encode(encoding))
        assert f"pass `--encoding {encoding}`" in refusal(path)
        assert read(path, encoding=encoding) == ["Some words of a text."]


def test_messy_files(shared_data):
    messy = shared_data / "messy"
    assert read(messy / "sherlock_utf8bom_crlf.txt") == read(shared_data / "prose" / "sherlock.txt")
    assert read(messy / "bom-utf-16-le.srt") == read(messy / "bom-utf-16-be.srt")
    assert read(messy / "kjv.txt.gz") == read(shared_data / "prose" / "kjv.txt")


def test_wikitext_has_its_official_counts(shared_data):
    for name, tokens in [("train", 2_088_628), ("valid", 217_646), ("test", 245_569)]:
        lines = read(shared_data / "wikitext-2" / f"{name}.txt", kind="pretokenized")
        assert sum(len(line.split()) + 1 for line in lines) == tokens


# Records


def test_records_are_documents(tmp_path):
    rows = [("a", "One.\r\n\r\nTwo,\nthree."), ("b", ""), ("c", "Fo\nur,\tfive.")]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([("id", "text"), *rows])
    tabs = io.StringIO()
    csv.writer(tabs, delimiter="\t").writerows([("id", "text"), *rows])
    lines = "\n\n".join(json.dumps({"id": key, "text": value or None}) for key, value in rows)
    expected = [Paragraph(0, "One."), Paragraph(0, "Two, three."), Paragraph(2, "Fo ur, five.")]
    for name, content in [("a.csv", buffer.getvalue()), ("a.tsv", tabs.getvalue()), ("a.jsonl", lines)]:
        path = write(tmp_path, content, name)
        assert list(Texts([path], TextConfig(field="text"))) == expected
        assert read(write(tmp_path, gzip.compress(content.encode()), name + ".gz"), field="text") == [
            paragraph.text for paragraph in expected
        ]
        message = refusal(path)
        assert "`--field NAME`" in message
        assert "id, text" in message
        assert "takes one of: id, text" in refusal(path, field="body")


def test_faults_of_records_have_their_line(tmp_path):
    good = '{"text": "A text."}\n'
    for line, part in [
        ('{"text": "A te', "not a JSON object"),
        ('["A text."]', "not a JSON object"),
        ('{"text": 5}', "must hold text, but is '5'"),
        ('{"body": "A text."}', "no field 'text'"),
    ]:
        message = refusal(write(tmp_path, good * 2 + line + "\n" + good, "a.jsonl"), field="text")
        assert "line 3" in message
        assert part in message
    assert "line 2: 2 fields, but the header names 1" in refusal(
        write(tmp_path, "text\nOne, two.\n", "a.csv"), field="text"
    )
    assert "line 3: not proper CSV" in refusal(write(tmp_path, 'text\n"One.\nTwo.\n', "a.csv"), field="text")
    assert "this is none" in refusal(write(tmp_path, "A text.", "a.json"), field="text")


# Finding files


def test_folders_globs_and_files(tmp_path):
    one = write(tmp_path, "One.", "b/one.txt")
    write(tmp_path, "Two.", "a/two.md")
    write(tmp_path, gzip.compress(b"Three."), "c.txt.gz")
    write(tmp_path, "Four.", "unnamed")
    write(tmp_path, "hidden", ".hidden.txt")
    write(tmp_path, "hidden", ".git/config")
    write(tmp_path, b"\x00\x01\x02" * 99, "binary.txt")
    write(tmp_path, "", "empty.txt")
    write(tmp_path, "<p>", "page.html")
    write(tmp_path, '{"text": "Five."}', "d.jsonl")
    assert read(tmp_path) == ["Three.", "Four.", "Two.", "One."]
    assert read(tmp_path, field="text") == ["Three.", "Five.", "Four.", "Two.", "One."]
    assert read(tmp_path / "*" / "*.txt", tmp_path, one) == ["One.", "Three.", "Four.", "Two."]
    assert read(tmp_path / "**" / "*.md") == ["Two."]
    assert read(tmp_path / "page.html") == ["<p>"]
    texts = Texts([tmp_path / "b", tmp_path / "a"])
    assert texts.files == [str(one), str(tmp_path / "a" / "two.md")]
    assert [paragraph.document for paragraph in texts] == [0, 1]
    assert texts.sha256() == hashlib.sha256(b"One.Two.").hexdigest()


def test_what_cannot_be_read_has_its_own_message(tmp_path):
    messages = [
        refusal(tmp_path / "absent.txt"),
        refusal(tmp_path / "*.absent"),
        refusal(write(tmp_path, "")),
        refusal(write(tmp_path, " \n\n\t\n", "blank.txt")),
        refusal(write(tmp_path, gzip.compress(b""), "empty.gz")),
        refusal(write(tmp_path, bytes(range(256)) * 9, "image.dat")),
        refusal(write(tmp_path, b"%PDF-1.7\n", "book.pdf")),
        refusal(write(tmp_path, "1\n00:00", "subtitles/a.srt").parent),
        refusal(write(tmp_path, '{"a": "b"}', "records/a.jsonl").parent),
        refusal(),
    ]
    for message, part in zip(
        messages,
        ["no such file", "no file matches", "is empty", "white space", "white space", "binary", "PDF", "1 .srt; name",
         "`--field NAME`", "no text was given"],
        strict=True,
    ):  # fmt: skip
        assert part in message
    assert len(set(messages)) == len(messages)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = write(tmp_path, "Words.")
    path.chmod(0)
    assert "no permission" in refusal(path)


def test_stdin_and_pipes_restart(tmp_path):
    script = (
        "from wordlm.text import Texts; from wordlm.config import TextConfig; import sys\n"
        "texts = Texts([sys.argv[1]], TextConfig(field=sys.argv[2] or None))\n"
        "print(texts.files, list(texts) == list(texts), [p.text for p in texts], texts.size == texts.position)"
    )
    for content, path, field in [
        (b"One.\n\nTwo.", "-", ""),
        (gzip.compress(b"One.\n\nTwo."), "-", ""),
        (b'{"text": "One."}\n{"text": "Two."}\n', "-", "text"),
        (b"One.\n\nTwo.", "/dev/stdin", ""),
    ]:
        run = subprocess.run([sys.executable, "-c", script, path, field], input=content, capture_output=True)
        assert run.stdout.decode().strip() == f"['{path}'] True ['One.', 'Two.'] True", run.stderr
    script = "from wordlm.text import Texts; Texts(['-'])"
    run = subprocess.run([sys.executable, "-c", script], input=b"", capture_output=True)
    assert b"stdin: the file is empty" in run.stderr


@given(content=st.binary(max_size=400), name=st.sampled_from(["a.txt", "a.gz", "a.jsonl", "a.csv", "a.zst"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, name):
    path = write(tmp_path_factory.getbasetemp(), content, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(WordlmError):
            read(path, field="text" if name in ("a.jsonl", "a.csv") else None)


def test_position_grows_with_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 1000)
    monkeypatch.setattr(prose, "_SAMPLE", 500)
    monkeypatch.setattr(prose, "_PARAGRAPH", 500)
    texts = Texts([write(tmp_path, "One line.\n\n" * 1000, "a.txt"), write(tmp_path, "Two.", "b.txt")])
    for _ in range(2):
        positions = [texts.position for _ in texts]
        assert positions == sorted(positions)
        assert len(set(positions)) > 10
        assert positions[-1] == texts.size == 11_004


def test_heavy_libraries_are_not_loaded():
    script = "import wordlm.text, sys; print({'numpy', 'zstandard', 'charset_normalizer'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("line", ["It was a dark and stormy night, and more.\n", "It was dark, "])
def test_memory_does_not_grow_with_the_file(tmp_path, line):
    peaks = []
    for size in (8, 64):
        path = write(tmp_path, line * (size * 1_000_000 // len(line)))
        tracemalloc.start()
        for _ in Texts([path]):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 32_000_000
