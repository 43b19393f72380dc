"""The neural cache against a hand-computed example, its formula in plain loops, and the engine within."""

import math
import re
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import cache as cache_module
from wordlm.cache import CachedEngine
from wordlm.config import ModelConfig
from wordlm.engine import Engine
from wordlm.errors import OptionError
from wordlm.layout import weight_shapes

V = 12
FEEDS = ({}, {"dense": 7}, {"cell": "gru", "masking": True}, {"context": 3}, {"context": 3, "bidirectional": True})

# Rows of different lengths, padding at the start, in the middle and at the end, a row of padding alone; few words,
# so that they come again.
TOKEN_IDS = np.array(
    [
        [2, 3, 4, 3, 5, 4, 3, 4, 2, 3, 4, 1],
        [2, 8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 6, 0, 5, 3, 3, 7, 5, 0, 6, 6, 5],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    ]
)


def make_engine(seed=0, scale=1.5, **options):
    config = ModelConfig(**{"vocab_size": V, "embedding_dim": 5, "units": 6, "dense": 0} | options)
    rng = np.random.default_rng(seed)
    weights = {name: scale * rng.standard_normal(shape) / 2 for name, shape in weight_shapes(config).items()}
    weights["embedding"][[0, 7] if config.masking else [0]] = 0
    return Engine(config, weights)


def by_the_formula(cached, words):
    """Log-probabilities after each word of one text without padding, (T, V) float64, in plain loops."""
    hidden, _ = cached.engine.hidden(np.array([words]))
    of_model = np.exp(cached.engine.logprobs(hidden)[0].astype(np.float64))
    h = [vector / (math.sqrt(vector @ vector) or 1) for vector in hidden[0].astype(np.float64)]
    result = []
    for t in range(len(words)):
        of_cache, alike = np.zeros(V), 0.0
        for i in range(max(0, t - cached.cache), t):
            weight = math.exp(cached.cache_theta * (h[t] @ h[i] - 1))
            of_cache[words[i + 1]] += weight
            alike += weight
        share = cached.cache_lambda * alike / (alike + 1)
        result.append(np.log((1 - share) * of_model[t] + share * of_cache / (alike or 1)))
    return np.array(result)


def expected_of(cached, token_ids):
    """The same after each place of a padded batch; None where nothing has been read."""
    for row in np.asarray(token_ids).tolist():
        words = [word for word in row if word]
        after = by_the_formula(cached, words) if words else []
        counts = np.cumsum([word != 0 for word in row])
        yield [after[count - 1] if count else None for count in counts]


def assert_follows_the_formula(cached, token_ids, logprobs):
    for row, expected_row in zip(logprobs, expected_of(cached, token_ids), strict=True):
        for place, expected in zip(row, expected_row, strict=True):
            if expected is not None:
                np.testing.assert_allclose(place, expected, rtol=0, atol=2e-5)


def one_by_one(cached, token_ids, state):
    stepped = []
    for column in np.asarray(token_ids).T:
        logprobs, state = cached.step(column, state)
        stepped.append(logprobs)
    return np.stack(stepped, axis=1), state


def test_by_hand():
    """Words with known hidden vectors, under a model that finds all words equally likely."""
    config = ModelConfig(vocab_size=5, embedding_dim=2, cell="rnn", units=2, dense=0)
    weights = {name: np.zeros(shape) for name, shape in weight_shapes(config).items()}
    weights["embedding"][2:] = np.arctanh([[0.5, 0.0], [0.0, 0.25], [0.3, 0.4]])
    weights["recurrent_1/kernel"] = np.eye(2)
    engine, theta = Engine(config, weights), 5 * math.log(2)
    # After "2 3 4 3" the cosines are 0 with what 3 followed, 1 with what 4 followed, 0.8 with what 3 followed, so the
    # weights are 1/32, 1 and 1/2. A cache of two words has the last two; S is 3/2, and the share 3/5 of lambda.
    logprobs, _ = CachedEngine(engine, 2, theta, 0.5).run([[2, 3, 4, 3]])
    np.testing.assert_allclose(np.exp(logprobs[0, 3]), [0.14, 0.14, 0.14, 0.14 + 0.1, 0.14 + 0.2], rtol=1e-5)
    # A cache of three words has them all; S is 49/32, and the share 49/81 of lambda.
    logprobs, _ = CachedEngine(engine, 3, theta, 0.5).run([[2, 3, 4, 3]])
    rest = (1 - 49 / 162) / 5
    np.testing.assert_allclose(np.exp(logprobs[0, 3]), [rest, rest, rest, rest + 17 / 162, rest + 32 / 162], rtol=1e-5)
    # After "2" the cache is empty; after "2 3" it has one word, whose context is not alike: 1/33 of lambda.
    np.testing.assert_allclose(np.exp(logprobs[0, 0]), 0.2, rtol=1e-5)
    rest = (1 - 1 / 66) / 5
    np.testing.assert_allclose(np.exp(logprobs[0, 1]), [rest, rest, rest, rest + 1 / 66, rest], rtol=1e-5)


@pytest.mark.parametrize("cache", [1, 3, 100])
@pytest.mark.parametrize("options", FEEDS, ids=str)
def test_run_and_step_follow_the_formula(options, cache):
    cached = CachedEngine(make_engine(**options), cache, cache_theta=4.0, cache_lambda=0.3)
    logprobs, state = cached.run(TOKEN_IDS)
    assert logprobs.dtype == np.float32
    assert logprobs.shape == (*TOKEN_IDS.shape, V)
    assert_follows_the_formula(cached, TOKEN_IDS, logprobs)
    stepped, step_state = one_by_one(cached, TOKEN_IDS, cached.initial_state(len(TOKEN_IDS)))
    np.testing.assert_allclose(stepped, logprobs, rtol=0, atol=1e-5)
    # What comes next is the same too, and after reading alone.
    states = (state, step_state, cached.read(TOKEN_IDS))
    after = [cached.step([3, 4, 5, 6, 7], each)[0] for each in states]
    np.testing.assert_allclose(after[1], after[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(after[2], after[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("cache", [2, 7, 50])
def test_a_long_text_is_read_in_blocks(cache, monkeypatch):
    cached = CachedEngine(make_engine(), cache, cache_theta=4.0, cache_lambda=0.3)
    token_ids = np.random.default_rng(1).integers(0, 6, (2, 90))
    whole, end = cached.run(token_ids)
    assert_follows_the_formula(cached, token_ids, whole)
    monkeypatch.setattr(cache_module, "_BLOCK", 4)
    again, state = cached.run(token_ids)
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-5)
    for other in (state, cached.read(token_ids)):
        np.testing.assert_allclose(cached.step([3, 4], other)[0], cached.step([3, 4], end)[0], rtol=0, atol=1e-5)


def test_a_text_may_be_read_in_any_pieces():
    cached = CachedEngine(make_engine(), 4, cache_theta=4.0, cache_lambda=0.3)
    whole, _ = cached.run(TOKEN_IDS)
    first, state = cached.run(TOKEN_IDS[:, :3])
    nothing, state = cached.run(TOKEN_IDS[:, :0], state)
    assert nothing.shape == (5, 0, V)
    second, state = cached.run(TOKEN_IDS[:, 3:7], state)
    state = cached.read(TOKEN_IDS[:, 7:9], cached.read(TOKEN_IDS[:, :0], state))
    rest, _ = cached.run(TOKEN_IDS[:, 9:], state)
    np.testing.assert_allclose(first, whole[:, :3], rtol=0, atol=1e-5)
    np.testing.assert_allclose(second, whole[:, 3:7], rtol=0, atol=1e-5)
    np.testing.assert_allclose(rest, whole[:, 9:], rtol=0, atol=1e-5)


@dataclass
class Reached:
    """A state, and what each of its texts has read."""

    state: object
    texts: list[list[int]]


WORDS = st.integers(0, 5)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["step", "run", "read", "select", "join"]),
        st.integers(0, 99),  # the state to go on from
        st.lists(WORDS, min_size=6, max_size=6),
    ),
    max_size=12,
)
ENGINES = [make_engine(), make_engine(context=3)]


@settings(deadline=None)
@given(ACTIONS, st.integers(1, 6), st.sampled_from(ENGINES))
def test_any_number_of_continuations_may_start_from_any_state(actions, cache, engine):
    cached = CachedEngine(engine, cache, cache_theta=3.0, cache_lambda=0.4)
    reached = [Reached(cached.initial_state(2), [[], []])]
    for action, number, words in actions:
        start = reached[number % len(reached)]
        rows = len(start.texts)
        if action == "select":
            rows = [word % rows for word in words[:3]]
            reached.append(Reached(start.state.select(rows), [start.texts[row] for row in rows]))
        elif action == "join":
            other = reached[words[0] % len(reached)]
            if rows + len(other.texts) <= 8:
                reached.append(Reached(start.state.join(other.state), start.texts + other.texts))
        else:
            block = np.array([words[row % 3 :: 3] for row in range(rows)])
            if action == "step":
                block = block[:, :1]
                _, state = cached.step(block[:, 0], start.state)
            elif action == "run":
                _, state = cached.run(block, start.state)
            else:
                state = cached.read(block, start.state)
            texts = [text + new for text, new in zip(start.texts, block.tolist(), strict=True)]
            reached.append(Reached(state, texts))
    # All of them at the end, when every state has been gone on from.
    for each in reached:
        assert each.state.batch_size == len(each.texts)
        logprobs, _ = cached.step([4] * len(each.texts), each.state)
        for row, text in zip(logprobs, each.texts, strict=True):
            expected = by_the_formula(cached, [word for word in [*text, 4] if word])[-1]
            np.testing.assert_allclose(row, expected, rtol=0, atol=2e-5)


def test_padding_repeats_the_prediction_before():
    cached = CachedEngine(make_engine(), 3, cache_theta=4.0, cache_lambda=0.3)
    logprobs, state = cached.run([[2, 3, 4, 3, 5]])
    repeated, after = cached.step([0], state)
    np.testing.assert_allclose(repeated[0], logprobs[0, -1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(cached.step([4], after)[0], cached.step([4], state)[0], rtol=0, atol=1e-6)


def test_an_empty_cache_leaves_the_model_alone():
    engine = make_engine()
    cached = CachedEngine(engine, 5, cache_theta=4.0, cache_lambda=0.3)
    plain, _ = engine.run([[0, 2, 0, 0]])
    np.testing.assert_array_equal(cached.run([[0, 2, 0, 0]])[0], plain)
    # The first word has followed nothing, so that it is no pair; the second one is the first of the cache.
    assert cached.run([[2, 3]])[0][0, 1, 3] > engine.run([[2, 3]])[0][0, 1, 3]
    assert cached.run([[2, 3]])[0][0, 1, 2] < engine.run([[2, 3]])[0][0, 1, 2]


def test_a_share_of_nothing_is_the_engine():
    engine = make_engine()
    logprobs, _ = CachedEngine(engine, 5, cache_theta=4.0, cache_lambda=0.0).run(TOKEN_IDS)
    np.testing.assert_array_equal(logprobs, engine.run(TOKEN_IDS)[0])


def test_theta_0_counts_words():
    """A unigram cache, whatever the model: of the last four words, and of lambda four fifths."""
    engine = make_engine()
    logprobs, _ = CachedEngine(engine, 4, cache_theta=0.0, cache_lambda=0.5).run([[2, 5, 5, 3, 1, 5, 2]])
    of_model = np.exp(engine.run([[2, 5, 5, 3, 1, 5, 2]])[0][0, -1])
    of_cache = np.zeros(V)
    of_cache[[3, 1, 5, 2]] = 0.25
    np.testing.assert_allclose(np.exp(logprobs[0, -1]), 0.6 * of_model + 0.4 * of_cache, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 99])
def test_the_share_grows_with_the_contexts_that_are_alike(size):
    """Of contexts that are all the same, lambda of 1/2, 2/3, 3/4 ... as far as the cache reaches."""
    config = ModelConfig(vocab_size=V, embedding_dim=2, cell="rnn", units=2, dense=0)
    weights = {name: np.zeros(shape) for name, shape in weight_shapes(config).items()}
    weights["recurrent_1/bias"] = np.ones(2)
    # The model gives the words 3 and 4 next to nothing.
    weights["output/bias"] = np.where(np.isin(np.arange(V), [3, 4]), -50, 0)
    logprobs, _ = CachedEngine(Engine(config, weights), size, 12.0, 0.4).run([[2] + [3, 4] * 15])
    shares = np.exp(logprobs[0, :, 3:5], dtype=np.float64).sum(-1)
    alike = np.minimum(np.arange(31), size)
    np.testing.assert_allclose(shares, 0.4 * alike / (alike + 1), rtol=1e-4, atol=1e-12)


def test_where_no_context_is_alike_the_model_holds_alone():
    """S is 0 in floating point, of words whose vectors are at right angles, and of a vector of zeros."""
    config = ModelConfig(vocab_size=6, embedding_dim=3, cell="rnn", units=3, dense=0)
    weights = {name: np.zeros(shape) for name, shape in weight_shapes(config).items()}
    weights["embedding"][2:5] = np.eye(3)
    weights["recurrent_1/kernel"] = np.eye(3)
    weights["output/kernel"] = np.random.default_rng(1).standard_normal((3, 6))
    engine = Engine(config, weights)
    token_ids = [[2, 3, 4, 5, 5]]
    logprobs, _ = CachedEngine(engine, 5, 1e4, 0.9).run(token_ids)
    np.testing.assert_array_equal(logprobs, engine.run(token_ids)[0])
    again, _ = CachedEngine(engine, 5, 1e4, 0.9).run([[2, 3, 4, 2]])
    of_model = np.exp(engine.run([[2]])[0][0, 0])
    np.testing.assert_allclose(np.exp(again[0, 3]), 0.55 * of_model + 0.45 * (np.arange(6) == 3), rtol=1e-5)


def test_rounding_above_a_cosine_of_one_counts_as_one(monkeypatch):
    """With a theta that would make much of it, and whatever the lengths that rounding leaves."""
    monkeypatch.setattr(cache_module, "_to_length_one", lambda vectors: np.ones_like(vectors))
    cached = CachedEngine(make_engine(), 4, 1e300, 0.5)
    expected = CachedEngine(make_engine(), 4, 0.0, 0.5).run(TOKEN_IDS)[0]
    np.testing.assert_allclose(cached.run(TOKEN_IDS)[0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("theta", [0, 1e-3, 14.0, 1e4, 1e300])
@pytest.mark.parametrize("share", [1e-12, 0.2, 1 - 1e-9])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1.5, 40.0])
def test_predictions_are_finite_and_sum_to_one(theta, share, scale):
    for options in ({}, {"dense": 7}):
        cached = CachedEngine(make_engine(scale=scale, **options), 4, theta, share)
        logprobs, _ = cached.run(TOKEN_IDS)
        assert np.isfinite(logprobs).all()
        np.testing.assert_allclose(np.exp(logprobs, dtype=np.float64).sum(-1), 1, rtol=1e-5)


def test_words_in_a_row_need_no_copy():
    cached = CachedEngine(make_engine(), 100, cache_theta=4.0, cache_lambda=0.3)
    state = cached.read([[2] * 200])
    stores, largest = [state.histories[0].store], 0
    for _ in range(300):
        _, state = cached.step([5], state)
        if state.histories[0].store is not stores[-1]:
            stores.append(state.histories[0].store)
        largest = max(largest, len(state.histories[0].store.words))
    # A quarter of a hundred words fit in between, and no text grows for ever.
    assert len(stores) < 300 / 25
    assert largest < 1.25 * (100 + 128) + 20


def test_a_second_continuation_takes_a_copy():
    cached = CachedEngine(make_engine(), 100, cache_theta=4.0, cache_lambda=0.3)
    state = cached.read([[2, 3, 4]])
    first, second = (cached.step([word], state)[1] for word in (5, 6))
    assert first.histories[0].store is state.histories[0].store
    assert second.histories[0].store is not state.histories[0].store
    twins = cached.step([5, 6], state.select([0, 0]))[1]
    assert twins.histories[0].store is not twins.histories[1].store


def test_threads_may_go_on_from_one_state():
    cached = CachedEngine(make_engine(), 20, cache_theta=4.0, cache_lambda=0.3)
    texts = [[word] * 5 for word in range(3, 11)]
    start = cached.read([[2, 3, 4]])
    expected = [cached.run([text], cached.read([[2, 3, 4]]))[0] for text in texts]
    found, barrier = [None] * len(texts), threading.Barrier(len(texts))

    def go_on(number):
        barrier.wait()
        found[number] = one_by_one(cached, [texts[number]], start)[0]

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0, 0.1), "`cache` must be a whole number, at least 1, but is 0"),
        ((-3, 1.0, 0.1), "`cache` must be a whole number, at least 1, but is -3"),
        ((2.5, 1.0, 0.1), "`cache` must be a whole number, at least 1, but is 2.5"),
        ((5, -0.1, 0.1), "`cache_theta` must be a finite number, at least 0, but is -0.1"),
        ((5, math.nan, 0.1), "`cache_theta` must be a finite number, at least 0, but is nan"),
        ((5, math.inf, 0.1), "`cache_theta` must be a finite number, at least 0, but is inf"),
        ((5, 1.0, -0.1), "`cache_lambda` must be at least 0 and below 1, but is -0.1"),
        ((5, 1.0, 1), "`cache_lambda` must be at least 0 and below 1, but is 1"),
        ((5, 1.0, math.nan), "`cache_lambda` must be at least 0 and below 1, but is nan"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        CachedEngine(make_engine(), *arguments)


def test_wrong_ids_are_refused_as_by_the_engine():
    cached = CachedEngine(make_engine(), 5, cache_theta=4.0, cache_lambda=0.3)
    with pytest.raises(OptionError, match=r"between 0 and 11.* there is 12"):
        cached.step([V], cached.initial_state(1))
    with pytest.raises(OptionError, match="2 texts, but have 3"):
        cached.step([1, 2, 3], cached.initial_state(2))
    with pytest.raises(OptionError, match=r"shape \(batch,\), but have \(1, 1\)"):
        cached.step([[1]], cached.initial_state(1))
    with pytest.raises(OptionError, match=r"shape \(batch, time\), but have \(2,\)"):
        cached.run([1, 2])
    with pytest.raises(OptionError, match="`batch_size` must be at least 1"):
        cached.initial_state(0)
