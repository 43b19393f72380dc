"""Scores of whole sentences against a plain loop of steps, a sentence at a time."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import KINDS, VOCABULARY, make_engine

from wordlm import sentence_scores
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
    """An engine that has no more than the three methods of each one."""

    def __init__(self, engine):
        self.config, self.initial_state, self.step, self.run = (
            engine.config,
            engine.initial_state,
            engine.step,
            engine.run,
        )


def test_doctests():
    assert doctest.testmod(sentence_scores).failed == 0


@pytest.mark.parametrize("kind", ENGINES)
@given(sentences=SENTENCES)
@settings(max_examples=30, deadline=None)
def test_any_sentences_score_as_one_by_one(kind, sentences):
    scores = score_sentences(ENGINES[kind], sentences)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, one_by_one(ENGINES[kind], sentences), rtol=1e-5, atol=1e-5)
