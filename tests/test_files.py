"""Files: what is found, how it is unpacked and decoded."""

import bz2
import doctest
import gzip
import hashlib
import lzma
import os

import pytest
import zstandard
from text_samples import read, refusal, write

from wordlm import files, prose
from wordlm.text import Texts


def test_examples():
    results = doctest.testmod(files)
    assert results.attempted > 0
    assert results.failed == 0


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


def test_no_path_and_no_stdin(monkeypatch):
    assert refusal("").startswith("'': there is no such file")
    monkeypatch.setattr("sys.stdin", None)  # as with `<&-`
    assert refusal("-") == "stdin: it is closed; give a file, or text there"
