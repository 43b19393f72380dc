"""Vectors out of any file, what gensim alone reads, neighbours, and training."""

import doctest
import hashlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from vector_samples import BINARY, GLOVE, MATRIX, WORDS, load_content, vocabulary

import wordlm.vectors
from wordlm.embedding import vectors_from_words
from wordlm.errors import OptionError, VectorError
from wordlm.vectors import convert, load_vectors, nearest, train_vectors


@pytest.fixture
def load(tmp_path):
    return partial(load_content, tmp_path)


def test_examples():
    results = doctest.testmod(wordlm.vectors)
    assert results.failed == 0
    assert results.attempted > 8


def test_gensim_reads_the_same(tmp_path, load):
    """Files that gensim wrote, and gensim's reading of ours."""
    from gensim.models import KeyedVectors

    kv = KeyedVectors(5)
    kv.add_vectors(["new_york" if w == "new york" else w for w in WORDS], MATRIX)
    for binary in (True, False):
        kv.save_word2vec_format(str(tmp_path / "w2v"), binary=binary)
        vectors = load_vectors(tmp_path / "w2v", vocabulary("whale", "naïve"))
        np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[5, 3]])
    (tmp_path / "ours").write_bytes(BINARY)
    np.testing.assert_array_equal(KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=True)["nan"], MATRIX[7])


def test_pickle_only_if_trusted(tmp_path):
    from gensim.models import KeyedVectors, Word2Vec

    path = tmp_path / "vectors.kv"
    kv = KeyedVectors(5)
    kv.add_vectors(WORDS, MATRIX)
    kv.save(str(path))
    with pytest.raises(VectorError, match=r"pickle.*--trust-pickle"):
        load_vectors(path, vocabulary("the"))
    for do in (nearest, convert):
        with pytest.raises(VectorError, match="--trust-pickle"):
            do(path, str(tmp_path / "out"))
    np.testing.assert_array_equal(load_vectors(path, vocabulary("the"), trust_pickle=True).matrix[3], MATRIX[0])
    assert nearest(path, "the", k=1, trust_pickle=True)

    model = Word2Vec([["a", "b"]], vector_size=5, min_count=1, workers=1)
    model.save(str(path))
    np.testing.assert_array_equal(load_vectors(path, vocabulary("a"), trust_pickle=True).matrix[3], model.wv["a"])


def test_pickle_that_is_something_else(tmp_path):
    import pickle

    (tmp_path / "x.kv").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(VectorError, match="does not hold gensim's word vectors"):
        load_vectors(tmp_path / "x.kv", vocabulary("a"), trust_pickle=True)


def test_fasttext_bin_and_subwords():
    from gensim.models.fasttext import load_facebook_vectors
    from gensim.test.utils import datapath

    path = datapath("crime-and-punishment.bin")
    reference = load_facebook_vectors(path)
    words = [*reference.index_to_key[:5], "landladyship", "x"]
    assert "landladyship" not in reference.key_to_index
    vectors = load_vectors(path, vocabulary(*words), missing="subword")
    np.testing.assert_array_equal(vectors.matrix[3:8], reference.vectors[:5])
    np.testing.assert_array_equal(vectors.matrix[8], reference.get_vector("landladyship"))
    assert vectors.found[3:].tolist() == [True] * 5 + [False] * 2
    assert vectors.matrix[9].any()
    assert nearest(path, "landladyship", k=1)[0][1] > 0.5

    text = load_vectors(datapath("crime-and-punishment.vec"), vocabulary(*words))
    np.testing.assert_allclose(text.matrix[3:8], reference.vectors[:5], atol=1e-4)


def test_damaged_fasttext_bin(load):
    with pytest.raises(VectorError, match=r"fastText \.bin, but damaged"):
        load(b"\xba\x16\x4f\x2f" + bytes(20), "the")


def test_nearest_is_the_cosine(load, tmp_path):
    load(GLOVE, "the")
    result = nearest(tmp_path / "vectors.txt", "Whale", k=3)
    unit = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)
    cosines = {w: float(c) for w, c in zip(WORDS, unit @ unit[5], strict=True) if w != "whale"}
    assert [w for w, _ in result] == sorted(cosines, key=cosines.get, reverse=True)[:3]
    np.testing.assert_allclose([c for _, c in result], sorted(cosines.values(), reverse=True)[:3], rtol=1e-5)
    assert len(nearest(tmp_path / "vectors.txt", "the", k=100)) == len(WORDS) - 1
    with pytest.raises(VectorError, match="no vector for 'Qxqx'"):
        nearest(tmp_path / "vectors.txt", "Qxqx")
    with pytest.raises(OptionError, match="`k` must be at least 1"):
        nearest(tmp_path / "vectors.txt", "the", k=0)


TWO_TOPICS = [["cat", "dog", "fur", "paw", "tail"], ["sun", "moon", "star", "sky", "light"]]


def sentences(n=400):
    rng = np.random.default_rng(0)
    return [rng.permutation(TWO_TOPICS[i % 2]).tolist() for i in range(n)] + [["once"]]


def test_training_learns_and_reports():
    seen = []
    words, matrix = train_vectors(sentences(), dim=8, epochs=60, progress=lambda *done: seen.append(done))
    assert seen == [(i + 1, 60) for i in range(60)]
    assert sorted(words) == sorted(TWO_TOPICS[0] + TWO_TOPICS[1])
    assert matrix.shape == (10, 8)
    unit = dict(zip(words, matrix / np.linalg.norm(matrix, axis=1, keepdims=True), strict=True))
    assert unit["cat"] @ unit["dog"] > unit["cat"] @ unit["moon"] + 0.2
    vectors = vectors_from_words(words, matrix, vocabulary("Cat", "once"), np.array([0, 0, 0, 3, 1]))
    assert vectors.coverage.tokens == 0.75
    assert (vectors.name, vectors.sha256) == ("corpus", None)
    np.testing.assert_array_equal(vectors.matrix[3], matrix[words.index("cat")])


def test_training_again_gives_the_same():
    """In another process too, where Python hashes strings otherwise."""
    code = (
        "import sys, hashlib; sys.path.insert(0, 'tests'); from test_vectors import *;"
        "words, matrix = train_vectors(sentences(60), dim=4, seed=3);"
        "print(words, hashlib.sha256(matrix.tobytes()).hexdigest())"
    )
    root = Path(__file__).parents[1]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    words, matrix = train_vectors(sentences(60), dim=4, seed=3)
    assert outputs == [f"{words} {hashlib.sha256(matrix.tobytes()).hexdigest()}\n"] * 2
    assert not np.array_equal(matrix, train_vectors(sentences(60), dim=4, seed=4)[1])


def test_long_sentences_are_not_cut():
    words, _ = train_vectors([["a"] * 10_000 + ["b"] * 10_000], dim=2, epochs=1)
    assert sorted(words) == ["a", "b"]
    assert [len(piece) for piece in wordlm.vectors._Pieces([["a"] * 25_000, []])] == [10_000, 10_000, 5_000]


def test_training_on_too_little():
    for text in ([], [[]], [["a", "b"]]):
        with pytest.raises(VectorError, match="too small to train vectors on"):
            train_vectors(text)
    with pytest.raises(VectorError, match="gone through once per epoch"):
        train_vectors(iter([["a", "a"]]))


def test_import_needs_neither_gensim_nor_pyarrow():
    code = "import sys, wordlm.vectors; print(*sorted({'gensim', 'pyarrow', 'keras', 'zstandard'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_missing_path_and_folder(tmp_path):
    with pytest.raises(VectorError, match=r"no vectors 'glove-6b-100d': give glove-6b-50d"):
        load_vectors("glove-6b-100d", vocabulary("the"))
    with pytest.raises(VectorError, match=r"folder without vectors\.npy"):
        load_vectors(tmp_path, vocabulary("the"))
