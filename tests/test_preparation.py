"""Texts to ids and vectors, with word of the progress."""

from pathlib import Path

import pytest
from trained import story

import wordlm.preparation as preparation
from wordlm.config import configure
from wordlm.errors import OptionError, VectorError


class Listener:
    def __init__(self):
        self.messages, self.shares = [], []

    def message(self, text):
        self.messages.append(text)

    def reading(self, part, tokens, share):
        self.shares.append((part, share))


def test_the_share_that_is_read_rises_to_the_end(tmp_path):
    paths = {"train": tmp_path / "train.txt", "valid": tmp_path / "valid.txt"}
    paths["train"].write_text(story(50_000))
    paths["valid"].write_text(story(5_000))
    options = configure()
    sources = {name: preparation.find_texts(path, options) for name, path in paths.items()}
    listener = Listener()
    preparation.read_corpus(tmp_path / "corpus", sources, options, listener)
    for part in paths:
        shares = [share for name, share in listener.shares if name == part]
        assert shares == sorted(shares)
        assert shares[-1] == 1
    assert listener.shares[0][1] < 1


def test_coverage_knows_what_the_vectors_lack(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(story().replace("lamp", "Xqzzy"))
    found = preparation.cover(book, listener=Listener())
    assert [word for word, _ in found.coverage.missing] == ["Xqzzy"]
    assert found.coverage.missing[0][1] == story().count("lamp")


def test_vectors_of_a_text_hold_all_its_words(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(story() + "\n\nonce\n")
    assert preparation.make_vectors(book, tmp_path / "v", embedding_dim=3, epochs=1, listener=Listener()) == len(
        (tmp_path / "v" / "words.txt").read_text().split("\n")[:-1]
    )
    words = (tmp_path / "v" / "words.txt").read_text().split()
    assert "Holmes" in words
    assert "once" not in words  # fewer than two of it
    preparation.make_vectors(
        book, tmp_path / "v", overwrite=True, embedding_dim=3, epochs=1, min_count=1, listener=Listener()
    )
    assert "once" in (tmp_path / "v" / "words.txt").read_text().split()


def test_vectors_are_not_overwritten(tmp_path):
    (tmp_path / "v").mkdir()
    with pytest.raises(VectorError, match="--overwrite"):
        preparation.make_vectors("nothing.txt", tmp_path / "v")


@pytest.mark.parametrize("spec", ["none", "corpus", "glove-6b-50d", "~"])
def test_vectors_that_may_be_there(spec):
    preparation.check_vectors(spec)


def test_no_text_at_all():
    with pytest.raises(OptionError, match="at least one text"):
        preparation.find_texts([], configure())


def test_a_path_may_be_of_either_kind(tmp_path):
    (tmp_path / "a.txt").write_text(story())
    for paths in (tmp_path / "a.txt", str(tmp_path / "a.txt"), [Path(tmp_path)]):
        assert len(preparation.find_texts(paths, configure()).files) == 1
