"""N-best lists in their new order: by hand, in batches, and with what is wrong in the middle."""

import doctest
import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_model import VOCABULARY, make_engine

from wordlm import rescoring
from wordlm.config import TextConfig
from wordlm.errors import OptionError, TextError
from wordlm.nbest import Hypothesis, ListFault
from wordlm.rescoring import RescoredHypothesis, Weights, lists_of, rank, rescore
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS

TOKENIZER = Tokenizer()
ENGINE = make_engine()


def test_the_examples_hold():
    failed, attempted = doctest.testmod(rescoring)
    assert attempted
    assert failed == 0


def ranked(hypotheses, engine=ENGINE, tokenizer=TOKENIZER, **options):
    return list(rescore(engine, tokenizer, VOCABULARY, hypotheses, **options))


def logprob(ids, engine=ENGINE):
    """Of a sentence and its end, word by word."""
    state, last, total = engine.initial_state(1), EOS, 0.0
    for id in [*ids, EOS]:
        logprobs, state = engine.step([last], state)
        total, last = total + float(logprobs[0, id]), id
    return total


# --- one list -----------------------------------------------------------------------------------------------------


def test_a_list_by_hand():
    texts = {"the dog went.": 4, "he don't": 3, "the lamp!": 3, "the zebra": 2, "": 0}
    unknown = {"the zebra": 1}
    scores = dict(zip(texts, [-1.0, -2.5, -3.0, 0.5, -4.0], strict=True))
    found = ranked(
        [Hypothesis("7", text, scores[text]) for text in texts], weight=0.5, word_penalty=0.25, unk_penalty=2.0
    )
    assert {one.text: one.words for one in found} == texts
    assert {one.text: one.unknown for one in found if one.unknown} == unknown
    for one in found:
        assert one.id == "7"
        assert one.score == scores[one.text]
        assert one.logprob == pytest.approx(logprob(VOCABULARY.encode(TOKENIZER.tokenize(one.text))), rel=1e-5)
        total = one.score + 0.5 * one.logprob - 0.25 * texts[one.text] - 2 * unknown.get(one.text, 0)
        assert one.total == pytest.approx(total)
    assert [one.total for one in found] == sorted((one.total for one in found), reverse=True)


def test_hypotheses_are_split_as_the_model_was():
    pretokenized = Tokenizer(TextConfig(kind="pretokenized"))
    lower = Tokenizer(TextConfig(lowercase=True))
    sentence = [Hypothesis("1", "The dog, he", 0.0)]
    assert [(one.words, one.unknown) for one in ranked(sentence)] == [(4, 1)]
    assert [(one.words, one.unknown) for one in ranked(sentence, tokenizer=pretokenized)] == [(3, 2)]
    assert [(one.words, one.unknown) for one in ranked(sentence, tokenizer=lower)] == [(4, 0)]


def test_no_weight_leaves_the_scores_alone_and_equal_ones_in_their_order():
    hypotheses = [Hypothesis("1", text, score) for text, score in [("the", 0), ("he", 1), ("dog", 0), ("lamp", 1)]]
    found = ranked(hypotheses, weight=0.0)
    assert [one.text for one in found] == ["he", "lamp", "the", "dog"]
    assert [one.total for one in found] == [1, 1, 0, 0]


def test_a_penalty_above_0_is_for_fewer_words_and_fewer_unknown_ones():
    hypotheses = [Hypothesis("1", text, 0.0) for text in ("the dog went", "the dog", "the zebra")]
    best = {
        (word, unk): ranked(hypotheses, weight=0.0, word_penalty=word, unk_penalty=unk)[0].text
        for word, unk in [(1, 0), (-1, 0), (1, -3)]
    }
    assert best == {(1, 0): "the dog", (-1, 0): "the dog went", (1, -3): "the zebra"}


def test_the_source_goes_along():
    source = ("1", "the dog", "f= 2", "0.5")
    assert ranked([Hypothesis("1", "the dog", 0.5, source)])[0].source is source


def test_words_that_the_engine_reads_beyond_the_vocabulary_are_still_unknown():
    class Reader:
        """Reads an id beyond the vocabulary as the dog."""

        def __init__(self):
            self.config = ENGINE.config
            self.initial_state = ENGINE.initial_state

        def step(self, token_ids, state):
            token_ids = np.asarray(token_ids)
            return ENGINE.step(np.where(token_ids >= len(VOCABULARY), VOCABULARY.ids["dog"], token_ids), state)

    hypotheses = [Hypothesis("1", "the zebra went", 0.0)]
    (without,) = ranked(hypotheses)
    (found,) = ranked(hypotheses, Reader(), extra={"zebra": len(VOCABULARY)})
    (same,) = ranked(hypotheses, Reader(), extra={"gnu": len(VOCABULARY)})
    assert found.unknown == without.unknown == 1
    assert same.logprob == pytest.approx(without.logprob, rel=1e-5)
    the, dog, went, unk = (VOCABULARY.ids[word] for word in ("the", "dog", "went", "<unk>"))
    state, expected = ENGINE.initial_state(1), 0.0
    for read, predicted in [(EOS, the), (the, unk), (dog, went), (went, EOS)]:
        logprobs, state = ENGINE.step([read], state)
        expected += float(logprobs[0, predicted])
    assert found.logprob == pytest.approx(expected, rel=1e-5)


# --- many lists ---------------------------------------------------------------------------------------------------

LISTS = st.lists(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["the", "dog", "zebra", "!"]), max_size=4), st.integers(-9, 9)),
        min_size=1,
        max_size=4,
    ),
    max_size=6,
)


@given(LISTS, st.integers(1, 9))
def test_lists_keep_their_order_however_many_are_scored_together(lists, at_once):
    hypotheses = [
        [Hypothesis(str(id), " ".join(words), score) for words, score in same] for id, same in enumerate(lists)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rescoring, "_AT_ONCE", at_once)
        found = list(lists_of(ranked(chain.from_iterable(hypotheses))))
    assert len(found) == len(lists)
    for same, before in zip(found, hypotheses, strict=True):
        alone = ranked(before)
        assert [one.text for one in same] == [one.text for one in alone]
        assert [one.total for one in same] == pytest.approx([one.total for one in alone], rel=1e-5)


def endless():
    for number in range(10**9):
        yield Hypothesis(str(number // 3), "the dog", -number % 3)


def test_lists_come_as_they_are_finished(monkeypatch):
    monkeypatch.setattr(rescoring, "_AT_ONCE", 8)
    read = []
    found = ranked_lazily(read)
    for number in range(30):
        assert next(found).id == str(number // 3)
        assert len(read) <= number + 12
    assert not ranked([])


def ranked_lazily(read):
    return rescore(ENGINE, TOKENIZER, VOCABULARY, (read.append(one) or one for one in endless()))


@pytest.mark.parametrize(
    ("fault", "complete"),
    [
        (TextError("somewhere"), ["1", "1"]),
        (ListFault("no id", None), ["1", "1"]),
        (ListFault("of the same list", "2"), ["1", "1"]),
        (ListFault("of the next list", "3"), ["1", "1", "2"]),
    ],
)
def test_lists_that_are_complete_come_before_the_fault(fault, complete):
    def hypotheses():
        yield Hypothesis("1", "the dog", 0.0)
        yield Hypothesis("1", "the lamp", 0.0)
        yield Hypothesis("2", "the dog", 0.0)
        raise fault

    found = rescore(ENGINE, TOKENIZER, VOCABULARY, hypotheses())
    assert [next(found).id for _ in complete] == complete
    with pytest.raises(type(fault), match=str(fault)):
        next(found)


def test_a_fault_at_the_start_is_all_there_is():
    def hypotheses():
        raise ListFault("at once", "1")
        yield

    with pytest.raises(ListFault, match="at once"):
        ranked(hypotheses())


# --- weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weight", "word_penalty", "unk_penalty"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_are_finite(name, value):
    with pytest.raises(OptionError, match=f"`{name}` must be a finite number, but is {value}"):
        rescore(ENGINE, TOKENIZER, VOCABULARY, [], **{name: value})


def test_the_weight_is_not_below_0():
    with pytest.raises(OptionError, match=r"`weight` must be 0 or more, but is -0\.5"):
        Weights(-0.5)


def test_other_weights_give_what_rescoring_with_them_gives():
    hypotheses = [
        Hypothesis(str(number // 4), text, score)
        for number, (text, score) in enumerate(
            [("the dog", 1), ("he", 0), ("a zebra!", 2), ("", 1), ("the", 3), ("I do", 3), ("Yes", 2), ("he he", -1)]
        )
    ]
    weights = {"weight": 0.3, "word_penalty": -1.5, "unk_penalty": 0.5}
    again = list(chain.from_iterable(rank(ranked(hypotheses, weight=0.0), Weights(**weights))))
    assert again == ranked(hypotheses, **weights)


def test_rank_leaves_what_it_is_given():
    one = RescoredHypothesis("1", "a", -1.0, logprob=-2.0, words=1, unknown=0, total=7.0)
    ((other,),) = rank([one], Weights(1.0))
    assert (one.total, other.total) == (7.0, -3.0)


@pytest.mark.parametrize("options", [{"weight": 1e308}, {"word_penalty": -1e308}, {"unk_penalty": 1e308}])
def test_totals_are_finite(options):
    hypotheses = [Hypothesis("0", "", 0.0), Hypothesis("9", "the zebra zebra", 0.0)]
    found = rescore(ENGINE, TOKENIZER, VOCABULARY, hypotheses[1:], **options)
    with pytest.raises(OptionError, match=r"the totals of the list '9' must be finite, but are too large; make"):
        next(found)
    # Lists before it come first.
    if "weight" not in options:
        found = rescore(ENGINE, TOKENIZER, VOCABULARY, hypotheses, **options)
        assert next(found).id == "0"
        with pytest.raises(OptionError, match="list '9'"):
            next(found)
