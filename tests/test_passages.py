"""Paragraphs as a model reads them."""

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wordlm import passages
from wordlm.config import TextConfig
from wordlm.passages import read_passages
from wordlm.text import Paragraph, Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import SPECIALS, Vocabulary

VOCABULARY = Vocabulary([*SPECIALS, "a", "dark", "n't", "."])


def read(*texts, extra=None, kind="prose"):
    paragraphs = [Paragraph(7, text) for text in texts]
    return list(read_passages(paragraphs, Tokenizer(TextConfig(kind=kind)), VOCABULARY, extra or {}))


def test_examples():
    results = doctest.testmod(passages)
    assert results.attempted > 0
    assert results.failed == 0


def test_tokens_are_as_typed_and_unknown_ones_have_their_own_input():
    (passage,) = read("A dark, dark <unk> isn't a knight.", extra={"knight": 7, "is": 9})
    assert passage.tokens == ["A", "dark", ",", "dark", "<", "unk", ">", "is", "n't", "a", "knight", "."]
    assert passage.targets.tolist() == [1, 4, 1, 4, 1, 1, 1, 1, 5, 3, 1, 6, 2]
    assert passage.inputs.tolist() == [1, 4, 1, 4, 1, 1, 1, 9, 5, 3, 7, 6, 2]
    assert passage.document == 7
    assert passage.pieces is None
    assert passage.inputs.dtype == passage.targets.dtype == np.int64


def test_a_blank_line_is_an_end_alone(tmp_path):
    (tmp_path / "a.txt").write_text("a dark\n\n<unk> a\n")
    config = TextConfig(kind="pretokenized")
    lines = read_passages(Texts([tmp_path / "a.txt"], config), Tokenizer(config), VOCABULARY)
    assert [passage.targets.tolist() for passage in lines] == [[3, 4, 2], [2], [1, 3, 2]]


def test_nothing_is_read_ahead():
    def endless():
        while True:
            yield Paragraph(0, "a dark")

    assert next(read_passages(endless(), Tokenizer(), VOCABULARY)).tokens == ["a", "dark"]


@given(st.lists(st.text(), max_size=3), st.sampled_from(["prose", "pretokenized"]))
def test_ids_fit_the_tokens(texts, kind):
    for passage in read(*texts, kind=kind, extra={"0": 7}):
        assert len(passage.tokens) + 1 == len(passage.inputs) == len(passage.targets)
        assert passage.targets[-1] == 2
        differs = passage.inputs != passage.targets
        assert [token == "0" for token in passage.tokens] == differs[:-1].tolist()
