"""Guesses at an encoding, and the message that shows them."""

import doctest

import pytest
from text_samples import read, refusal, write

from wordlm import charset


def test_examples():
    results = doctest.testmod(charset)
    assert results.attempted > 0
    assert results.failed == 0


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


def test_what_no_encoding_reads():
    assert charset.likely_encodings(b"") == []
    assert charset.likely_encodings(b"plain ASCII has nothing to judge by") == []
    for limit in (1, 2):
        assert len(charset.likely_encodings("Größe, Fluß und Öl".encode("cp1252"), limit)) <= limit
