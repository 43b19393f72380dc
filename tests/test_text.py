"""Texts from file to paragraph: records, real corpora, standard input, and any bytes."""

import contextlib
import csv
import doctest
import gzip
import io
import json
import subprocess
import sys
import tracemalloc
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_samples import read, refusal, write

from wordlm import text
from wordlm.config import TextConfig
from wordlm.errors import WordlmError
from wordlm.text import Paragraph, Texts


def test_examples():
    results = doctest.testmod(text)
    assert results.attempted > 0
    assert results.failed == 0


@given(st.lists(st.text("ab \n", max_size=30)), st.integers(2, 8))
def test_lines_are_those_of_the_whole(chunks, limit):
    whole = "".join(chunks)
    assert list(text.lines_of(chunks, None)) == whole.split("\n")[: -1 if whole.endswith("\n") or not whole else None]
    assert "".join(text.lines_of(chunks, limit)) == whole.replace("\n", "")


@given(st.lists(st.text("ab \n", max_size=30)), st.integers(2, 8))
def test_lines_with_their_ends_are_the_text(chunks, limit):
    whole = "".join(chunks)
    assert "".join(text.lines_of(chunks, limit, end="\n")) == whole
    for line in text._placed(chunks):
        assert whole[line.offset :].startswith(line)


def test_places_count_from_the_document(tmp_path):
    write(tmp_path, b"\xef\xbb\xbfOne\r\n two.\r\n\r\nThree.", "a.txt")
    write(tmp_path, "  Four.", "b.txt")
    texts = Texts([tmp_path], places=True)
    assert [[(piece, piece.offset) for piece in paragraph.pieces] for paragraph in texts] == [
        [("One", 0), (" two.", 4)], [("Three.", 11)], [("  Four.", 0)],
    ]  # fmt: skip
    assert [paragraph.pieces for paragraph in Texts([tmp_path])] == [None] * 3


def test_places_in_a_record_are_those_of_its_field(tmp_path):
    content = "One\r\ntwo.\r\n\r\rThree\n."
    for name, whole in [
        ("a.jsonl", json.dumps({"text": content})),
        ("a.csv", 'text\n"' + content.replace("\r\n", "\n").replace("\r", "\n") + '"'),
    ]:
        path = write(tmp_path, whole, name)
        field = content if name == "a.jsonl" else whole[6:-1]
        found = [piece for p in Texts([path], TextConfig(field="text"), places=True) for piece in p.pieces]
        assert [piece.strip() for piece in found] == ["One", "two.", "Three", "."]
        for piece in found:
            assert field[piece.offset :].startswith(piece.rstrip())


def test_a_text_in_memory_is_read_as_one_in_a_file(tmp_path):
    content = "It was a dark and stor-\r\nmy night.\r\r%\nThe \ufeffend."
    path = write(tmp_path, content.encode())
    for kind in ("prose", "lines", "pretokenized"):
        config = TextConfig(kind=kind)
        expected = list(Texts([path], config))
        assert list(text.read_paragraphs(content, config)) == expected
        placed = list(text.read_paragraphs(content, config, places=True))
        assert [paragraph[:2] for paragraph in placed] == [paragraph[:2] for paragraph in expected]
        for piece in (piece for paragraph in placed for piece in paragraph.pieces):
            assert content[piece.offset :].startswith(piece.rstrip())
    assert list(text.read_paragraphs("")) == []


def test_messy_files(shared_data):
    messy = shared_data / "messy"
    assert read(messy / "sherlock_utf8bom_crlf.txt") == read(shared_data / "prose" / "sherlock.txt")
    assert read(messy / "bom-utf-16-le.srt") == read(messy / "bom-utf-16-be.srt")
    assert read(messy / "kjv.txt.gz") == read(shared_data / "prose" / "kjv.txt")


def test_wikitext_has_its_official_counts(shared_data):
    for name, tokens in [("train", 2_088_628), ("valid", 217_646), ("test", 245_569)]:
        lines = read(shared_data / "wikitext-2" / f"{name}.txt", kind="pretokenized")
        assert sum(len(line.split()) + 1 for line in lines) == tokens


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


def test_heavy_libraries_are_not_loaded():
    script = "import wordlm.text, sys; print({'numpy', 'zstandard', 'charset_normalizer'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize("line", ["It was a dark and stormy night, and more.\n", "It was dark, "])
def test_memory_does_not_grow_with_the_file(tmp_path, line, places):
    peaks = []
    for size in (8, 64):
        path = write(tmp_path, line * (size * 1_000_000 // len(line)))
        tracemalloc.start()
        for _ in Texts([path], places=places):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 32_000_000
