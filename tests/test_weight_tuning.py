"""The search for weights: each line against brute force, the whole of it against what must hold of any."""

import dataclasses
import doctest
import math
from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import weight_tuning
from wordlm.error_rate import word_errors
from wordlm.errors import OptionError, TextError
from wordlm.rescoring import RescoredHypothesis, Weights, rank
from wordlm.weight_tuning import errors_at, line_search, minimize_errors, tune


def test_the_examples_hold():
    failed, attempted = doctest.testmod(weight_tuning)
    assert attempted
    assert failed == 0


@st.composite
def problems(draw, features=1):
    """Scores, features, starts and errors of some lists; small whole numbers, so that lines often meet and tie."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    count = sum(sizes)
    numbers = st.lists(st.integers(-4, 4), min_size=count, max_size=count)
    scores = np.array(draw(numbers), float)
    columns = np.array([draw(numbers) for _ in range(features)], float).T
    errors = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    return scores, columns, np.cumsum([0, *sizes[:-1]]), errors


# --- one line -----------------------------------------------------------------------------------------------------


def intervals(scores, slopes, starts, errors, low):
    """All intervals between crossings, each with its errors, by trying; neighbours with the same errors are one."""
    ends = [*starts[1:].tolist(), len(scores)]
    crossings = {
        (scores[i] - scores[j]) / (slopes[j] - slopes[i])
        for start, end in zip(starts, ends, strict=True)
        for i, j in combinations(range(start, end), 2)
        if slopes[i] != slopes[j]
    }
    edges = sorted(edge for edge in crossings if edge > low)
    if not edges:
        return []
    first = low if math.isfinite(low) else edges[0] - 1000
    bounds = [first, *edges, edges[-1] + 1000]
    counts = [
        errors_at([(left + right) / 2], scores, slopes[:, np.newaxis], starts, errors)
        for left, right in pairwise(bounds)
    ]
    merged = []
    for (left, right), count in zip(pairwise(bounds), counts, strict=True):
        if merged and merged[-1][2] == count:
            left = merged.pop()[0]
        merged.append((left, right, count))
    return merged


@given(problems(), st.sampled_from([-math.inf, 0.0, -1.5]))
def test_a_line_is_searched_as_by_trying_everywhere(problem, low):
    scores, features, starts, errors = problem
    found = line_search(scores, features[:, 0], starts, errors, low)
    expected = intervals(scores, features[:, 0], starts, errors, low)
    if len(expected) < 2:
        assert found is None
        return
    least = min(count for _, _, count in expected)
    assert found >= low
    assert errors_at([found], scores, features, starts, errors) == least
    ends = (expected[0][0] if math.isinf(low) else None, expected[-1][1])
    inner = [(left, right) for left, right, count in expected if count == least]
    (mine,) = [(left, right) for left, right in inner if left <= found <= right]
    if mine[0] not in ends and mine[1] not in ends:
        assert found == pytest.approx(sum(mine) / 2)
        assert all(
            right - left <= mine[1] - mine[0] + 1e-9 for left, right in inner if left not in ends and right not in ends
        )


@settings(max_examples=40)
@given(problems())
def test_no_weight_of_a_grid_is_better(problem):
    scores, features, starts, errors = problem
    found = line_search(scores, features[:, 0], starts, errors)
    grid = [errors_at([value], scores, features, starts, errors) for value in np.linspace(-9, 9, 721) + 1e-4]
    if found is None:
        assert len(set(grid)) == 1
    else:
        assert errors_at([found], scores, features, starts, errors) <= min(grid)


def search(lines, low=-math.inf):
    """Of one list of (intercept, slope, errors)."""
    intercepts, slopes, errors = (np.array(column) for column in zip(*lines, strict=True))
    return line_search(intercepts.astype(float), slopes.astype(float), np.array([0]), errors, low)


def test_lines_by_hand():
    # The envelope has its corners at 1 and 3; a third line stays below it.
    assert search([(0, 0, 2), (-1, 1, 1), (-4, 2, 2), (-9, 1, 0)]) == 2.0
    # Without an end: as wide as 3 is far from 0, and 1 wider.
    assert search([(0, 0, 2), (-1, 1, 1), (-4, 2, 0)]) == 5.0
    assert search([(0, 0, 0), (-1, 1, 1), (-4, 2, 2)]) == 0.0
    assert search([(0, 0, 0), (-1, 1, 1), (-4, 2, 2)], low=0.5) == 0.75
    # All corners lie below the least weight, or there are none.
    assert search([(0, 0, 0), (-1, 1, 1), (-4, 2, 2)], low=3.0) is None
    assert search([(0, 1, 0), (-1, 1, 1)]) is None
    assert search([(0, 0, 1), (-1, 1, 1)]) is None


def test_of_equal_intervals_the_widest_is_taken():
    intercepts, slopes, errors = [0, -1, -3, -9], [0, 1, 2, 3], [1, 0, 1, 0]
    # Corners at 1, 2 and 6: of the two best intervals, the second has no end.
    assert search(list(zip(intercepts, slopes, errors, strict=True))) == 6 + 3.5
    # Corners at 1, 4, 5 and 5.5, where the second line is on top the longest.
    lines = [(0, 0, 3), (-1, 1, 0), (-5, 2, 3), (-10, 3, 0), (-15.5, 4, 3)]
    assert search(lines) == 2.5


def test_changes_that_cancel_are_no_corner():
    # Both lists change at 1, one for the better and one for the worse, and the first again at 3: from -1 to 3.
    intercepts, slopes = np.array([0, -1, -4, 0, -1.0]), np.array([0, 1, 2, 0, 1.0])
    assert line_search(intercepts, slopes, np.array([0, 3]), np.array([1, 0, 2, 0, 1])) == 1.0


def test_lines_may_be_nearly_parallel():
    assert search([(0, 0, 1), (-1, 1e-320, 0)]) is None
    assert search([(0, 0, 1), (-1, 1e-320, 5), (-2, 1, 0)]) == 3.5


# --- all weights --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(problems(features=3))
def test_weights_are_no_worse_than_none_and_no_better_than_the_oracle(problem):
    scores, features, starts, errors = problem
    weights, found = minimize_errors(scores, features, starts, errors, low=(0.0, -math.inf, -math.inf))
    assert found == errors_at(weights, scores, features, starts, errors)
    assert found <= errors_at(np.zeros(3), scores, features, starts, errors)
    assert found >= np.minimum.reduceat(errors, starts).sum()
    assert weights[0] >= 0
    for number in range(3):
        rest = np.where(np.arange(3) == number, 0.0, weights)
        for value in np.linspace(0, 8, 33) + 1e-3:
            # No single weight makes it better, but for the roundings of the weights found.
            moved = rest + np.where(np.arange(3) == number, value, 0.0)
            assert errors_at(moved, scores, features, starts, errors) >= found


def test_weights_that_were_hidden_are_found():
    rng = np.random.default_rng(3)
    features = rng.normal(0, [9, 3, 1], (4000, 3))
    truth = rng.normal(0, 4, 4000)
    scores = truth - features @ [0.5, 2.0, -3.0]
    starts = np.arange(0, 4000, 10)
    errors = np.ones(4000, int)
    errors[starts + truth.reshape(-1, 10).argmax(axis=1)] = 0
    weights, found = minimize_errors(scores, features, starts, errors, low=(0.0, -math.inf, -math.inf))
    assert found <= 4
    assert weights == pytest.approx([0.5, 2.0, -3.0], rel=0.05)
    assert errors_at(np.zeros(3), scores, features, starts, errors) > 200


def test_a_feature_that_says_nothing_gets_no_weight():
    rng = np.random.default_rng(0)
    features = np.stack([rng.normal(size=40), np.repeat(rng.normal(size=8), 5), np.zeros(40)], axis=1)
    weights, _ = minimize_errors(
        rng.normal(size=40), features, np.arange(0, 40, 5), rng.integers(0, 3, 40), low=[0.0, -math.inf, -math.inf]
    )
    assert weights[1:].tolist() == [0, 0]


def test_scores_that_are_all_the_same_leave_it_to_the_model():
    features = np.array([[-3.0], [-1.0], [-2.0], [-5.0]])
    weights, errors = minimize_errors(np.zeros(4), features, np.array([0, 2]), np.array([1, 0, 0, 1]), low=[0.0])
    assert errors == 0
    assert weights[0] > 0


def test_the_same_seed_finds_the_same():
    rng = np.random.default_rng(1)
    problem = rng.normal(size=60), rng.normal(size=(60, 3)), np.arange(0, 60, 6), rng.integers(0, 4, 60)
    low = (0.0, -math.inf, -math.inf)
    first, second = (minimize_errors(*problem, low=low, seed=5) for _ in range(2))
    assert first[1] == second[1]
    assert first[0].tolist() == second[0].tolist()


# --- hypotheses and references ------------------------------------------------------------------------------------


def hypothesis(id, text, score, logprob=0.0, unknown=0):
    return RescoredHypothesis(id, text, score, logprob, len(text.split()), unknown, 0.0)


SAID = {"u1": "the cat sat", "u2": "yes", "u3": ""}
HYPOTHESES = [
    hypothesis("u1", "a cat sat", -1.0, -9.0),
    hypothesis("u1", "the cat sat down", -2.0, -7.0),
    hypothesis("u2", "yes", -1.0, -2.0),
    hypothesis("u2", "yes yes", -1.0, -3.0, unknown=1),
    hypothesis("u3", "well", -1.0, -4.0),
]


@pytest.mark.parametrize("references", [SAID, SAID | {"u9": "other"}, list(SAID.values())])
def test_tune(references):
    tuning = tune(HYPOTHESES, references)
    assert (tuning.lists, tuning.words) == (3, 4)
    assert (tuning.errors_before, tuning.oracle) == (2, 2)
    assert tuning.errors == 2
    assert tuning.rate(tuning.errors) == 0.5


SENTENCES = st.lists(st.sampled_from("abc"), max_size=3).map(" ".join)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(SENTENCES, st.integers(0, 3), st.integers(-5, 5), st.integers(0, 2)), min_size=1, max_size=9),
    st.integers(1, 3),
)
def test_the_errors_told_are_those_of_the_ranked_lists(rows, size):
    hypotheses = [
        hypothesis(str(number // size), text, float(score), logprob / 3, unknown)
        for number, (text, score, logprob, unknown) in enumerate(rows)
    ]
    references = {one.id: "a b c" for one in hypotheses}
    tuning = tune(hypotheses, references)

    def errors(weights):
        return sum(word_errors("a b c", same[0].text) for same in rank(hypotheses, weights))

    assert tuning.errors == errors(tuning.weights)
    assert tuning.errors_before == errors(Weights(0.0))
    # Ranked once, their order is no longer the file's, but the errors are the same.
    again = tune(list(chain.from_iterable(rank(hypotheses, Weights(0.0)))), references)
    assert (again.errors_before, again.oracle) == (tuning.errors_before, tuning.oracle)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({"u1": "a"}, "the list 'u2' has no reference (lists without one: 2 of 3); add"),
        (["a", "b"], "the list 'u3' has no reference (lists: 3, references: 2)"),
        (["a"] * 4, "there must be one reference for each list (lists: 3, references: 4)"),
        (["", " ", ""], "the references must have words to tune on"),
    ],
)
def test_references_that_do_not_fit_are_refused(references, message):
    with pytest.raises(TextError) as refused:
        tune(HYPOTHESES, references)
    assert message in str(refused.value)


def test_there_must_be_hypotheses():
    with pytest.raises(TextError, match="no hypotheses to tune on"):
        tune([], ["a"])


def test_scores_beyond_reckoning_are_refused():
    hypotheses = [dataclasses.replace(HYPOTHESES[0], score=score) for score in (1e308, -1.5e308)]
    with pytest.raises(OptionError, match=r"must be at most 1e\+100 in size, but one is -1\.5e\+308; scale them"):
        tune(hypotheses, ["a"])
    tuning = tune([dataclasses.replace(one, score=one.score * 1e99) for one in HYPOTHESES], ["a"] * 3)
    assert tuning.errors <= tuning.errors_before
