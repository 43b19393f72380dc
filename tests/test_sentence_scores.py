"""Scores of whole sentences against a plain loop of steps, a sentence at a time."""

import doctest
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import KINDS, VOCABULARY, make_engine

from wordlm import sentence_scores
from wordlm.cache import CachedEngine
from wordlm.config import ModelConfig
from wordlm.errors import OptionError
from wordlm.sentence_scores import score_sentences
from wordlm.vocab import EOS, UNK

V = len(VOCABULARY)
ENGINES = {kind: make_engine(**options) for kind, options in KINDS.items()}
ENGINES["dense"] = make_engine(dense=7, layers=2, cell="gru")
ENGINES["masking"] = make_engine(masking=True)
# A few words, so that sentences share beginnings.
SENTENCES = st.lists(st.lists(st.sampled_from([1, 2, 5, 6, V - 1]), max_size=7), max_size=12)


def one_by_one(engine, sentences):
    """Each sentence by itself, a step at a time."""
    scores = []
    for sentence in sentences:
        score, state = 0.0, engine.initial_state(1)
        for word, following in zip([EOS, *sentence], [*sentence, EOS], strict=True):
            logprobs, state = engine.step([word], state)
            score += float(logprobs[0, following if following < engine.config.vocab_size else UNK])
        scores.append(score)
    return np.array(scores)


class Plain:
    """An engine that has no more than the methods of each one; it counts the rows that it reads."""

    def __init__(self, engine):
        self.config, self.initial_state = engine.config, engine.initial_state
        self.engine, self.rows = engine, []

    def step(self, token_ids, state):
        self.rows.append(len(token_ids))
        return self.engine.step(token_ids, state)


def test_doctests():
    result = doctest.testmod(sentence_scores)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("kind", ENGINES)
@given(sentences=SENTENCES)
@settings(max_examples=30, deadline=None)
def test_any_sentences_score_as_one_by_one(kind, sentences):
    scores = score_sentences(ENGINES[kind], sentences)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, one_by_one(ENGINES[kind], sentences), rtol=1e-5, atol=1e-5)


@given(sentences=SENTENCES)
@settings(max_examples=30, deadline=None)
def test_any_sentences_of_an_engine_that_only_predicts(sentences):
    expected = one_by_one(ENGINES["streams"], sentences)
    np.testing.assert_allclose(score_sentences(Plain(ENGINES["streams"]), sentences), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["streams", "windows", "plain"])
@pytest.mark.parametrize(("name", "limit"), [("_SENTENCES", 1), ("_SENTENCES", 3), ("_WINDOWS", 2), ("_IDS", 10)])
@given(sentences=SENTENCES)
@settings(max_examples=15, deadline=None)
def test_any_sentences_in_small_chunks(kind, name, limit, sentences):
    engine = ENGINES.get(kind) or Plain(ENGINES["streams"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentence_scores, name, limit)
        scores = score_sentences(engine, sentences)
    np.testing.assert_allclose(scores, one_by_one(engine, sentences), rtol=1e-5, atol=1e-5)


def test_a_uniform_model_gives_each_word_its_share():
    engine = make_engine(scale=0)
    scores = score_sentences(engine, [[], [5], [5, 6], [5, 6, 7, 8]])
    np.testing.assert_allclose(scores, -np.log(V) * np.array([1, 2, 3, 5]), rtol=1e-6)


def test_no_sentences():
    assert score_sentences(ENGINES["streams"], []).shape == (0,)


def test_equal_sentences_have_equal_scores():
    # Exactly, since a tie is told from a success.
    sentences = [[5, 6, 7], [8], [5, 6, 7], [], [5, 6], [8], []]
    scores = score_sentences(ENGINES["streams"], sentences)
    assert scores[0] == scores[2]
    assert scores[1] == scores[5]
    assert scores[3] == scores[6]
    assert len(set(scores.tolist())) == 4


def test_sentences_may_be_arrays():
    sentences = [np.array([5, 6], np.int32), (5, 7), np.array([], np.int64), np.array([9], np.uint16)]
    expected = score_sentences(ENGINES["streams"], [[5, 6], [5, 7], [], [9]])
    assert score_sentences(ENGINES["streams"], sentences).tolist() == expected.tolist()


def test_a_beginning_is_read_once():
    engine = Plain(ENGINES["streams"])
    score_sentences(engine, [[5, 6, 7, 8], [5, 6, 7, 9], [5, 6], [5, 6, 7, 8], [5, 9], []])
    # <eos>; 5; 5 6, 5 9; 5 6 7; 5 6 7 8, 5 6 7 9
    assert engine.rows == [1, 1, 2, 1, 2]


def test_predictions_of_many_sentences_are_not_held_at_once(monkeypatch):
    engine = Plain(ENGINES["streams"])
    monkeypatch.setattr(sentence_scores, "_FLOATS", 4 * V)
    sentences = [[number % 7 + 3, number % 11 + 3, number % 5 + 3] for number in range(100)]
    scores = score_sentences(engine, sentences)
    assert max(engine.rows) == 4
    np.testing.assert_allclose(scores, one_by_one(engine.engine, sentences), rtol=1e-5)


def test_a_long_sentence_and_short_ones():
    rng = np.random.default_rng(3)
    sentences = [rng.integers(3, V, length).tolist() for length in (300, 2, 0, 1, 40)]
    sentences.append(sentences[0][:200])
    engine = ENGINES["windows"]
    np.testing.assert_allclose(score_sentences(engine, sentences), one_by_one(engine, sentences), rtol=1e-5)


def test_words_outside_the_vocabulary_are_read_by_their_vectors():
    engine = make_engine().with_words(np.random.default_rng(2).normal(size=(2, 4)))
    sentences = [[V, 5], [V + 1, 5], [1, 5], [V]]
    scores = score_sentences(engine, sentences)
    np.testing.assert_allclose(scores, one_by_one(engine, sentences), rtol=1e-5)
    assert len(set(scores.tolist())) == 4


def test_an_engine_with_a_cache():
    engine = CachedEngine(make_engine(), cache=3, cache_theta=0.3, cache_lambda=0.2)
    sentences = [[5, 6, 5], [5, 6, 5, 6], [7], [5, 6]]
    np.testing.assert_allclose(score_sentences(engine, sentences), one_by_one(engine, sentences), rtol=1e-5)


def test_an_engine_that_keras_runs():
    from wordlm.keras_engine import KerasEngine
    from wordlm.model import build_model

    engine = KerasEngine(build_model(ModelConfig(vocab_size=9, embedding_dim=4, units=3, dense=0, context=5)))
    sentences = [[5, 6, 5], [5, 6, 5, 6, 7, 8, 3], [7], [5, 6], []]
    np.testing.assert_allclose(score_sentences(engine, sentences), one_by_one(engine, sentences), rtol=1e-5)


def test_progress_tells_how_many_are_done(monkeypatch):
    monkeypatch.setattr(sentence_scores, "_SENTENCES", 2)
    told = []
    score_sentences(ENGINES["streams"], [[5], [6], [7], [5], [5]], progress=told.append)
    assert told == [4, 5]


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ([5, 0], "must be those of words, from 1 on, but one goes from 0 to 5; use the model's own vocabulary"),
        ([-1], "must be those of words, from 1 on"),
        ([1 << 40], "must be those of words, from 1 on"),
        ([5, V], f"token ids must be between 0 and {V - 1}"),
        ([0.5], "a sentence must be a list of token ids, but is [0.5]"),
        ([[5], [6]], "a sentence must be a list of token ids, but is [[5], [6]]"),
        (5, "a sentence must be a list of token ids, but is 5"),
        ("he", "a sentence must be a list of token ids, but is he"),
    ],
)
def test_ids_that_are_none(sentence, says):
    with pytest.raises(OptionError, match=re.escape(says)):
        score_sentences(ENGINES["streams"], [[5], sentence])
