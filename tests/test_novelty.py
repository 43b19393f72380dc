import doctest
import tracemalloc
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wordlm import novelty as module
from wordlm.config import TextConfig
from wordlm.corpus import prepare_corpus
from wordlm.errors import OptionError, TextError
from wordlm.novelty import CopyIndex
from wordlm.text import Paragraph, Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, UNK, Vocabulary


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def followed(index, ids):
    """A tracker that has taken the ids."""
    tracker = index.start()
    for id in ids:
        tracker.add(id)
    return tracker


def words_of(ids):
    return [id for id in ids if id not in (PAD, EOS)]


def stands_in(run, words):
    return UNK not in run and any(words[i : i + len(run)] == run for i in range(len(words) - len(run) + 1))


def run_at_the_end(text, words):
    """By brute force: how many of the last words of a text stand in a row in the corpus."""
    return max(n for n in range(len(text) + 1) if n == 0 or stands_in(text[-n:], words))


@st.composite
def corpora_and_texts(draw):
    """A corpus of few words, and a text that is half made up of pieces of it."""
    # Few words make long runs; with more of them, fewer fit in 64 bits and the order is found by doubling.
    last = draw(st.integers(3, 7))
    corpus = draw(st.lists(st.integers(0, last), min_size=1, max_size=60).filter(lambda ids: max(ids) > EOS))
    copied = st.tuples(st.integers(0, len(corpus)), st.integers(0, 30)).map(lambda at: corpus[at[0] : at[0] + at[1]])
    made = st.lists(st.integers(0, last + 1), max_size=4)
    text = draw(st.lists(st.one_of(copied, made), max_size=6).map(lambda parts: list(chain.from_iterable(parts))))
    return corpus, text, draw(st.sampled_from([last + 2, 300, 70_000])), draw(st.integers(1, 14))


@settings(max_examples=400, deadline=None)
@given(corpora_and_texts())
@example(([3] * 40, [3] * 60, 70_000, 5))
@example(([3, 4, 1] * 10, [3, 4, 1, 3, 4, 3], 70_000, 5))
@example(([3, 1, 4, 1, 4, 1, 3, 3, 1, 5, 3, 1, 3], [3, 3, 4, 5], 5 * 2**10, 2))
def test_every_step_is_what_brute_force_finds(case):
    corpus, text, vocab_size, max_copy = case
    words, index = words_of(corpus), CopyIndex(corpus, vocab_size, max_copy)
    tracker, read, longest = index.start(), [], 0
    for id in text:
        tracker.add(id)
        read = words_of([*read, id])
        longest = max(longest, run_at_the_end(read, words))
        assert tracker.longest == longest
        last = read[-max_copy:]
        expected = [w for w in sorted(set(words)) if len(last) == max_copy and stands_in([*last, w], words)]
        assert list(tracker.forbidden()) == expected


@settings(max_examples=200, deadline=None)
@given(corpora_and_texts(), st.randoms(use_true_random=False))
def test_who_obeys_copies_no_more(case, random):
    """Every word drawn from those of the corpus that are allowed: a harder case than any model's."""
    corpus, _, vocab_size, max_copy = case
    tracker, text, words = CopyIndex(corpus, vocab_size, max_copy).start(), [], words_of(corpus)
    for _ in range(60):
        allowed = sorted(set(corpus) - set(tracker.forbidden()))
        if not allowed:
            break
        text.append(random.choice(allowed))
        tracker.add(text[-1])
    text = words_of(text)
    longest = max((run_at_the_end(text[:end], words) for end in range(1, len(text) + 1)), default=0)
    assert tracker.longest == longest <= max_copy


def test_a_run_by_hand():
    #       the cat sat on  the mat
    words = [3, 4, 5, 6, 3, 7]
    index = CopyIndex(words, vocab_size=9, max_copy=2)
    assert followed(index, []).forbidden() == ()
    assert followed(index, [3]).forbidden() == ()
    assert list(followed(index, [3, 4]).forbidden()) == [5]
    assert list(followed(index, [6, 3]).forbidden()) == [7]
    assert list(followed(index, [3, 7]).forbidden()) == []  # nothing follows the last word
    assert followed(index, [3, 4, 8, 6, 3]).longest == 2
    assert followed(index, [8, 8]).longest == 0
    assert followed(index, words).longest == 6  # the bans are the caller's to obey


def test_paragraphs_end_where_they_like():
    index = CopyIndex([3, 4, EOS, EOS, 5, 6, EOS, PAD, PAD], vocab_size=9, max_copy=3)
    for text in ([3, 4, 5], [3, EOS, 4, EOS, 5, EOS], [PAD, 3, 4, EOS, EOS, 5]):
        tracker = followed(index, text)
        assert (tracker.longest, tracker.forbidden()) == (3, [6])
    assert followed(index, [EOS, EOS]).longest == 0


def test_no_run_goes_through_an_unknown_word():
    index = CopyIndex([3, 4, UNK, 5, 6, UNK, 5, 7], vocab_size=9, max_copy=2)
    assert followed(index, [3, 4, UNK, 5, 6]).longest == 2
    assert followed(index, [UNK, UNK]).longest == 0
    assert followed(index, [3, 4]).forbidden() == []


def test_the_longest_run_is_found_among_those_beyond_the_limit():
    """A long run breaks off, and a part of it goes on elsewhere."""
    corpus = [*range(10, 30), EOS, UNK, *range(18, 30), 5, 6, 7, UNK, 29, 5, 8]
    index = CopyIndex(corpus, vocab_size=40, max_copy=3)
    assert followed(index, range(10, 30)).longest == 20
    assert followed(index, [*range(15, 30), 5, 6]).longest == 15
    assert followed(index, [*range(17, 30), 5, 6, 7]).longest == 15
    assert list(followed(index, [27, 28, 29]).forbidden()) == [5]
    # One run is over, and another begins in its middle and ends a word behind it.
    assert followed(index, [*range(10, 20), 6, *range(17, 21)]).longest == 10


# 70,000 words take 17 bits, so that the order is known to a depth of 3 words, then 6, then 12: one too few here.
@pytest.mark.parametrize("max_copy", [3, 6, 12])
def test_the_order_is_deep_enough(max_copy):
    rng = np.random.default_rng(max_copy)
    corpus = rng.integers(3, 5, 60 * 2**max_copy if max_copy < 12 else 20_000).tolist()
    index, text = CopyIndex(corpus, 70_000, max_copy), "".join(map(chr, corpus))
    tracker, read, run, longest = index.start(), "", 0, 0
    for id in rng.integers(3, 5, 300).tolist():
        tracker.add(id)
        read += chr(id)
        last = read[-max_copy:]
        assert list(tracker.forbidden()) == [w for w in (3, 4) if len(last) == max_copy and last + chr(w) in text]
        run += 1
        while read[len(read) - run :] not in text:
            run -= 1
        longest = max(longest, run)
        assert tracker.longest == longest
    assert longest > max_copy


def test_a_copy_goes_its_own_way():
    index = CopyIndex([3, 4, 5, 6, 7, 8], vocab_size=9, max_copy=2)
    one = followed(index, [3, 4, 5])
    other = one.copy()
    one.add(6)
    other.add(8)
    assert (one.longest, other.longest) == (4, 3)
    assert list(one.forbidden()) == [7]
    assert list(other.forbidden()) == []
    other = one.copy()
    other.add(7)
    assert (one.longest, other.longest) == (4, 5)


def test_a_corpus_shorter_than_the_limit_forbids_nothing():
    index = CopyIndex([3, 4, 5], vocab_size=6, max_copy=12)
    tracker = followed(index, [3, 4, 5] * 10)
    assert (tracker.longest, tracker.forbidden()) == (3, ())
    assert followed(CopyIndex([3], vocab_size=4, max_copy=1), [3]).forbidden() == []


@pytest.mark.parametrize("max_copy", [0, -1, 1.5, True, None])
def test_the_limit_is_at_least_one_word(max_copy):
    with pytest.raises(OptionError, match="`max_copy` must be a whole number, at least 1"):
        CopyIndex([3], 4, max_copy)
    with pytest.raises(OptionError, match="`max_copy`"):
        CopyIndex.from_texts(iter(()), Tokenizer(), Vocabulary(["<pad>", "<unk>", "<eos>"]), max_copy)


@pytest.mark.parametrize("ids", [[], [EOS], [PAD, EOS, UNK], np.zeros(0, np.uint16)])
def test_nothing_to_compare_with(ids):
    with pytest.raises(TextError, match="no word to compare with"):
        CopyIndex(ids, 5)


@pytest.mark.parametrize("ids", [[3, 5], [-1, 3], np.array([3, 5], np.uint32)])
def test_ids_of_another_vocabulary(ids):
    with pytest.raises(OptionError, match="between 0 and 4"):
        CopyIndex(ids, 5)


@pytest.mark.parametrize("ids", [[3.0, 4.0], [[3, 4]], np.array(["a"]), np.array(3)])
def test_what_are_no_ids(ids):
    with pytest.raises(OptionError, match="whole numbers in a row"):
        CopyIndex(ids, 5)


@pytest.mark.parametrize("id", [-1, 5, 2**40])
def test_a_tracker_takes_ids_of_the_vocabulary_alone(id):
    with pytest.raises(OptionError, match="between 0 and 4"):
        CopyIndex([3, 4], 5).start().add(id)


TEXT = 'The old man said, "I don\'t\nknow the old man."\n\nThe old woman knew him.\n\n'


@pytest.mark.parametrize("kind", ["prose", "lines", "pretokenized"])
def test_texts_are_read_as_in_training(tmp_path, kind):
    config = TextConfig(kind=kind)
    tokenizer, path = Tokenizer(config), tmp_path / "text.txt"
    path.write_text(TEXT * 3 + "<eos> <pad> a <unk> b\n")
    corpus = prepare_corpus(tmp_path / "corpus", Texts([path], config), tokenizer, valid_fraction=0, min_count=2)
    by_ids = CopyIndex(corpus.train, len(corpus.vocabulary), 3)
    by_texts = CopyIndex.from_texts(Texts([path], config), tokenizer, corpus.vocabulary, 3)
    assert by_texts.vocab_size == len(corpus.vocabulary)
    rng = np.random.default_rng(1)
    for start in rng.integers(0, len(corpus.train) - 12, 20):
        text = [*corpus.train[start : start + 12].tolist(), *rng.integers(0, len(corpus.vocabulary), 3).tolist()]
        one, other = followed(by_ids, text[:12]), followed(by_texts, text[:12])
        assert list(one.forbidden()) == list(other.forbidden())
        assert one.longest == other.longest
        assert followed(by_ids, text).longest == followed(by_texts, text).longest


def test_a_text_of_other_words():
    vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "word"])
    with pytest.raises(TextError, match="no word to compare with"):
        CopyIndex.from_texts([Paragraph(0, "None of these"), Paragraph(0, "")], Tokenizer(), vocabulary)


def test_a_large_text_streams_by_with_word_of_the_progress():
    vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", *(f"w{i}" for i in range(1000))])
    tokenizer = Tokenizer(TextConfig(kind="pretokenized"))
    rng, told, size, kept = np.random.default_rng(0), [], 250_000, []

    def texts():
        for _ in range(size // 50):
            ids = rng.integers(3, len(vocabulary), 50).tolist()
            if len(kept) < 100:
                kept.extend(ids)
            yield Paragraph(0, " ".join(vocabulary.decode(ids)))

    assert len(vocabulary.ids) == 1003
    tracemalloc.start()
    try:
        index = CopyIndex.from_texts(texts(), tokenizer, vocabulary, progress=told.append)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The text alone has 5 bytes a word, its tokens as strings over 50.
    assert peak < 45 * size
    assert after < 9 * size
    assert told == sorted(told)
    assert len(told) == size // module._PROGRESS
    assert followed(index, kept).longest >= 100


@pytest.mark.slow
def test_two_million_words_against_a_search_of_bytes(shared_data):
    config, path = TextConfig(kind="pretokenized"), shared_data / "wikitext-2" / "train.txt"
    tokens = path.read_text(encoding="utf-8").split()
    vocabulary = Vocabulary.from_counts(Counter(tokens).items())
    words = np.array(vocabulary.encode(tokens), np.int32)
    index, text = CopyIndex.from_texts(Texts([path], config), Tokenizer(config), vocabulary), words.tobytes()

    def stands_there(run):
        wanted, at = np.array(run, np.int32).tobytes(), -1
        while (at := text.find(wanted, at + 1)) >= 0:
            if at % 4 == 0:
                return True
        return False

    rng = np.random.default_rng(2)
    for start in rng.integers(0, len(words) - 30, 60):
        run = words[start : start + 25].tolist()
        run[15] = int(words[rng.integers(len(words))])  # a common word, often
        tracker, longest = index.start(), 0
        for end, id in enumerate(run, 1):
            tracker.add(id)
            length = 0
            while length < end and UNK not in (part := run[end - length - 1 : end]) and stands_there(part):
                length += 1
            longest = max(longest, length)
            assert tracker.longest == longest
        following = [w for w in tracker.forbidden() if not stands_there([*run[-12:], w])]
        assert following == []
