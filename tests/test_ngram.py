"""Kneser-Ney against plain dictionaries, by hand, on WikiText-2, and its file against damage."""

import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wordlm.errors import BundleError, OptionError
from wordlm.ngram import KneserNey
from wordlm.npz import read_arrays, write_arrays
from wordlm.vocab import EOS

V = 7
IDS = st.lists(st.sampled_from([1, 2, 2, 3, 3, 3, 4, 4, 5, 6]), min_size=1, max_size=60)
CONTEXTS = st.lists(st.integers(0, V - 1), max_size=6)
# The cat sat. The cat ran. The dog sat. With ids that fall in frequency: the=3, cat=4, sat=5, ran=6.
CATS = [3, 4, 5, 2, 3, 4, 6, 2, 3, 1, 5, 2]


class Plain:
    """The same model out of the definitions: n-grams as tuples, exact fractions, one word at a time."""

    def __init__(self, ids, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        sentences = [[EOS]]
        for id in ids:
            sentences[-1].append(id)
            if id == EOS:
                sentences.append([EOS])
        # An n-gram of a sentence ends with one of its words; `<eos>` in front is no word, but begins n-grams.
        raw = Counter(
            tuple(words[end - n : end])
            for words in sentences
            for n in range(1, order + 1)
            for end in range(2, len(words) + 1)
            if end >= n
        )
        self.counts = dict(raw)
        for gram in raw:
            if len(gram) < order and not (len(gram) > 1 and gram[0] == EOS):
                self.counts[gram] = len({longer[0] for longer in raw if longer[1:] == gram})
        self.discounts = [self._discounts(n) for n in range(1, order + 1)]

    def _discounts(self, n):
        n1, n2, n3, n4 = (sum(len(g) == n and c == k for g, c in self.counts.items()) for k in (1, 2, 3, 4))
        if 0 not in (n1, n2, n3, n4):
            y = Fraction(n1, n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            if min(found) > 0:
                return found
        return [Fraction(1, 2), Fraction(1), Fraction(3, 2)]

    def prob(self, word, context):
        if word == 0:
            return Fraction(0)
        context = list(context)
        if EOS in context:
            context = context[len(context) - 1 - context[::-1].index(EOS) :]
        return self._prob(word, tuple(context[max(0, len(context) - self.order + 1) :]))

    def _prob(self, word, context):
        lower = self._prob(word, context[1:]) if context else Fraction(1, self.vocab_size - 1)
        followers = {g[-1]: c for g, c in self.counts.items() if len(g) == len(context) + 1 and g[:-1] == context}
        if not followers:
            return lower
        discount = [0, *self.discounts[len(context)]]
        total = sum(followers.values())
        share = sum(discount[min(count, 3)] for count in followers.values()) / Fraction(total)
        count = followers.get(word, 0)
        return (count - discount[min(count, 3)]) / Fraction(total) + share * lower


def histories(ids):
    """What a text's words are predicted from: the words of the sentence so far, its start in front."""
    history = [EOS]
    for id in ids:
        yield list(history)
        history = [EOS] if id == EOS else [*history, id]


# The numbers


@given(IDS, st.integers(1, 6), CONTEXTS)
@example([2], 5, [2])  # an empty sentence
@example([3], 3, [2, 3])  # and one without its end
@example([2] * 20 + [3, 2], 3, [2])
@example([3, 4] * 9 + [3, 5, 3, 5, 3, 6, 4, 5, 3, 1, 4, 1, 3, 3, 4, 2], 3, [3, 4])
@settings(deadline=None)
def test_equals_dictionaries(ids, order, context):
    model, plain = KneserNey.fit(ids, V, order), Plain(ids, V, order)
    assert np.allclose(model.discounts, np.array(plain.discounts, float), atol=1e-12)
    expected = [float(plain.prob(word, context)) for word in range(V)]
    np.testing.assert_allclose(model.distribution(context), expected, atol=1e-12)


@given(IDS, IDS, st.integers(1, 6))
@settings(deadline=None)
def test_a_text_is_predicted_as_word_by_word_and_sums_to_one(ids, text, order):
    model = KneserNey.fit(ids, V, order)
    logprobs = model.target_logprobs(text)
    for logprob, word, history in zip(logprobs, text, histories(text), strict=True):
        whole, ending = model.distribution(history), model.distribution(history[-max(1, order - 1) :])
        assert whole.sum() == pytest.approx(1, abs=1e-12)
        assert whole[0] == 0
        assert whole[1:].min() > 0
        assert np.array_equal(whole, ending)
        assert np.exp(logprob) == pytest.approx(whole[word], abs=1e-12)


def test_discounts_of_counts_of_counts():
    # Of the seven words' counts (order 1: raw), four are 1, two are 2, one is 3 and one is 4: Y = 4 / 8.
    ids = [3, 4, 5, 6, 7, 7, 8, 8, 9, 9, 9, 2, 2, 2, 2]
    model = KneserNey.fit(ids, 10, order=1)
    assert model.discounts == [(0.5, 2 - 3 * 0.5 / 2, 3 - 4 * 0.5)]
    kept = np.array([0, 0, 3, 0.5, 0.5, 0.5, 0.5, 0.75, 0.75, 2])
    expected = (kept + (15 - kept.sum()) / 9) / 15
    expected[0] = 0
    np.testing.assert_allclose(model.unigram, expected, atol=1e-15)
    np.testing.assert_allclose(np.exp(model.unigram_baseline()), expected, atol=1e-15)
    assert model.unigram_baseline()[0] == -np.inf


def test_an_example_by_hand():
    model = KneserNey.fit(CATS, V, order=3)
    # Single words by the different words before them: <unk> 1 (the), <eos> 2 (sat, ran), the 1, cat 1, sat 2, ran 1.
    unigram = np.array([0, 0.5, 1, 0.5, 0.5, 1, 0.5])
    unigram[1:] += (8 - 4) / 6
    np.testing.assert_allclose(model.unigram, unigram / 8)
    # After `the`: cat and <unk>, each after the sentence's start alone.
    after_the = np.array([0, 0.5, 0, 0, 0.5, 0, 0]) / 2 + 0.5 * unigram / 8
    np.testing.assert_allclose(model.distribution([3]), after_the)
    # A sentence that begins with `the`: cat twice, <unk> once, as often as they are there.
    begins = np.array([0, 0.5, 0, 0, 1, 0, 0]) / 3 + 0.5 * after_the
    np.testing.assert_allclose(model.distribution([2, 3]), begins)
    # `the` begins three sentences, counted raw at order 2 though it is not the highest.
    np.testing.assert_allclose(model.distribution([2]), np.array([0, 0, 0, 1.5, 0, 0, 0]) / 3 + 0.5 * unigram / 8)
    assert model.counts.tolist() == [0, 1, 3, 3, 2, 2, 1]
    assert (model.order, model.vocab_size) == (3, V)


@pytest.mark.parametrize("context", [[], [0], [1, 1], [3, 3]])
def test_contexts_without_followers_know_the_single_words_alone(context):
    model = KneserNey.fit([3, 4, 2], V, order=3) if context != [3, 3] else KneserNey.fit([4, 2], V, order=3)
    share, words, masses = model.sparse(context)
    assert (share, len(words), len(masses)) == (1, 0, 0)
    np.testing.assert_array_equal(model.distribution(context), model.unigram)


def test_words_before_a_sentence_do_not_matter():
    model = KneserNey.fit(CATS, V, order=4)
    expected = model.distribution([2, 3])
    for context in ([4, 2, 3], [2, 4, 6, 2, 3], [5, 5, 5, 2, 3]):
        np.testing.assert_array_equal(model.distribution(context), expected)
    twice = model.target_logprobs(CATS + CATS)
    np.testing.assert_array_equal(twice[: len(CATS)], twice[len(CATS) :])


def test_sparse_has_each_word_once_and_leaves_the_model_alone():
    model = KneserNey.fit(CATS, V, order=3)
    share, words, masses = model.sparse([2, 3])
    assert words.tolist() == [1, 4]
    assert share + masses.sum() == pytest.approx(1)
    masses += 1
    assert model.sparse([2, 3])[2].sum() == pytest.approx(1 - share)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64, list, tuple])
def test_ids_of_any_integer_type(dtype):
    ids = dtype(CATS) if isinstance(dtype, type) and dtype in (list, tuple) else np.array(CATS, dtype)
    expected = KneserNey.fit(np.array(CATS), V).target_logprobs(CATS)
    np.testing.assert_array_equal(KneserNey.fit(ids, V).target_logprobs(ids), expected)


def test_ids_may_be_memory_mapped_and_are_not_changed(tmp_path):
    np.array(CATS, np.uint16).tofile(tmp_path / "ids")
    ids = np.memmap(tmp_path / "ids", np.uint16, mode="r")
    model = KneserNey.fit(ids, V)
    assert model.target_logprobs(ids).shape == (len(CATS),)
    assert ids.tolist() == CATS


def test_no_words_have_no_logprobs():
    assert KneserNey.fit(CATS, V).target_logprobs([]).shape == (0,)


def test_padding_is_never_predicted():
    assert KneserNey.fit(CATS, V).target_logprobs([3, 0, 4])[1] == -np.inf


def test_more_words_than_two_bytes_count():
    ids = np.array([70_000, 3, 2, 70_000, 4, 2])
    model = KneserNey.fit(ids, 70_001, order=3)
    assert model.distribution([2]).argmax() == 70_000
    assert np.exp(model.target_logprobs(ids)).min() > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KneserNey.fit(CATS, V, order=0), "`order` must be a whole number from 1, but is 0"),
        (lambda: KneserNey.fit(CATS, V, order=2.0), "`order` must be a whole number from 1, but is 2.0"),
        (lambda: KneserNey.fit(CATS, V, order=True), "`order` must be a whole number from 1, but is True"),
        (lambda: KneserNey.fit([], V), "but there is none"),
        (lambda: KneserNey.fit([3, 0, 2], V), r"but padding \(id 0\) is among them"),
        (lambda: KneserNey.fit(CATS, 6), "must be from 0 to 5, but are from 1 to 6"),
        (lambda: KneserNey.fit([3, -1], V), "must be from 0 to 6, but are from -1 to 3"),
        (lambda: KneserNey.fit([1.5], V), "whole numbers in one row, but are float64"),
        (lambda: KneserNey.fit([[3, 2]], V), r"in one row, but are int64 of shape \(1, 2\)"),
        (lambda: KneserNey.fit(CATS, V).target_logprobs([7]), "must be from 0 to 6, but are from 7 to 7"),
        (lambda: KneserNey.fit(CATS, V).sparse([7]), "must be from 0 to 6, but one is 7"),
        (lambda: KneserNey.fit(CATS, V).distribution([-1, 3]), "must be from 0 to 6, but one is -1"),
    ],
)
def test_options_out_of_range(call, message):
    with pytest.raises(OptionError, match=message):
        call()


# The file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ngram.npz"


@pytest.mark.parametrize("order", [1, 2, 5, 9])
def test_round_trip(path, order):
    model = KneserNey.fit(CATS, V, order)
    model.save(path)
    loaded = KneserNey.load(str(path))
    assert (loaded.order, loaded.vocab_size, loaded.discounts) == (order, V, model.discounts)
    np.testing.assert_array_equal(loaded.counts, model.counts)
    np.testing.assert_array_equal(loaded.unigram, model.unigram)
    np.testing.assert_array_equal(loaded.target_logprobs(CATS), model.target_logprobs(CATS))
    for history in histories(CATS):
        np.testing.assert_array_equal(loaded.distribution(history), model.distribution(history))
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first


def changed(name, change):
    def apply(arrays):
        arrays[name] = change(arrays[name].copy())

    return apply


def put(place, value):
    def change(array):
        array[place] = value
        return array

    return change


def rename(old, new):
    return lambda arrays: arrays.update({new: arrays.pop(old)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.clear(), "an n-gram model is counts, adjusted_1, but it holds"),
        (rename("counts", "frequencies"), "but it holds adjusted_1, sizes_2"),
        (rename("words_3", "words_4"), "but it holds counts, adjusted_1"),
        (lambda arrays: arrays.pop("words_2"), "but it holds counts, adjusted_1"),
        (changed("counts", lambda a: a[:-1]), "a count for each word, but has 6 and 7"),
        (changed("counts", lambda a: a[:0]), "a count for each word, but has 0 and 7"),
        (changed("counts", lambda a: a * 0), "its words must have counts, and padding none"),
        (changed("counts", put(0, 1)), "its words must have counts, and padding none"),
        (changed("adjusted_1", lambda a: a * 0), "its words must have counts, and padding none"),
        (changed("adjusted_1", put(0, 1)), "its words must have counts, and padding none"),
        (changed("adjusted_2", put(0, 0)), r"each n-gram must have a count \(order 2\)"),
        (changed("adjusted_3", lambda a: a[1:]), r"each n-gram must have a count \(order 3\)"),
        (changed("sizes_2", lambda a: a[:-1]), r"its arrays do not fit together \(order 2\)"),
        (changed("sizes_3", put(0, 9)), r"its arrays do not fit together \(order 3\)"),
        (changed("words_3", lambda a: a[1:]), r"its arrays do not fit together \(order 3\)"),
        (changed("words_2", put(0, 200)), r"an id is not below 7 \(order 2\)"),
        (changed("words_2", lambda a: a[::-1]), r"its words are not sorted \(order 2\)"),
    ],
)
def test_a_file_that_is_no_model(path, change, message):
    KneserNey.fit(CATS, V, order=3).save(path)
    arrays = read_arrays(path)
    change(arrays)
    write_arrays(path, arrays)
    with pytest.raises(BundleError, match=f"ngram.npz is damaged: .*{message}") as caught:
        KneserNey.load(path)
    assert "\n" not in str(caught.value)


def test_models_of_two_vocabularies_do_not_mix(path):
    KneserNey.fit(CATS, V, order=2).save(path)
    small = read_arrays(path)
    KneserNey.fit(CATS, V + 1, order=2).save(path)
    write_arrays(path, read_arrays(path) | {name: small[name] for name in ("counts", "adjusted_1")})
    with pytest.raises(BundleError, match="do not fit together"):
        KneserNey.load(path)


@given(st.data())
@settings(deadline=None)
def test_whatever_loads_sums_to_one(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "ngram.npz"
    KneserNey.fit(CATS, V, order=3).save(path)
    arrays = read_arrays(path)
    name = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[name].copy()
    for _ in range(data.draw(st.integers(1, 3))):
        array[data.draw(st.integers(0, len(array) - 1))] = data.draw(st.integers(0, 8))
    write_arrays(path, arrays | {name: array})
    try:
        model = KneserNey.load(path)
    except BundleError:
        return
    assert model.target_logprobs([3, 4, 5, 1, 2, 6, 6, 2]).max() <= 0
    try:
        probs = model.distribution(data.draw(CONTEXTS))
    except BundleError:  # an n-gram whose end is none is found when it is asked for
        return
    assert probs.sum() == pytest.approx(1)
    assert probs.min() >= 0


def test_an_n_gram_without_its_end(path):
    KneserNey.fit(CATS, V, order=3).save(path)
    arrays = read_arrays(path)
    place = 2  # of `<eos> the cat`, after `<eos> the <unk>`
    assert arrays["words_3"][place] == 4
    words = arrays["words_3"].copy()
    words[place] = 6
    write_arrays(path, arrays | {"words_3": words})
    model = KneserNey.load(path)
    with pytest.raises(BundleError, match="it has an n-gram without its end"):
        model.sparse([2, 3])


# On a real text


@pytest.mark.slow
def test_perplexity_on_wikitext_2(shared_data, tmp_path):
    """234.9 and 220.1 are what an independent implementation gives."""
    parts = {}
    for part in ("train", "valid", "test"):
        lines = (shared_data / "wikitext-2" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
        parts[part] = [word for line in lines for word in [*line.split(), "<eos>"]]
    ids = {word: id for id, word in enumerate(dict.fromkeys(["<pad>", "<unk>", "<eos>", *parts["train"]]))}
    assert len(ids) == 33_279
    train, *others = (np.array([ids[word] for word in words], np.uint16) for words in parts.values())
    model = KneserNey.fit(train, len(ids))
    assert [len(other) for other in others] == [217_646, 245_569]
    perplexities = [np.exp(-model.target_logprobs(other).mean()) for other in others]
    assert perplexities == pytest.approx([234.9, 220.1], rel=5e-4)
    model.save(tmp_path / "ngram.npz")
    assert (tmp_path / "ngram.npz").stat().st_size < 40e6
    loaded = KneserNey.load(tmp_path / "ngram.npz")
    rng = np.random.default_rng(0)
    for place in rng.integers(10, len(others[0]), 300):
        context = others[0][place - 4 : place].tolist()
        probs = loaded.distribution(context)
        assert re.fullmatch(r"1\.0+|0\.9{9}\d*", f"{probs.sum():.9f}")
        assert probs[1:].min() > 0
