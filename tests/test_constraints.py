"""Progress, needed words and missing words against a plain look at the text, and against trying all texts."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm.constraints import Constraints

A, B, C, D = range(3, 7)
NONE = 0  # a word of no phrase

phrases = st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4).map(tuple), max_size=3)
ends = st.lists(st.sampled_from([A, B, C]), max_size=3).map(tuple)
texts = st.lists(st.sampled_from([A, B, C, D]), max_size=8)


def follow(constraints, text):
    progress = constraints.start
    for id in text:
        progress = constraints.advance(progress, id)
    return progress


def holds(text, phrase):
    return any(tuple(text[i : i + len(phrase)]) == phrase for i in range(len(text)))


def is_fulfilled(text, include, end):
    return all(holds(text, phrase) for phrase in include) and (not end or tuple(text[-len(end) :]) == end)


def fewest(text, include, end):
    """How many words it takes, by trying all continuations."""
    length = 0
    while True:
        if any(is_fulfilled([*text, *more], include, end) for more in product([A, B, C], repeat=length)):
            return length
        length += 1


@settings(deadline=None)
@given(include=phrases, end=ends, text=texts)
def test_nothing_is_missing_where_the_text_fulfils_all(include, end, text):
    constraints = Constraints(include, end)
    progress = follow(constraints, text)
    assert (constraints.missing(progress) == 0) == is_fulfilled(text, include, end)
    unmet = constraints.unmet(progress)
    assert set(unmet) <= {*include, end}
    assert bool(unmet) == bool(constraints.missing(progress))
    assert not any(holds(text, phrase) for phrase in unmet if phrase != end)


@settings(deadline=None, max_examples=60)
@given(
    include=st.lists(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=3).map(tuple), max_size=3),
    end=st.lists(st.sampled_from([A, B, C]), max_size=2).map(tuple),
    text=st.lists(st.sampled_from([A, B, C, D]), max_size=4),
)
def test_as_many_words_are_missing_as_it_takes_at_least(include, end, text):
    constraints = Constraints(include, end)
    assert constraints.missing(follow(constraints, text)) == fewest(text, include, end)


@settings(deadline=None)
@given(include=phrases, end=ends, text=texts)
def test_the_needed_words_lead_to_the_end_by_the_shortest_way(include, end, text):
    constraints = Constraints(include, end)
    progress = follow(constraints, text)
    while missing := constraints.missing(progress):
        nexts = [constraints.advance(progress, id) for id in constraints.needed(progress)]
        progress = min(nexts, key=constraints.missing)
        assert constraints.missing(progress) == missing - 1


@settings(deadline=None)
@given(include=phrases, end=ends, text=texts)
def test_all_other_words_are_alike(include, end, text):
    constraints = Constraints(include, end)
    progress = follow(constraints, text)
    assert NONE not in constraints.needed(progress)
    missing = constraints.missing(constraints.advance(progress, NONE))
    for id in {A, B, C, D}.difference(constraints.needed(progress)):
        assert constraints.missing(constraints.advance(progress, id)) == missing


def test_a_phrase_that_begins_anew_within_itself():
    constraints = Constraints([(A, B, A, A)])
    progress = follow(constraints, [A, B, A])
    assert constraints.missing(progress) == 1
    assert constraints.needed(progress) == (A, B)  # a b a | a, or a b | a b
    assert constraints.missing(constraints.advance(progress, B)) == 2
    assert constraints.missing(follow(constraints, [A, B, A, C])) == 4
    done = follow(constraints, [A, B, A, B, A, A, C, A])
    assert constraints.missing(done) == 0
    assert constraints.needed(done) == ()


def test_phrases_that_overlap_or_hold_each_other():
    constraints = Constraints([(A, B), (B, C), (B,), (A, B)])
    assert constraints.missing(constraints.start) == 3
    assert constraints.missing(follow(constraints, [B])) == 3
    assert constraints.missing(follow(constraints, [A, B])) == 1
    # The end brings a phrase along, and may begin within one.
    constraints = Constraints([(B,), (C, A)], end=(A, B))
    assert constraints.missing(constraints.start) == 3
    assert constraints.missing(follow(constraints, [A, B, C])) == 2
    assert constraints.missing(follow(constraints, [C, A])) == 1


def test_an_end_that_was_not_the_end():
    constraints = Constraints([], end=(A, B))
    progress = follow(constraints, [A, B])
    assert constraints.missing(progress) == 0
    assert constraints.missing(constraints.advance(progress, C)) == 2
    assert constraints.missing(constraints.advance(progress, A)) == 1


def test_the_end_is_needed_only_when_all_else_is_there():
    constraints = Constraints([(C, D)], end=(A, B))
    assert constraints.needed(constraints.start) == (C,)
    assert constraints.needed(follow(constraints, [C])) == (C, D)
    assert constraints.needed(follow(constraints, [C, D])) == (A,)
    assert constraints.needed(follow(constraints, [C, D, A])) == (A, B)


def test_nothing_to_follow():
    constraints = Constraints([])
    assert constraints.missing(constraints.start) == 0
    assert constraints.needed(constraints.start) == ()
    assert constraints.unmet(constraints.advance(constraints.start, A)) == []


def test_many_single_words_take_no_time():
    constraints = Constraints([(id,) for id in range(3, 60)])
    assert constraints.missing(constraints.start) == 57
    assert constraints.missing(follow(constraints, [9, 9, 10])) == 55
