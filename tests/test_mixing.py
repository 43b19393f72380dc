"""N-grams and mixtures of a model: where they come from, and how they are kept."""

import json
import math
import shutil

import numpy as np
import pytest
from trained import TINY

import wordlm
from wordlm.errors import BundleError, OptionError

WORDS = "I don't see it."


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


@pytest.fixture
def own(trained, tmp_path):
    """The model in a folder of the test's own."""
    shutil.copytree(trained, tmp_path / "model")
    return wordlm.load(tmp_path / "model")


def total(rows):
    return math.fsum(row.surprisal for row in rows)


def test_ngrams_must_come_from_somewhere(lm, text):
    assert lm.ngram is None
    for ask in (lambda: lm.score(WORDS, ngram=True), lambda: lm.tune_mixture(text)):
        with pytest.raises(OptionError, match="the model has no n-grams: give its training text, with `train`"):
            ask()
    assert lm.evaluate(text).baselines == {"unigram": None, "kneser_ney": None}


def test_ngrams_of_a_training_text(lm, trained, text):
    story_path = trained.parent / "story.txt"
    ngram = lm.fit_ngram(story_path)
    assert ngram.order == 5
    rows = lm.score(WORDS, ngram=True, train=ngram)
    assert rows == lm.score(WORDS, ngram=True, train=story_path)
    assert all(row.ngram_surprisal > 0 for row in rows)
    ids = lm.vocabulary.encode(lm.tokenizer.tokenize(WORDS))
    expected = -ngram.target_logprobs(np.array([*ids, 2])) / math.log(2)
    np.testing.assert_allclose([row.ngram_surprisal for row in rows], expected)
    baselines = lm.evaluate(text, train=ngram).baselines
    assert 1 < baselines["kneser_ney"] < baselines["unigram"]


def test_ngrams_of_another_model(lm, text):
    from wordlm.ngram import KneserNey

    other = KneserNey.fit([3, 2], vocab_size=5, order=2)
    with pytest.raises(OptionError, match=r"`train` must be n-grams of this model's .* words, but has 5"):
        lm.evaluate(text, train=other)


def test_ngrams_that_were_saved(text, tmp_path):
    lm = wordlm.train(text, tmp_path / "counted", with_ngram=True, **TINY)
    assert lm.ngram.vocab_size == len(lm.vocabulary)
    assert lm.score(WORDS, ngram=True)[0].ngram_surprisal > 0
    assert lm.evaluate(text).baselines["kneser_ney"] > 1


def test_a_mixture_is_tuned_once_and_kept(own, trained, text):
    with pytest.raises(OptionError, match="`mix` needs the shares of the mixture, which were not tuned yet"):
        own.evaluate(text, mix=True, train=trained.parent / "story.txt")
    ngram = own.fit_ngram(trained.parent / "story.txt")
    mixture = own.tune_mixture(text, train=ngram)
    assert own.mixture == mixture
    assert mixture.weights.sum() == pytest.approx(1)
    again = wordlm.load(own.path)
    assert again.mixture == mixture
    assert json.loads((own.path / "metadata.json").read_text())["mixture"] == mixture.to_dict()
    assert again.metadata["created"] == own.metadata["created"]
    found = again.evaluate(text, mix=True, train=ngram)
    # No worse than its best part on the text that it was tuned on.
    assert found.perplexity <= min(found.parts.values()) + 1e-6
    assert found.parts["lstm"] == pytest.approx(again.evaluate(text).perplexity, rel=1e-6)
    rows = list(again.score_files(text, mix=True, train=ngram))
    assert total(rows) / len(rows) == pytest.approx(found.bits_per_word, rel=1e-9)


def test_a_model_of_keras_alone_cannot_be_mixed(lm, text, trained):
    class Other:
        config = lm.engine.config

    ngram = lm.fit_ngram(trained.parent / "story.txt")
    lm.engine = Other()
    with pytest.raises(OptionError, match="`mix` needs a model that NumPy runs"):
        lm.tune_mixture(text, train=ngram)


@pytest.mark.parametrize("garbage", ["x", {}, {"lstm": 10**400, "kneser_ney": 0, "cache": 0}, None])
def test_a_damaged_mixture(own, garbage):
    if garbage and "lstm" in garbage:
        garbage = garbage | {"cache_words": 1, "cache_theta": 1.0}
    own.metadata["mixture"] = garbage
    with pytest.raises(BundleError, match=r"model: .*tune it again, by wordlm evaluate .*--tune VALID$"):
        _ = own.mixture


def test_a_model_that_cannot_be_written_is_not_tuned(own, text, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(BundleError, match="where the shares of the mixture are kept: copy the model first"):
        own.tune_mixture(text)


def test_a_training_text_is_of_its_own_kind(lm, trained, tmp_path):
    """The text that is asked about may be lines; what the model was trained on is what it was."""
    story_path = trained.parent / "story.txt"
    lines = tmp_path / "lines.txt"
    lines.write_text("I don't see it.\nhe took a lamp.\n")
    expected = lm.fit_ngram(story_path)
    options = {"ngram": True, "kind": "lines"}
    found = list(lm.score_files(lines, train=story_path, **options))
    assert found == list(lm.score_files(lines, train=expected, **options))
    records = tmp_path / "rows.jsonl"
    records.write_text(json.dumps({"line": "I don't see it."}) + "\n")
    rows = lm.score_files(records, ngram=True, field="line", train=story_path)
    assert [row.ngram_surprisal for row in rows] == [row.ngram_surprisal for row in found[:7]]
