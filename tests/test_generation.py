"""The loop against the engine itself: seeds, batches, order, memory, probabilities, and what ends a text."""

import dataclasses
import gc
import tracemalloc
import weakref
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import KINDS, VOCABULARY, WORDS, Script, make_engine

from wordlm import generation
from wordlm.cache import CachedEngine
from wordlm.config import SamplingConfig, TextConfig
from wordlm.draft import Draft
from wordlm.errors import OptionError
from wordlm.generation import GeneratedText, Word, generate, sample, stream
from wordlm.novelty import CopyIndex
from wordlm.prompts import read_prompt
from wordlm.rules import read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary
from wordlm.writer import write

TOKENIZER = Tokenizer()
CORPUS = CopyIndex(np.random.default_rng(0).integers(3, len(VOCABULARY), 600), len(VOCABULARY), max_copy=1)


def texts(engine, prompt="", n=1, against=None, tokenizer=TOKENIZER, **options):
    return list(generate(engine, tokenizer, VOCABULARY, prompt, SamplingConfig(**options), against, n=n))


def streamed(engine, prompt="", against=None, tokenizer=TOKENIZER, **options):
    return "".join(stream(engine, tokenizer, VOCABULARY, prompt, SamplingConfig(**options), against))


def ids_of(text):
    return VOCABULARY.encode(word.word for word in text.words)


def set_batch_size(monkeypatch, size):
    monkeypatch.setattr(generation, "BATCH_SIZE", size)
    monkeypatch.setattr(generation, "_REFILL", max(1, size // 8))


@pytest.fixture
def drafts(monkeypatch):
    """Those that are still held by someone, and how many were at most."""
    alive = weakref.WeakSet()
    alive.most = 0

    class Watched(Draft):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            alive.add(self)
            alive.most = max(alive.most, len(alive))

    monkeypatch.setattr(generation, "Draft", Watched)
    return alive


# What a text depends on. Rounding differs with the size of the batch, and turns a draw about once in a million words:
# seeds and weights are fixed, so that the tests below fail always or never.

# Options of all kinds, together and alone.
CONTROLS = {
    "none": {},
    "sentences": {"sentences": 2, "min_words": 6},
    "filters": {"temperature": 1.3, "top_k": 20, "top_p": 0.9, "min_p": 0.01},
    "typical": {"temperature": 1.0, "typical": 0.7},
    "penalty": {"repetition_penalty": 1.4, "no_repeat_ngram": 2},
    "words": {"ban": ("the", "he said"), "start_with": "dog lamp", "stop": (".", "!")},
    "unknown words": {"no_unk": False, "min_words": 3},
    "likeliest": {"temperature": 0, "no_repeat_ngram": 3},
    "copies": {"against": CORPUS},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_same_seed_gives_the_same_texts_whatever_their_number(options):
    engine = make_engine(**options)
    many = texts(engine, "he said", 600, seed=3, max_words=12)  # more than two batches
    assert [text.text for text in texts(engine, "he said", 600, seed=3, max_words=12)] == [t.text for t in many]
    few = texts(engine, "he said", 5, seed=3, max_words=12)
    assert [text.text for text in few] == [text.text for text in many[:5]]
    assert len({text.text for text in many}) > 500
    assert texts(engine, "he said", 5, seed=4, max_words=12) != few


@pytest.mark.parametrize("options", CONTROLS.values(), ids=CONTROLS)
@pytest.mark.parametrize("size", [1, 3])
def test_the_batch_changes_nothing(monkeypatch, options, size):
    options = {"seed": 5, "max_words": 15} | options
    many = texts(make_engine(), "he said", 40, **options)
    set_batch_size(monkeypatch, size)
    others = texts(make_engine(), "he said", 40, **options)
    assert [text.text for text in others] == [text.text for text in many]
    for one, other in zip(many, others, strict=True):
        assert (one.finish_reason, one.longest_copy) == (other.finish_reason, other.longest_copy)
        assert [word.word for word in one.words] == [word.word for word in other.words]
        np.testing.assert_allclose([w.probability for w in one.words], [w.probability for w in other.words], rtol=1e-3)


def test_without_a_seed_texts_differ():
    engine = make_engine(bias={EOS: -20})
    assert texts(engine, max_words=20) != texts(engine, max_words=20)
    first, second = texts(engine, n=2, max_words=20)
    assert first != second


@pytest.mark.parametrize("refill", [1, 2, 16])
def test_short_texts_do_not_overtake_long_ones(monkeypatch, refill):
    engine = make_engine(bias={EOS: -0.5})
    expected = [texts(engine, seed=1, n=number + 1, max_words=60)[-1] for number in (0, 7, 39)]
    set_batch_size(monkeypatch, 16)
    monkeypatch.setattr(generation, "_REFILL", refill)
    found = texts(engine, n=40, seed=1, max_words=60)
    assert [found[number].text for number in (0, 7, 39)] == [text.text for text in expected]
    lengths = [len(text.words) for text in found]
    assert min(lengths) < 4
    assert max(lengths[:16]) > 20


class Watched:
    """An engine, and how often and with how many texts it was asked."""

    def __init__(self, engine):
        self.engine, self.config, self.batches, self.prompts = engine, engine.config, [], []

    def initial_state(self, batch_size):
        return self.engine.initial_state(batch_size)

    def read(self, token_ids, state=None):
        self.prompts.append(np.asarray(token_ids).tolist())
        return self.engine.read(token_ids, state)

    def step(self, token_ids, state):
        assert state.batch_size == len(token_ids)
        self.batches.append(len(token_ids))
        return self.engine.step(token_ids, state)


def test_the_prompt_is_read_once_for_all_texts():
    engine = Watched(make_engine())
    texts(engine, "he said the", 300, max_words=3)
    assert engine.prompts == [[[EOS, *VOCABULARY.encode(["he", "said"])]]]
    assert max(engine.batches) == generation.BATCH_SIZE


def test_texts_come_as_soon_as_they_and_those_before_them_are_finished():
    engine = Watched(make_engine(bias={EOS: -30}))
    found = generate(engine, TOKENIZER, VOCABULARY, "", SamplingConfig(max_words=4), n=10**9)
    assert engine.batches == []
    next(found)
    assert len(engine.batches) == 4
    for _ in range(generation.BATCH_SIZE - 1):
        next(found)
    assert len(engine.batches) == 4


def test_finished_texts_make_room_for_others():
    engine = Watched(make_engine(bias={EOS: 1}))
    found = texts(engine, n=2000, seed=1, max_words=30)
    words = sum(len(text.words) + (text.finish_reason == "eos") for text in found)
    assert words == sum(engine.batches)
    full = engine.batches[: len(engine.batches) // 2]
    assert min(full) > generation.BATCH_SIZE * 3 / 4


@pytest.mark.parametrize("bias", [-30, 0])
def test_few_texts_are_held_at_a_time(drafts, bias):
    """However many are asked for: those in the batch, and those that wait for a longer one before them."""
    engine = make_engine(bias={EOS: bias})
    for _ in generate(engine, TOKENIZER, VOCABULARY, "", SamplingConfig(max_words=4, seed=1), n=4000):
        pass
    assert drafts.most <= generation.BATCH_SIZE * (2 if bias == -30 else 4)
    gc.collect()
    assert len(drafts) == 0


def test_generators_are_made_as_texts_begin(monkeypatch):
    made = []
    default_rng = np.random.default_rng
    monkeypatch.setattr(generation.np.random, "default_rng", lambda seed: made.append(seed) or default_rng(seed))
    found = generate(make_engine(), TOKENIZER, VOCABULARY, "", SamplingConfig(max_words=4), n=10**9)
    list(islice(found, 10))
    assert len(made) <= 2 * generation.BATCH_SIZE


def test_texts_that_nobody_asks_for_any_more_are_not_made():
    engine = Watched(make_engine(bias={EOS: -30}))
    found = generate(engine, TOKENIZER, VOCABULARY, "", SamplingConfig(max_words=3), n=10**6)
    next(found)
    found.close()
    assert len(engine.batches) == 3


# The loop itself.


def loop(engine, texts, prompt=(), **options):
    return sample(engine, prompt, texts, SamplingConfig(**options))


def draft_of(**options):
    return Draft(read_rules(SamplingConfig(**options), TOKENIZER, VOCABULARY), read_prompt("", TOKENIZER, VOCABULARY))


def test_no_texts_no_steps():
    engine = Watched(make_engine())
    assert list(loop(engine, [])) == []
    assert engine.batches == []


def test_what_the_loop_yields():
    options = {"max_words": 3, "stop": "lamp"}
    draft = draft_of(**options)
    steps = loop(Script("dog went lamp"), [(draft, np.random.default_rng(0))], **options)
    found = []
    for ((one, id, probability),) in steps:
        assert one is draft
        found.append((id, draft.count, draft.finished, round(probability, 6)))
    dog, went = VOCABULARY.encode(["dog", "went"])
    assert found == [(dog, 1, False, 1), (went, 2, False, 1), (None, 2, True, 1)]


def test_texts_are_taken_up_when_there_is_room(monkeypatch):
    set_batch_size(monkeypatch, 4)
    monkeypatch.setattr(generation, "_REFILL", 2)
    taken = []

    def waiting():
        for number in range(9):
            taken.append(number)
            yield draft_of(max_words=2), np.random.default_rng(number)

    sizes = [(len(step), len(taken)) for step in loop(make_engine(bias={EOS: -30}), waiting(), max_words=2)]
    assert sizes == [(4, 4), (4, 4), (4, 8), (4, 8), (1, 9), (1, 9)]


# Probabilities.


def check_probabilities(engine, text, prompt="he said"):
    """Those of the model itself, whatever has changed the chances."""
    drawn = ids_of(text)
    # The prompt follows on <eos>, and nothing stands between it and the text.
    ids = [EOS, *VOCABULARY.encode(prompt.split()), *drawn]
    logprobs, _ = engine.run(np.array([ids]))
    expected = np.exp(logprobs[0, np.arange(len(ids) - len(drawn) - 1, len(ids) - 1), drawn])
    np.testing.assert_allclose([word.probability for word in text.words], expected, rtol=1e-3)


@pytest.mark.parametrize("prompt", ["", "he said"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("options", CONTROLS.values(), ids=CONTROLS)
def test_a_probability_is_the_models_own_before_any_filter(kind, options, prompt):
    engine = make_engine(**kind)
    for text in texts(engine, prompt, 3, **{"max_words": 15, "seed": 1} | options):
        check_probabilities(engine, text, prompt)


def test_probabilities_are_plain_numbers():
    (text,) = texts(make_engine(), max_words=3)
    assert {type(word.probability) for word in text.words} == {float}
    assert text.words[0] == Word(text.words[0].word, text.words[0].probability)


def greedy(engine, prompt, count, banned=(), phrases=(), ngram=0, min_words=0, penalty=1.0):
    """The likeliest word at each step under some rules, in plain loops."""
    before, words = VOCABULARY.encode(prompt.split()), []
    for place in range(count):
        logprobs = engine.run(np.array([[EOS, *before, *words]]))[0][0, -1].astype(np.float64)
        said = before + words
        never = {PAD, UNK, *banned}
        if place < max(1, min_words):
            never.add(EOS)
        for phrase in phrases:
            if tuple(said[len(said) - len(phrase) + 1 :]) == phrase[:-1]:
                never.add(phrase[-1])
        for id in range(len(VOCABULARY)):
            end = [*said, id][-ngram:]
            if ngram and len(end) == ngram and any(said[i : i + ngram] == end for i in range(len(said) - ngram + 1)):
                never.add(id)
        for id in set(said[-64:]):
            logprobs[id] *= penalty
        logprobs[list(never)] = -np.inf
        words.append(int(logprobs.argmax()))
        if words[-1] == EOS:
            return words[:-1]
    return words


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, {}),
        ({"no_repeat_ngram": 2}, {"ngram": 2}),
        ({"no_repeat_ngram": 3, "min_words": 20}, {"ngram": 3, "min_words": 20}),
        ({"repetition_penalty": 1.5}, {"penalty": 1.5}),
        ({"ban": ("he", "the"), "min_words": 9}, {"banned": VOCABULARY.encode(["he", "the"]), "min_words": 9}),
        (
            {"repetition_penalty": 1.2, "no_repeat_ngram": 2, "min_words": 5},
            {"penalty": 1.2, "ngram": 2, "min_words": 5},
        ),
    ],
)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_temperature_0_takes_the_likeliest_word_that_the_rules_allow(kind, options, same):
    engine = make_engine(bias={EOS: -3}, **kind)
    (text,) = texts(engine, "he said I", temperature=0, max_words=25, **options)
    assert ids_of(text) == greedy(engine, "he said I", 25, **same)


def test_temperature_0_keeps_to_banned_phrases():
    engine = make_engine(bias={EOS: -30})
    (text,) = texts(engine, "he", temperature=0, max_words=20)
    pairs = [tuple(ids_of(text)[i : i + 2]) for i in range(19)]
    ban = [" ".join(VOCABULARY.decode(pair)) for pair in pairs]
    rules = read_rules(SamplingConfig(ban=ban), TOKENIZER, VOCABULARY)
    (other,) = texts(engine, "he", temperature=0, max_words=20, ban=ban)
    assert ids_of(other) == greedy(engine, "he", 20, phrases=rules.banned, banned=set(rules.never.tolist()) | {EOS})
    assert not set(rules.banned) & {tuple(ids_of(other)[i : i + 2]) for i in range(19)}


# Words that come and words that do not.


def test_unk_comes_only_when_it_is_asked_for_and_padding_never():
    engine = make_engine(bias={UNK: 20, PAD: 40})
    words = [word.word for text in texts(engine, n=10, seed=0) for word in text.words]
    assert words
    assert not {"<unk>", "<pad>"} & set(words)
    words = [word.word for text in texts(engine, n=10, seed=0, no_unk=False) for word in text.words]
    assert "<unk>" in words
    assert "<pad>" not in words


@pytest.mark.parametrize("prompt", ["", "he said"])
def test_a_text_has_a_word_though_the_model_would_end_it(prompt):
    for text in texts(make_engine(bias={EOS: 30}), prompt, 20, seed=0):
        assert len(text.words) == 1
        assert text.finish_reason == "eos"


def test_min_words_though_the_model_would_end_it():
    for text in texts(make_engine(bias={EOS: 30}), n=20, min_words=6, seed=0):
        assert len(text.words) == 6
        assert text.finish_reason == "eos"
    for text in texts(make_engine(), n=20, min_words=9, sentences=1, stop="dog", seed=0):
        assert len(text.words) >= 9
        assert "dog" not in [word.word for word in text.words]


def test_the_first_words():
    engine = make_engine(bias={VOCABULARY.ids["dog"]: -40})
    for text in texts(engine, "he said", 10, start_with='"Yes dog', seed=0, max_words=9, no_repeat_ngram=2):
        assert [word.word for word in text.words[:3]] == ['"', "Yes", "dog"]
        assert text.text.startswith('he said "Yes dog')
        assert text.words[2].probability < 1e-9
        assert "dog" not in [word.word for word in text.words[3:]]
    assert {len(text.words) for text in texts(engine, n=5, start_with="the dog", max_words=2)} == {2}


def test_bans_and_ngrams_over_the_prompt_too():
    engine = make_engine(0.3, bias={EOS: -30, VOCABULARY.ids["dog"]: 3, VOCABULARY.ids["the"]: 3})
    for text in texts(engine, "he said the", 20, ban="the dog", max_words=30, seed=1):
        words = ["the", *(word.word for word in text.words)]
        assert ("the", "dog") not in pairwise(words)
        assert "dog" in words
    for text in texts(engine, "the dog the", 20, no_repeat_ngram=2, max_words=30, seed=1):
        words = ["the", "dog", "the", *(word.word for word in text.words)]
        pairs = list(pairwise(words))
        assert len(set(pairs)) == len(pairs)


def longest_run(ids, corpus):
    return max(n for n in range(len(ids) + 1) if any(ids[i : i + n] == corpus[j : j + n]
               for i in range(len(ids) - n + 1) for j in range(len(corpus) - n + 1)))  # fmt: skip


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_words_in_a_row_are_copied(most):
    engine = make_engine(scale=2.5, bias={EOS: -30})
    corpus = [id for text in texts(engine, n=20, seed=1, max_words=12) for id in [*ids_of(text), EOS]]
    words = [id for id in corpus if id != EOS]
    index = CopyIndex(corpus, len(VOCABULARY), max_copy=most)
    free, watched = (texts(engine, n=20, seed=2, max_words=12, against=a) for a in (None, index))
    assert {text.longest_copy for text in free} == {None}
    assert max(longest_run(ids_of(text), words) for text in free) > 3
    assert [text.longest_copy for text in watched] == [longest_run(ids_of(text), words) for text in watched]
    assert max(text.longest_copy for text in watched) == most


def test_a_text_without_copies_says_none_of_them():
    index = CopyIndex([UNK, UNK, VOCABULARY.ids["$"]], len(VOCABULARY))
    (text,) = texts(make_engine(), against=index, ban="$", max_words=9)
    assert text.longest_copy == 0


# With a cache.


def cached(share=0.5, size=20, **options):
    return CachedEngine(make_engine(bias={EOS: -2}, **options), cache=size, cache_theta=1.0, cache_lambda=share)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_with_a_cache(monkeypatch, kind):
    options = {"seed": 2, "max_words": 30}
    many = texts(cached(**kind), "he said", 40, **options)
    for text in many[:5]:
        check_probabilities(cached(**kind), text)
    assert [text.text for text in many] != [t.text for t in texts(cached(0.0, **kind), "he said", 40, **options)]
    plain = texts(make_engine(bias={EOS: -2}, **kind), "he said", 40, **options)
    assert [text.text for text in plain] == [t.text for t in texts(cached(0.0, **kind), "he said", 40, **options)]
    set_batch_size(monkeypatch, 3)
    assert [text.text for text in texts(cached(**kind), "he said", 40, **options)] == [text.text for text in many]
    assert streamed(cached(**kind), "he said", **options) == many[0].text


# Where texts end; more of it in test_draft.py.


@pytest.mark.parametrize(
    ("said", "options", "text", "reason"),
    [
        ("he went <eos> I", {}, "he went", "eos"),
        ("he . he . he . he", {"max_words": 5}, "he. he. he", "max_words"),
        ("the dog went . I went ! I", {"sentences": 1}, "the dog went.", "sentences"),
        ("the dog went . I went ! I", {"sentences": 2}, "the dog went. I went!", "sentences"),
        ('" Yes ! " said he . I', {"sentences": 1}, '"Yes!" said he.', "sentences"),
        ("he went <eos> I went . I", {"sentences": 2}, "he went\nI went.", "sentences"),
        ("he went <eos> <eos> I went . I", {"sentences": 2}, "he went\nI went.", "sentences"),
        ("he he he he .", {"sentences": 1, "max_words": 5}, "he he he he.", "sentences"),
        ("he went dog", {"stop": ("dog", "lamp")}, "he went", "stop"),
        ("he went . dog", {"stop": "dog", "sentences": 9}, "he went.", "stop"),
    ],
)
def test_where_a_text_ends(said, options, text, reason):
    (found,) = texts(Script(said), temperature=0, **options)
    assert (found.text, found.finish_reason) == (text, reason)
    assert streamed(Script(said), temperature=0, **options) == text


def test_a_word_that_ends_the_text_is_none_of_its_words():
    (text,) = texts(Script("he went . dog"), stop="dog", temperature=0)
    assert [word.word for word in text.words] == ["he", "went", "."]
    (text,) = texts(Script("he went <eos> Yes . I"), sentences=2, temperature=0)
    assert [word.word for word in text.words] == ["he", "went", "<eos>", "Yes", "."]


@pytest.mark.parametrize(
    "options", [{}, {"sentences": 1}, {"sentences": 30}, {"stop": ("the", ".")}, {"min_words": 12}]
)
def test_every_text_has_a_reason_to_end(options):
    found = texts(make_engine(), n=60, max_words=15, seed=3, **options)
    reasons = {text.finish_reason for text in found}
    possible = {"sentences" if "sentences" in options else "eos", "max_words"} | (
        {"stop"} if "stop" in options else set()
    )
    assert reasons <= possible
    for text in found:
        assert 1 <= len(text.words) <= 15
        assert text.finish_reason != "max_words" or len(text.words) == 15


# What is searched for; more of it in test_search.py.


@pytest.mark.parametrize(
    "options",
    [{"beams": 4}, {"include": ("dog", "he said")}, {"end_with": "Mr. Holmes"}, {"beams": 4, "include": ("dog",)}],
)
def test_what_is_searched_for(options):
    engine, options = make_engine(), {"seed": 1, "max_words": 15} | options
    found = texts(engine, "he said", 3, **options)
    assert len(found) == 3
    for text in found:
        words = " ".join(word.word for word in text.words)
        assert all(f" {phrase} " in f" {words} " for phrase in options.get("include", ()))
        assert words.endswith(options.get("end_with", ""))
        assert 1 <= len(text.words) <= 15
        check_probabilities(engine, text)
    assert texts(engine, "he said", 3, **options) == found
    assert streamed(engine, "he said", **options) == texts(engine, "he said", **options)[0].text


# As written.


@pytest.mark.parametrize("prompt", ["he said", 'he  said, "Yes', "It was a\tBLORPY", "said “Yes”", "he ", ""])
def test_the_text_begins_with_the_prompt_as_typed(prompt):
    for text in texts(make_engine(), prompt, 10, seed=2):
        assert text.text.startswith(prompt.rstrip())
        assert len(text.text) > len(prompt.rstrip())
        words = [word.word for word in text.words]
        assert text.text == write(read_prompt(prompt, TOKENIZER, VOCABULARY), words, TOKENIZER)


def test_a_stream_gives_words_as_they_come():
    parts = stream(
        Script('he said , " Yes . " <eos>'), TOKENIZER, VOCABULARY, "Mr. Holmes", SamplingConfig(max_words=6)
    )
    assert list(parts) == ["Mr. Holmes", " he", " said", ', "Yes', "."]


def test_a_stream_draws_no_word_before_it_is_asked_for():
    engine = Watched(make_engine(bias={EOS: -30}))
    parts = stream(engine, TOKENIZER, VOCABULARY, "he", SamplingConfig(max_words=10**9, seed=1))
    assert engine.batches == []
    assert next(parts) == "he"
    assert engine.batches == []
    for _ in range(20):
        next(parts)
    assert 20 <= len(engine.batches) < 80
    assert set(engine.batches) == {1}


sampling = st.builds(
    dict,
    max_words=st.integers(12, 80),
    min_words=st.integers(0, 12),
    sentences=st.integers(0, 4),
    temperature=st.sampled_from([0, 0.7, 1.0, 2.0]),
    top_k=st.sampled_from([0, 0, 5]),
    top_p=st.sampled_from([1.0, 1.0, 0.5]),
    min_p=st.sampled_from([0.0, 0.0, 0.1]),
    typical=st.sampled_from([1.0, 1.0, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    no_repeat_ngram=st.sampled_from([0, 3]),
    ban=st.sampled_from([(), ("the", "he said"), ("very odd", "I went")]),
    stop=st.sampled_from([(), ("dog",), (".", "!")]),
    start_with=st.sampled_from(["", '"Yes', "Mr. Holmes said"]),
    no_unk=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=80, deadline=None)
@given(
    options=sampling,
    prompt=st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
    kind=st.sampled_from(list(KINDS)),
    lowercase=st.booleans(),
    against=st.sampled_from([None, CORPUS]),
)
def test_the_pieces_of_a_stream_join_to_the_text(options, prompt, kind, lowercase, against):
    engine, tokenizer = make_engine(**KINDS[kind]), Tokenizer(TextConfig(lowercase=lowercase))
    if lowercase:
        options |= {"start_with": "", "ban": (), "stop": ()}  # Holmes is no word that such a model knows
    config = SamplingConfig(**options)
    pieces = list(stream(engine, tokenizer, VOCABULARY, prompt, config, against))
    found = next(generate(engine, tokenizer, VOCABULARY, prompt, config, against))
    assert "".join(pieces) == found.text
    assert all(pieces)
    assert config.min_words <= len(found.words) <= config.max_words


def growth_of_a_stream(words, **options):
    """Bytes that a stream holds at its end beyond those that it held after a third."""
    config = SamplingConfig(max_words=words, sentences=words, seed=1, **options)
    parts = stream(make_engine(bias={EOS: 1}), TOKENIZER, VOCABULARY, "he said", config)
    tracemalloc.start()
    try:
        held = []
        for number, _ in enumerate(parts):
            if number % (words // 24) == 0:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return held[-1] - held[len(held) // 3]


def test_a_stream_does_not_grow():
    # A list with a place of 8 bytes for each word would grow by 16,000 bytes; noise, which does not depend on the
    # length, is up to 7,500.
    assert growth_of_a_stream(3000) < 12_000
    # What does grow is seen: n-grams, when they are asked for.
    assert growth_of_a_stream(600, no_repeat_ngram=4) > 20_000


@pytest.mark.slow
def test_a_very_long_stream_does_not_grow():
    assert growth_of_a_stream(50_000, ban=("the dog", "he"), repetition_penalty=1.2, start_with="dog") < 10_000


# Options.

BASE = {"seed": 8, "max_words": 40, "sentences": 3, "temperature": 1.0, "no_unk": False}
CHANGES = {
    "max_words": 5, "min_words": 35, "sentences": 1, "stop": (".", "the"), "start_with": "lamp", "ban": ("!", "."),
    "no_unk": True, "temperature": 0.5, "top_k": 3, "top_p": 0.5, "min_p": 0.2, "typical": 0.3,
    "repetition_penalty": 2.0, "no_repeat_ngram": 2, "seed": 9,
}  # fmt: skip
# Those that are not the loop's: they ask for a search, or for another engine, or speak of the texts to differ from.
ELSEWHERE = {"end_with", "include", "beams", "max_copy", "cache", "cache_theta", "cache_lambda"}


def test_every_option_is_tried():
    assert set(CHANGES) | ELSEWHERE == {f.name for f in dataclasses.fields(SamplingConfig)}


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_every_option_changes_something(name, value):
    engine = make_engine(bias={EOS: -1, UNK: 1})
    plain = [text.text for text in texts(engine, "he said", 30, **BASE)]
    assert [text.text for text in texts(engine, "he said", 30, **BASE | {name: value})] != plain


@pytest.mark.parametrize(
    ("prompt", "n", "options", "message"),
    [
        ("", 0, {}, "`n` must be at least 1, but is 0"),
        ("", 3, {"beams": 2}, "`beams` must be at least the number of texts, which is 3, but is 2"),
        ("", 1, {"ban": "dog", "start_with": "dog"}, "`start_with` and `ban` contradict"),
        ("", 1, {"include": "blorp"}, "`include` must be words that the model knows"),
        ("", 1, {"start_with": "the dog", "max_words": 1}, "`max_words` must leave room"),
        ("", 1, {"stop": "the dog"}, "`stop` takes single words"),
    ],
)
def test_errors_come_at_the_call(prompt, n, options, message):
    config = SamplingConfig(**options)
    with pytest.raises(OptionError, match=message):
        generate(make_engine(), TOKENIZER, VOCABULARY, prompt, config, n=n)
    if n == 1:
        with pytest.raises(OptionError, match=message):
            stream(make_engine(), TOKENIZER, VOCABULARY, prompt, config)


def test_rules_that_leave_no_word_after_some():
    """No rule alone is at fault, so it is found on the way."""
    vocabulary = Vocabulary([*SPECIALS, "dog", "lamp"])
    engine = make_engine(vocab_size=len(vocabulary))
    found = generate(engine, TOKENIZER, vocabulary, "", SamplingConfig(no_repeat_ngram=2, min_words=9))
    with pytest.raises(OptionError, match="no word is left to draw"):
        next(found)


def test_a_text_is_made_of_its_parts():
    assert GeneratedText("he went") == GeneratedText("he went", [], "max_words", None)
    (text,) = texts(Script("dog <eos>"), "the", temperature=0)
    assert text == GeneratedText("the dog", [Word("dog", text.words[0].probability)], "eos", None)
    assert dataclasses.asdict(text)["words"] == [{"word": "dog", "probability": text.words[0].probability}]
