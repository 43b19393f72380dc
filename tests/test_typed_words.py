"""Rows of tokens and of words as typed."""

import dataclasses
import doctest
import math
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wordlm import typed_words as module
from wordlm.config import TextConfig
from wordlm.measures import Measures
from wordlm.ngram import KneserNey
from wordlm.passages import read_passages
from wordlm.text import Texts, read_paragraphs
from wordlm.tokenizer import Tokenizer
from wordlm.typed_words import TypedWord, WordScore, typed_words, word_scores
from wordlm.vocab import SPECIALS, Vocabulary

VOCABULARY = Vocabulary([*SPECIALS, "do", "n't", "a", "dog", "."])


def score(paragraphs, config, reductions=False):
    """Passages with measures that tell each token from the others: powers of a half, as far as they go."""
    for passage in read_passages(paragraphs, Tokenizer(config), VOCABULARY):
        numbers = np.arange(len(passage.targets), dtype=float)
        measures = Measures(0.5**numbers, numbers, 1 + numbers.astype(int), numbers)
        yield passage, measures, -numbers if reductions else None


def score_text(text, reductions=False, **options):
    config = TextConfig(**options)
    return list(score(read_paragraphs(text, config, places=True), config, reductions))


def test_examples():
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_a_row_for_each_token():
    rows = list(word_scores(score_text("Don't.\n\nA dog", reductions=True)))
    assert rows == [
        WordScore(1, 1, "Do", 1.0, 0.0, 1, True, -0.0),
        WordScore(1, 2, "n't", 0.5, 1.0, 2, False, -1.0),
        WordScore(1, 3, ".", 0.25, 2.0, 3, False, -2.0),
        WordScore(1, 4, "<eos>", 0.125, 3.0, 4, False, -3.0),
        WordScore(2, 1, "A", 1.0, 0.0, 1, True, -0.0),
        WordScore(2, 2, "dog", 0.5, 1.0, 2, False, -1.0),
        WordScore(2, 3, "<eos>", 0.25, 2.0, 3, False, -2.0),
    ]
    for row in rows:
        assert [type(value) for value in dataclasses.astuple(row)][:8] == [
            int,
            int,
            str,
            float,
            float,
            int,
            bool,
            float,
        ]


def test_a_row_for_each_word_as_typed():
    text = "  \"I don't,\r\n\r\nA  dog."
    rows = list(typed_words(score_text(text, reductions=True)))
    assert rows == [
        TypedWord(1, 1, '"I', 2, 4, 1.5, True, 2, 1, -1.0),
        TypedWord(1, 2, "don't,", 5, 11, 0.25 + 0.125 + 0.0625, True, 3, 1, -9.0),
        TypedWord(1, 3, "<eos>", 11, 11, 0.5**5, False, 1, 1, -5.0),
        TypedWord(2, 1, "A", 15, 16, 1.0, True, 1, 1, -0.0),
        TypedWord(2, 2, "dog.", 18, 22, 0.75, False, 2, 1, -3.0),
        TypedWord(2, 3, "<eos>", 22, 22, 0.125, False, 1, 1, -3.0),
    ]
    kinds = [int, int, str, int, int, float, bool, int, int, float]
    for row in rows:
        assert [type(value) for value in dataclasses.astuple(row)][:10] == kinds


def test_pretokenized_words_are_tokens():
    rows = list(typed_words(score_text("a\u00a0b don't  <unk>\n\n dog\n", kind="pretokenized")))
    assert [(row.word, row.start, row.end, row.oov, row.tokens) for row in rows] == [
        ("a\u00a0b", 0, 3, True, 1), ("don't", 4, 9, True, 1), ("<unk>", 11, 16, True, 1), ("<eos>", 16, 16, False, 1),
        ("<eos>", 17, 17, False, 1), ("dog", 19, 22, False, 1), ("<eos>", 22, 22, False, 1),
    ]  # fmt: skip
    assert [row.sentence_id for row in rows] == [1, 1, 1, 1, 2, 3, 3]


def test_broken_and_normalized_words_have_their_place():
    text = "A dark and stor-\n my cafe\u0301 in soft\u00adness\ufeff,\n\u200ewell--\nknown."
    rows = [row for row in typed_words(score_text(text)) if row.word != "<eos>"]
    assert [(row.word, text[row.start : row.end]) for row in rows] == [
        ("A", "A"), ("dark", "dark"), ("and", "and"), ("stormy", "stor-\n my"), ("café", "cafe\u0301"), ("in", "in"),
        ("softness,", "soft\u00adness\ufeff,"), ("well--known.", "well--\nknown."),
    ]  # fmt: skip


def test_folded_words_are_as_typed():
    rows = list(typed_words(score_text("A DON'T İİ, ΣΑΣ. DOG", lowercase=True)))
    assert [(row.word, row.tokens) for row in rows] == [
        ("A", 1), ("DON'T", 2), ("İİ,", 2), ("ΣΑΣ.", 2), ("DOG", 1), ("<eos>", 1),
    ]  # fmt: skip
    assert [row.oov for row in rows] == [False, False, True, True, False, False]


def test_ngrams_add_their_surprisal():
    scored = score_text("Don't a dog.\n\na dog")
    ngram = KneserNey.fit(np.tile(np.concatenate([passage.targets for passage, _, _ in scored]), 3), len(VOCABULARY))
    tokens = list(word_scores(scored, ngram))
    expected = np.concatenate([-ngram.target_logprobs(passage.targets) / math.log(2) for passage, _, _ in scored])
    np.testing.assert_allclose([row.ngram_surprisal for row in tokens], expected)
    words = list(typed_words(scored, ngram))
    assert words[0].ngram_surprisal == pytest.approx(expected[0] + expected[1])
    assert sum(row.ngram_surprisal for row in words) == pytest.approx(expected.sum())


def test_places_can_be_left_out():
    (word, end) = typed_words(score(read_paragraphs("dog"), TextConfig()))
    assert (word.start, word.end, end.start, end.end) == (None, None, None, None)


def test_documents_are_told_apart(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "A\\r\\n\\r\\ndog."}\n{"t": ""}\n{"t": " Do"}\n')
    config = TextConfig(field="t")
    rows = [row for row in typed_words(score(Texts([tmp_path], config, places=True), config)) if row.word != "<eos>"]
    assert [(row.document_id, row.word, row.start, row.end) for row in rows] == [
        (1, "A", 0, 1), (1, "dog.", 5, 9), (3, "Do", 1, 3),
    ]  # fmt: skip


def check(text, paragraphs, config):
    """What is true of the rows of any text."""
    scored = list(score(paragraphs, config))
    words, tokens = list(typed_words(scored)), list(word_scores(scored))
    assert sum(word.tokens for word in words) == len(tokens)
    assert math.fsum(word.surprisal for word in words) == pytest.approx(math.fsum(row.surprisal for row in tokens))
    last = 0
    for word in words:
        assert last <= word.start <= word.end <= len(text)
        last = word.end
        if word.word == "<eos>" and word.start == word.end:
            continue
        assert letters(text[word.start : word.end]) == letters(word.word)
    return words


def letters(text):
    """What neither NFC nor mending changes."""
    text = unicodedata.normalize("NFD", text)
    return sorted(c for c in text if unicodedata.category(c)[0] not in "CZ" and c not in "-\u2010")


@given(
    st.text(
        st.sampled_from("ab  \n\n--\u2010\u00ad\ufeff\u0301e\u0327か\u3099世、.'\u200e\u00a0\u2028\x07\r\u05b8\u05bc")
    ),
    st.sampled_from(["prose", "lines", "pretokenized"]),
)
@example("a\u2028\u00a0 a", "pretokenized")
@example("a \u00a0 b\u00a0c", "pretokenized")
def test_any_text_has_its_words_in_order(text, kind):
    config = TextConfig(kind=kind)
    check(text, read_paragraphs(text, config, places=True), config)


@pytest.mark.parametrize(
    ("name", "kind", "encoding"),
    [
        ("prose/sherlock.txt", "prose", "utf-8"), ("prose/shakespeare.txt", "prose", "utf-8"),
        ("prose/time-machine.txt", "lines", "utf-8"), ("messy/bom-utf-16-be.srt", "prose", "utf-16"),
        ("messy/sherlock_utf8bom_crlf.txt", "prose", "utf-8-sig"),
        ("messy/esperanto_iso8859-3.txt", "prose", "iso8859-3"),
        *((f"languages/{name}.txt", "prose", "utf-8") for name in
          ["arb", "cmn_hans", "deu_1996", "ell_monotonic", "eng", "fra", "heb", "hin", "jpn"]),
    ],
)  # fmt: skip
def test_real_texts_have_their_words_in_place(shared_data, name, kind, encoding):
    path = shared_data / name
    text = path.read_text(encoding)
    config = TextConfig(kind=kind, encoding="iso8859-3" if encoding == "iso8859-3" else None)
    rows = check(text, Texts([path], config, places=True), config)
    covered = text[rows[0].start : rows[-1].end].replace("\n%\n", "\n")  # between the entries of a fortune file
    assert sum(row.end - row.start for row in rows) >= len("".join(covered.split())), "nothing is left between words"
    changed = [row for row in rows if row.start < row.end and text[row.start : row.end] != row.word]
    for row in changed:
        there = text[row.start : row.end]
        assert "\n" in there or unicodedata.normalize("NFC", there) == row.word


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [("prose/war-and-peace.txt", "prose"), ("prose/kjv.txt", "lines"), ("wikitext-2/valid.txt", "pretokenized")],
)
def test_long_texts_have_their_words_in_place(shared_data, name, kind):
    text = (shared_data / name).read_text("utf-8")
    config = TextConfig(kind=kind)
    for row in check(text, Texts([shared_data / name], config, places=True), config):
        assert text[row.start : row.end] == row.word or row.word == "<eos>"
