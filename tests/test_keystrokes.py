"""Keys pressed, against someone who types letter by letter and looks at every suggestion."""

import doctest
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import VOCABULARY, make_engine

import wordlm
import wordlm.keystrokes as keystrokes
from wordlm.completion import Completer
from wordlm.keystrokes import Keyboard
from wordlm.vocab import SPECIALS, Vocabulary


def typed(vocabulary, scores, target):
    """The simulation: look, pick if the word is there, else type a letter."""
    if target < 3:
        return -1
    completer, word = Completer(vocabulary), vocabulary[target]
    for letters in range(len(word) + 1):
        if target in completer.best(scores, word[:letters], 3):
            return letters + 1
    return len(word) + 1


def assert_as_typed(vocabulary, scores, targets):
    found = Keyboard(vocabulary).keys(scores, targets)
    assert found.dtype == np.int64
    assert found.tolist() == [typed(vocabulary, *pair) for pair in zip(scores, targets.tolist(), strict=True)]


def test_doctests():
    result = doctest.testmod(keystrokes)
    assert result.failed == 0
    assert result.attempted > 0


def test_by_hand():
    vocabulary = Vocabulary([*SPECIALS, "the", "of", "and", "cat", "The", "car", "cap", "cart", "a"])
    scores = -np.arange(len(vocabulary), dtype="float32")
    keys = dict(zip(vocabulary.tokens, Keyboard(vocabulary).keys([scores] * 12, np.arange(12)).tolist(), strict=True))
    assert keys == {
        "<pad>": -1,
        "<unk>": -1,
        "<eos>": -1,
        "the": 1,
        "of": 1,
        "and": 1,
        "cat": 2,
        "The": 2,  # unseen beside `the`, until its capital is typed
        "car": 2,
        "cap": 2,
        "cart": 4,  # three likelier words begin with c and ca; car and cart with car
        "a": 2,  # seen behind a alone: no sooner than it is typed in full
    }


def test_a_likelier_form_hides_a_word_for_good():
    vocabulary = Vocabulary([*SPECIALS, "The", "the"])
    # Lower-case letters never ask for one form rather than the other.
    assert Keyboard(vocabulary).keys(np.array([[0, 0, 0, 2.0, 1.0]]), np.array([4])).tolist() == [4]


def test_no_words():
    assert Keyboard(VOCABULARY).keys(np.zeros((0, len(VOCABULARY))), np.zeros(0, int)).shape == (0,)


def test_length():
    keyboard = Keyboard(VOCABULARY)
    assert [keyboard.length(token) for token in ("a", "Holmes", "東")] == [2, 7, 2]


@settings(deadline=None)
@given(st.lists(st.text("aAbBc", min_size=1, max_size=5), unique=True, min_size=1, max_size=40), st.integers(0, 99))
def test_as_typed_by_hand_with_many_ties(words, seed):
    vocabulary = Vocabulary([*SPECIALS, *words])
    rng = np.random.default_rng(seed)
    scores = rng.integers(-6, 0, (8, len(vocabulary))).astype("float32")
    assert_as_typed(vocabulary, scores, rng.integers(0, len(vocabulary), 8))


def test_as_typed_by_hand_behind_a_network():
    logprobs, _ = make_engine().run([np.arange(len(VOCABULARY))])
    assert_as_typed(VOCABULARY, logprobs[0], np.arange(len(VOCABULARY))[::-1].copy())


def test_as_typed_by_hand_with_a_trained_model(trained):
    lm = wordlm.load(trained)
    words = (trained.parent / "story.txt").read_text().split("\n\n")[3]
    ids = np.array([2, *lm.read_prompt(words).ids, 2])
    logprobs, _ = lm.engine.run(ids[np.newaxis, :-1])
    assert_as_typed(lm.vocabulary, logprobs[0], ids[1:])


@pytest.mark.parametrize("shift", [0.0, -7.5])
def test_only_the_order_of_scores_counts(shift):
    logprobs, _ = make_engine().run([np.arange(len(VOCABULARY))])
    targets = np.arange(len(VOCABULARY))
    keyboard = Keyboard(VOCABULARY)
    assert np.array_equal(keyboard.keys(2 * logprobs[0] + shift, targets), keyboard.keys(logprobs[0], targets))


def test_keys_are_between_one_and_all():
    rng = np.random.default_rng(3)
    words = sorted({"".join(rng.choice(list("abcdAB"), rng.integers(1, 8))) for _ in range(3000)})
    vocabulary = Vocabulary([*SPECIALS, *words])
    scores = np.log(rng.dirichlet(np.ones(len(vocabulary)), 40)).astype("float32")
    targets = rng.integers(3, len(vocabulary), 40)
    keyboard = Keyboard(vocabulary)
    keys = keyboard.keys(scores, targets)
    assert (keys >= 1).all()
    assert (keys <= [keyboard.length(token) for token in vocabulary.decode(targets)]).all()
    assert_as_typed(vocabulary, scores, targets)
    # The likeliest word is there before anything is typed.
    assert (keyboard.keys(scores, 3 + scores[:, 3:].argmax(axis=1)) == 1).all()


def test_several_threads_share_one_keyboard():
    rng = np.random.default_rng(4)
    words = sorted({"".join(rng.choice(list("abcdAB"), 5)) for _ in range(2000)})
    vocabulary = Vocabulary([*SPECIALS, *words])
    scores, targets = rng.random((64, len(vocabulary))), rng.integers(0, len(vocabulary), 64)
    expected = Keyboard(vocabulary).keys(scores, targets)
    keyboard = Keyboard(vocabulary)
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(lambda part: keyboard.keys(scores[part::8], targets[part::8]), range(8))
    for part, keys in enumerate(parts):
        assert np.array_equal(keys, expected[part::8])
