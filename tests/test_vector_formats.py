"""Formats that are rows: each against the same matrix, and each in every kind of damage."""

import bz2
import doctest
import gzip
import hashlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_samples import BINARY, GLOVE, LINES, MATRIX, WORD2VEC, WORDS, load_content, vocabulary

from wordlm import vector_formats
from wordlm.embedding import Coverage
from wordlm.errors import VectorError
from wordlm.vectors import load_vectors


@pytest.fixture
def load(tmp_path):
    return partial(load_content, tmp_path)


def test_examples():
    results = doctest.testmod(vector_formats)
    assert results.failed == 0
    assert results.attempted > 0


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        WORD2VEC,
        GLOVE.replace("\n", " \n"),  # as word2vec and fastText end their rows
        GLOVE.replace("\n", "\r\n"),
        "\ufeff" + GLOVE,
        WORD2VEC.replace("\n", " \r\n"),
    ],
)
def test_text_formats_give_the_same_matrix(load, content):
    vectors = load(content, *WORDS)
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX)
    assert vectors.found[3:].all()
    assert vectors.coverage == Coverage(1.0, 1.0, [])
    assert vectors.warnings == []
    assert vectors.matrix.dtype == np.float32
    assert not vectors.matrix[0].any()


@pytest.mark.parametrize("ends", [b"\n", b""])
def test_word2vec_binary(load, ends):
    rows = zip(WORDS, MATRIX, strict=True)
    content = b"8 5\n" + b"".join(w.replace(" ", "_").encode() + b" " + row.tobytes() + ends for w, row in rows)
    vectors = load(content, "new_york", "nan", "the")
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[2, 7, 0]])
    assert vectors.warnings == []


def test_word2vec_binary_longer_than_a_block(load):
    """Rows that lie across the blocks of the file, with bytes in the numbers that look like blanks and line ends."""
    matrix = np.random.default_rng(1).integers(0, 2**23, size=(2000, 300), dtype=np.int32).view(np.float32)
    words = [f"w{i}" for i in range(2000)]
    content = b"2000 300\n" + b"".join(w.encode() + b" " + r.tobytes() for w, r in zip(words, matrix, strict=True))
    np.testing.assert_array_equal(load(content, *words).matrix[3:], matrix)


def test_real_glove_file(shared_data):
    path = shared_data / "vectors" / "glove.6B.100d.top2604.txt"
    vectors = load_vectors(path, vocabulary("The", "of", "part", "Qxqx"))
    rows = {
        line.split()[0]: np.array(line.split()[1:], dtype=np.float32)
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    np.testing.assert_array_equal(vectors.matrix[3:6], [rows["the"], rows["of"], rows["part"]])
    assert vectors.found.tolist() == [False, False, False, True, True, True, False]
    assert vectors.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_words_with_spaces_and_numbers(load):
    rows = [". . . 0.1 0.2 0.3", "route 66 1 2 3", "7 4 5 6", "at a@b.c 7 8 9", "end 1 1 1"]
    vectors = load("\n".join(rows) + "\n", ". . .", "route 66", "7", "at a@b.c", "end")
    np.testing.assert_allclose(vectors.matrix[3:], [[0.1, 0.2, 0.3], [1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]])


DAMAGED = {
    "short row": (
        GLOVE.replace(LINES[4], LINES[4].rsplit(" ", 2)[0]),
        r"line 5: the row has 3 numbers, but must have 5",
    ),
    "long row": (GLOVE.replace(LINES[4], LINES[4] + " 0.12345"), r"line 5: the row has more than 5 numbers"),
    "cut in a row": (GLOVE[:-30], r"line 8: the file is cut short"),
    "no number": (GLOVE.replace(LINES[5], "whale 1 2 x 4 5"), r"line 6: could not convert .*'x'"),
    "nan": (GLOVE.replace(LINES[5], "whale 1 2 nan 4 5"), r"line 6: .*'whale'.*not finite"),
    "inf": (GLOVE.replace(LINES[5], "whale 1 2 -inf 4 5"), r"line 6: .*not finite"),
    "too large": (GLOVE.replace(LINES[5], "whale 1 2 1e39 4 5"), r"line 6: .*not finite"),
    "nan, binary": (BINARY.replace(MATRIX[5].tobytes(), np.full(5, np.nan, "f4").tobytes()), r"row 6: .*not finite"),
    "fewer rows than the header says": (WORD2VEC.replace("8 5", "9 5"), r"promises 9 rows, but it has 8"),
    "header alone": ("9 5\n", r"promises 9 rows, but it has 0"),
    "cut binary": (BINARY[:-9], r"promises 8 rows, but it ends in row 8"),
    "shifted binary": (BINARY[:30] + BINARY[31:], r"row \d: this is not a word|cut short"),
    "prose": ("It was the best of times,\nit was the worst of times.\n" * 50, "not a file of word vectors"),
    "empty": ("", "is empty"),
    "blank": ("\n \n", "is empty"),
    "rubbish": (bytes(range(256)) * 2000, "not a file of word vectors"),
    "no line ends": ("x" * 10_000_000, "not a file of word vectors"),
    "cut gzip": (gzip.compress(GLOVE.encode() * 2000)[:-2000], "damaged"),
    "cut bzip2": (bz2.compress(GLOVE.encode() * 2000)[:-200], "damaged"),
    "bare matrix": (b"\x93NUMPY" + bytes(300), "not a file of word vectors"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_clear_line(load, content, message):
    with pytest.raises(VectorError, match=message) as caught:
        load(content, *WORDS, "new_york")
    assert "vectors.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_really_truncated_file(shared_data):
    path = shared_data / "messy" / "glove.6B.100d.truncated_mid_row.txt"
    with pytest.raises(VectorError, match=r"truncated_mid_row\.txt, line 154: the file is cut short"):
        load_vectors(path, vocabulary("the"))


@given(st.binary(max_size=400), st.sampled_from([b"", b"2 3\n", b"a 1 2\n", BINARY[:40], GLOVE.encode()[:200]]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, before):
    path = tmp_path_factory.mktemp("v") / "v"
    path.write_bytes(before + data)
    try:
        vectors = load_vectors(path, vocabulary("a", "the"))
    except VectorError:
        return
    assert np.isfinite(vectors.matrix).all()


def test_harmless_faults_are_warnings(load):
    twice = load(GLOVE + "the 9 9 9 9 9\n", "the", "The")
    np.testing.assert_array_equal(twice.matrix[3], MATRIX[0])
    assert len(twice.warnings) == 1
    assert "1 words of the vocabulary stand there again, 'the'" in twice.warnings[0]
    (warning,) = load(GLOVE.removesuffix("\n"), "the").warnings
    assert "line 8: the last line has no end" in warning
    (warning,) = load(WORD2VEC.replace("8 5", "7 5"), "the").warnings
    assert "8 rows, 1 more than its header says" in warning
    (warning,) = load(BINARY.replace(b"8 5", b"7 5"), "the").warnings
    assert "goes on after the 7 rows" in warning
