"""What may not come is gone, what must come is alone, and a repeated word is as much less likely as is said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm.config import SamplingConfig
from wordlm.draft import Draft
from wordlm.prompts import read_prompt
from wordlm.restrictions import restrict
from wordlm.rules import read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary

VOCABULARY = Vocabulary([*SPECIALS, "a", "b", "c", "d"])
A, B, C, D = range(3, 7)


def make_draft(words="", prompt="", **options):
    rules = read_rules(SamplingConfig(**options), Tokenizer(), VOCABULARY)
    draft = Draft(rules, read_prompt(prompt, Tokenizer(), VOCABULARY))
    for word in words.split():
        draft.add(VOCABULARY.encode([word])[0])
    return draft


def left(*drafts):
    """Ids that are left of a row each, and that these have kept their values."""
    rows = np.random.default_rng(0).normal(-3, 1, (len(drafts), len(VOCABULARY))).astype("float32")
    restricted = rows.copy()
    restrict(restricted, drafts)
    kept = restricted > -np.inf
    np.testing.assert_array_equal(restricted[kept], rows[kept])
    return [np.flatnonzero(row).tolist() for row in kept]


def test_what_is_never_drawn_and_the_end_before_a_word():
    assert left(make_draft(), make_draft("a")) == [[A, B, C, D], [EOS, A, B, C, D]]
    assert left(make_draft("a", no_unk=False)) == [[UNK, EOS, A, B, C, D]]


def test_bans_of_words_and_of_phrases():
    assert left(make_draft("a", ban=("b",))) == [[EOS, A, C, D]]
    draft = make_draft("a b", ban=("a b c", "b d", "d d"))
    assert left(draft) == [[EOS, A, B]]
    assert left(make_draft("b a", ban=("a b c", "b d"))) == [[EOS, A, B, C, D]]


def test_rows_have_their_own_text():
    drafts = [make_draft(words, no_repeat_ngram=2, min_words=3) for words in ("a", "a b a", "b b", "a b c d")]
    assert left(*drafts) == [[A, B, C, D], [EOS, A, C, D], [A, C, D], [EOS, A, B, C, D]]


def test_what_must_come_stands_alone_even_where_it_is_forbidden():
    drafts = [make_draft(words, start_with="a b a b", no_repeat_ngram=2) for words in ("", "a", "a b a", "a b a b")]
    assert left(*drafts) == [[A], [B], [B], [EOS, B, C, D]]


def test_a_word_that_comes_again_is_less_likely():
    draft = make_draft("a a b", prompt="c", repetition_penalty=1.5)
    row = np.log(np.array([[0.3, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1]], "float32"))
    restrict(row, [draft])
    expected = [0, 0, 0.1, 0.2**1.5, 0.1**1.5, 0.1**1.5, 0.1]
    np.testing.assert_allclose(np.exp(row[0]), expected, rtol=1e-5)


def test_the_greatest_penalties_leave_numbers():
    row = np.zeros((1, len(VOCABULARY)), "float32")
    row[0, A] = -1e-3
    restrict(row, [make_draft("a b", repetition_penalty=1e300)])
    assert row[0, B] == 0
    assert row[0, A] < -1e30
    assert not np.isnan(row).any()


def test_nothing_in_nothing_out():
    restrict(np.empty((0, len(VOCABULARY)), "float32"), [])
    with pytest.raises(ValueError, match="zip"):
        restrict(np.zeros((2, len(VOCABULARY)), "float32"), [make_draft()])


@settings(deadline=None)
@given(ngram=st.sampled_from([0, 2, 3]), seed=st.integers(0, 99))
def test_a_text_drawn_of_what_is_left_keeps_the_rules(ngram, seed):
    rng = np.random.default_rng(seed)
    options = {"no_repeat_ngram": ngram, "ban": ("a b", "d"), "min_words": 3, "max_words": 20}
    draft, text = make_draft(**options), []
    while not draft.finished:
        row = np.log(rng.dirichlet(np.ones(len(VOCABULARY)))).astype("float32")[np.newaxis]
        restrict(row, [draft])
        if not (row > -np.inf).any():
            break
        id = int(row[0].argmax())
        if draft.add(id):
            text.append(id)
    assert len(text) >= 3
    assert not {PAD, UNK, EOS, D} & set(text)
    assert (A, B) not in set(pairwise(text))
    runs = [tuple(text[i : i + ngram]) for i in range(len(text) - ngram + 1)] if ngram else []
    assert len(set(runs)) == len(runs)
