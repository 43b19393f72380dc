"""The Python names: load, generate, stream, keras_model."""

import doctest
import pickle

import numpy as np
import pytest

import wordlm
import wordlm.language_model as language_model
from wordlm.errors import OptionError
from wordlm.vocab import EOS


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


def test_doctests(lm):
    result = doctest.testmod(language_model, extraglobs={"lm": lm})
    assert result.failed == 0
    assert result.attempted > 0


def test_generate(lm):
    text = lm.generate("I don't see", max_words=10, seed=1)
    assert text.startswith("I don't see ")
    assert text == lm.generate("I don't see", max_words=10, seed=1)
    assert "".join(lm.stream("I don't see", max_words=10, seed=1)) == text
    assert next(lm.generate_many("I don't see", 3, max_words=10, seed=1)).text == text


def test_many(lm):
    found = list(lm.generate_many(n=4, seed=2, max_words=8))
    assert len(found) == 4
    assert all(1 <= len(text.words) <= 8 for text in found)


def test_texts_come_as_they_are_made(lm):
    found = lm.generate_many(n=10**9, seed=2, max_words=8)
    assert [next(found).text, next(found).text] == [text.text for text in lm.generate_many(n=2, seed=2, max_words=8)]


def test_rules(lm):
    rules = lm.rules(wordlm.SamplingConfig(ban=("dog", "blorpy"), include=("the door",)))
    assert lm.vocabulary.decode(rules.never) == ["<pad>", "<unk>", "dog"]
    assert [lm.vocabulary.decode(phrase) for phrase in rules.include] == [["the", "door"]]
    assert rules.strangers == ("blorpy",)


@pytest.mark.parametrize("call", ["generate", "stream", "generate_many"])
def test_options_are_checked_at_once(lm, call):
    with pytest.raises(OptionError, match="top_q"):
        getattr(lm, call)("I", top_q=3)
    with pytest.raises(OptionError, match="top_p"):
        getattr(lm, call)("I", top_p=3)
    with pytest.raises(OptionError, match="`include` and `ban` contradict each other"):
        getattr(lm, call)("I", include="dog", ban=["dog"])


def test_n_must_be_one_at_least(lm):
    with pytest.raises(OptionError, match="`n` must be at least 1, but is 0"):
        lm.generate_many(n=0)


def test_the_keras_model_says_what_the_engine_says(lm):
    ids = np.array([[EOS, *lm.read_prompt("I don't see").ids]])
    expected = lm.keras_model().predict(ids, verbose=0)
    np.testing.assert_allclose(np.exp(lm.engine.run(ids)[0]), expected, atol=1e-5)


def test_repr_says_what_it_is(lm):
    assert f"{len(lm.vocabulary)} words" in repr(lm)


def test_names_resolve_and_an_unknown_one_does_not():
    for name in wordlm.__all__:
        assert getattr(wordlm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = wordlm.nonsense
    assert set(wordlm.__all__) <= set(dir(wordlm))
    assert pickle.loads(pickle.dumps(wordlm.ModelConfig(units=3))).units == 3
