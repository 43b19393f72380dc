"""Opened vector files: what is decompressed, and how rows come out."""

import bz2
import doctest
import gzip
import hashlib
import io
import lzma
import zipfile
from functools import partial

import numpy as np
import pytest
import zstandard
from vector_samples import BINARY, GLOVE, MATRIX, WORD2VEC, WORDS, load_content, vocabulary

from wordlm import vector_files
from wordlm.errors import VectorError
from wordlm.vector_files import open_table, read_lines
from wordlm.vectors import load_vectors


@pytest.fixture
def load(tmp_path):
    return partial(load_content, tmp_path)


def test_examples():
    results = doctest.testmod(vector_files)
    assert results.failed == 0
    assert results.attempted > 2


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.txt", data)
    return out.getvalue()


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress, zipped]
)
@pytest.mark.parametrize("content", [WORD2VEC.encode(), BINARY])
def test_compressed_whatever_the_name(load, compress, content):
    data = compress(content)
    vectors = load(data, "the", "nan")
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[0, 7]])
    assert vectors.sha256 == hashlib.sha256(data).hexdigest()


def test_an_archive_of_several_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", GLOVE)
        archive.writestr("b.txt", GLOVE)
    with pytest.raises(VectorError, match=r"holds 2 files \(a\.txt, b\.txt\)"):
        load_vectors(tmp_path / "two.zip", vocabulary("the"))


def test_batches_hold_every_row_once_and_in_order(monkeypatch):
    monkeypatch.setattr(vector_files, "_BATCH", 3)
    table = open_table("mine", None, lambda: (word.encode() for word in WORDS), MATRIX)
    batches = list(table.batches())
    assert [len(words) for words, _ in batches] == [3, 3, 2]
    assert [word.decode() for words, _ in batches for word in words] == WORDS
    np.testing.assert_array_equal(np.concatenate([block for _, block in batches]), MATRIX)
    (words, block), *rest = table.batches({b"whale", b"nothing"})
    assert (words, rest) == ([b"whale"], [])
    np.testing.assert_array_equal(block, MATRIX[[5]])
    assert table.sha256() is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_lie_across_blocks(tmp_path, monkeypatch, size):
    (tmp_path / "lines").write_bytes(b"ab\n\ncdefghi\r\nj")
    monkeypatch.setattr(vector_files, "_BLOCK", size)
    expected = [(1, b"ab", True), (2, b"", True), (3, b"cdefghi\r", True), (4, b"j", False)]
    assert list(read_lines(tmp_path / "lines", "lines")) == expected


def test_a_line_that_never_ends_is_refused(tmp_path, monkeypatch):
    (tmp_path / "lines").write_bytes(b"a\n" + b"b" * 100)
    monkeypatch.setattr(vector_files, "_LONGEST_LINE", 50)
    with pytest.raises(VectorError, match="lines, line 2: a line of more than 50 bytes"):
        list(read_lines(tmp_path / "lines", "lines"))
