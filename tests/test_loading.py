"""Models out of their folders and out of Keras."""

import doctest

import pytest

import wordlm
from wordlm import loading
from wordlm.engine import Engine
from wordlm.errors import BundleError, OptionError


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


def test_examples():
    result = doctest.testmod(loading)
    assert result.failed == 0
    assert result.attempted > 3


def test_nothing_there():
    with pytest.raises(BundleError, match="there is no model at nowhere"):
        wordlm.load("nowhere")


def test_a_keras_model_of_ones_own(lm):
    model = lm.keras_model()
    own = wordlm.from_keras(model, lm.vocabulary.tokens, lm.tokenizer.config)
    assert isinstance(own.engine, Engine)
    assert own.generate("I don't see", max_words=10, seed=1) == lm.generate("I don't see", max_words=10, seed=1)
    assert own.keras_model() is model
    assert repr(own) == f"<LanguageModel 'from Keras': {len(lm.vocabulary):,} words>"
    with pytest.raises(OptionError, match="`tokens` must be as many as the model predicts, which are"):
        wordlm.from_keras(model, lm.vocabulary.tokens[:-1])


def test_a_keras_model_that_only_keras_runs():
    keras = pytest.importorskip("keras")
    model = keras.Sequential([
        keras.Input((None,)),
        keras.layers.Embedding(7, 4),
        keras.layers.LSTM(3),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(7, "softmax"),
    ])  # fmt: skip
    with pytest.warns(UserWarning, match="each word costs a call of Keras"):
        lm = wordlm.from_keras(model, ["<pad>", "<unk>", "<eos>", "It", "was", "dark", "."])
    texts = [text.text for text in lm.generate_many("It was", 3, max_words=3, seed=1)]
    assert texts == [text.text for text in lm.generate_many("It was", 3, max_words=3, seed=1)]
    assert all(text.startswith("It was") for text in texts)
    assert lm.generate(include="dark", max_words=4, seed=1).count("dark") >= 1
    with pytest.raises(OptionError, match="`cache` needs a model that NumPy runs"):
        lm.generate(cache=5)
