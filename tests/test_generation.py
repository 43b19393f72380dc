"""The loop against the engine itself, the rules that end a text, prompts, and that pieces join to the text."""

import doctest
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wordlm.generation as generation
from wordlm.config import ModelConfig, SamplingConfig, TextConfig
from wordlm.engine import Engine
from wordlm.generation import generate, read_prompt, stream
from wordlm.layout import weight_shapes
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, PAD, SPECIALS, UNK, Vocabulary

_WORDS = """the he I Yes said went dog lamp do n't 's Mr. Holmes U.S. 5 $ . , ! ? " ' ( ) -- – “ ” # @-@ … 東 京"""
WORDS = _WORDS.split()
VOCABULARY = Vocabulary([*SPECIALS, *WORDS])
KINDS = {"streams": {}, "windows": {"context": 4}, "both ways": {"context": 4, "bidirectional": True}}


def make_engine(scale=1.5, bias=(), **options):
    """An engine with random weights; `bias` lifts some words."""
    config = ModelConfig(vocab_size=len(VOCABULARY), embedding_dim=4, units=5, dense=0, **options)
    rng = np.random.default_rng(5)
    weights = {name: rng.normal(0, scale, shape).astype("float32") for name, shape in weight_shapes(config).items()}
    for id, value in dict(bias).items():
        weights["output/bias"][id] = value
    return Engine(config, weights)


def texts(engine, prompt="", n=1, text=TextConfig(), **options):  # noqa: B008
    return list(generate(engine, VOCABULARY, Tokenizer(text), prompt, n, SamplingConfig(**options)))


class Script:
    """Stands for an engine: the one thing it can say is the given tokens."""

    def __init__(self, said):
        self.ids = VOCABULARY.encode(said.split())

    def hidden(self, token_ids):
        state = types.SimpleNamespace(at=0, select=lambda rows: state)
        return np.zeros((1, 1, 1)), state

    def logprobs(self, hidden):
        return self._sure(0)

    def step(self, token_ids, state):
        state.at += 1
        return self._sure(state.at), state

    def _sure(self, at):
        logprobs = np.full((1, len(VOCABULARY)), -50.0, "float32")
        logprobs[0, self.ids[at]] = 0
        return logprobs


def test_doctests():
    result = doctest.testmod(generation)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_same_seed_gives_the_same_texts_whatever_their_number(options):
    engine = make_engine(**options)
    many = texts(engine, "he said", 70, seed=3, max_words=12)  # more than a batch
    assert texts(engine, "he said", 70, seed=3, max_words=12) == many
    few = texts(engine, "he said", 5, seed=3, max_words=12)
    assert [text.text for text in few] == [text.text for text in many[:5]]
    assert len({text.text for text in many}) > 60
    assert texts(engine, "he said", 5, seed=4, max_words=12) != few


def test_without_a_seed_texts_differ():
    engine = make_engine(bias={EOS: -20})
    assert texts(engine, max_words=20) != texts(engine, max_words=20)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_probability_is_the_models_own_before_any_filter(options):
    engine = make_engine(**options)
    text = texts(engine, "he said", temperature=0.5, top_k=3, max_words=15, seed=1)[0]
    drawn = VOCABULARY.encode(word.word for word in text.words)
    # The prompt follows on <eos>, and nothing stands between it and the text.
    ids = [EOS, *VOCABULARY.encode(["he", "said"]), *drawn]
    logprobs, _ = engine.run(np.array([ids]))
    expected = np.exp(logprobs[0, np.arange(2, len(ids) - 1), drawn])
    np.testing.assert_allclose([word.probability for word in text.words], expected, rtol=1e-4)


def test_temperature_0_takes_the_likeliest_word_at_every_step():
    engine = make_engine(bias={EOS: -20})
    text = texts(engine, "he", temperature=0, max_words=10)[0]
    ids = [EOS, *VOCABULARY.encode(["he"])]
    for word in text.words:
        logprobs = engine.run(np.array([ids]))[0][0, -1]
        logprobs[[PAD, UNK]] = -np.inf
        assert word.word == VOCABULARY[int(logprobs.argmax())]
        ids += VOCABULARY.encode([word.word])


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


def test_max_words():
    for text in texts(make_engine(bias={EOS: -30}), n=3, max_words=7, seed=0):
        assert len(text.words) == 7
        assert text.finish_reason == "max_words"


@pytest.mark.parametrize(
    ("said", "sentences", "text", "reason"),
    [
        ("the dog went . I", 1, "the dog went.", "sentences"),
        ("the dog went . I went ! I", 2, "the dog went. I went!", "sentences"),
        ('" Yes . " I went', 1, '"Yes."', "sentences"),
        ('" Yes ! " said he . I', 1, '"Yes!" said he.', "sentences"),  # it goes on in lower case
        ('Yes . " I', 1, "Yes.", "sentences"),  # this quotation mark opens
        ("( Yes . ) I", 1, "(Yes.)", "sentences"),
        ("Yes ? ! I", 1, "Yes?!", "sentences"),
        ("he went <eos> I", 1, "he went", "sentences"),  # a headline
        ("he went <eos> I went . I", 2, "he went\nI went.", "sentences"),
        ("Yes . <eos> I went . I", 2, "Yes.\nI went.", "sentences"),
        ("he went <eos> <eos> I went . I", 2, "he went\nI went.", "sentences"),
        ("he went <eos> I", 0, "he went", "eos"),
        ("he . he . he . he . he . he", 0, "he. he. he. he. he.", "max_words"),
        ("the the the the he he went he dog . I", 1, "the the the the he he went he dog.", "sentences"),
    ],
)
def test_where_a_text_ends(said, sentences, text, reason):
    (found,) = texts(Script(said), sentences=sentences, max_words=10, temperature=0)
    assert (found.text, found.finish_reason) == (text, reason)


def test_a_lower_case_model_ends_sentences_at_every_mark():
    (found,) = texts(Script("the dog went . he"), text=TextConfig(lowercase=True), sentences=1, temperature=0)
    assert found.text == "The dog went."


@pytest.mark.parametrize("prompt", ["he said", 'he  said, "Yes', "It was a\tBLORPY", "said “Yes”", "he ", ""])
def test_the_text_begins_with_the_prompt_as_typed(prompt):
    for text in texts(make_engine(), prompt, 10, seed=2):
        assert text.text.startswith(prompt.rstrip())
        assert len(text.text) > len(prompt.rstrip())


def test_what_follows_the_prompt_is_joined_as_it_should_be():
    assert texts(Script(". <eos>"), "he went")[0].text == "he went."
    assert texts(Script("dog . <eos>"), "he went ")[0].text == "he went dog."
    assert texts(Script('Yes . " <eos>'), 'he said, "')[0].text == 'he said, "Yes."'
    assert texts(Script("n't . <eos>"), "I do")[0].text == "I don't."


sampling = st.builds(
    SamplingConfig,
    max_words=st.integers(1, 80),
    sentences=st.integers(0, 4),
    temperature=st.sampled_from([0.7, 1.0, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=60, deadline=None)
@given(
    config=sampling,
    prompt=st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
    kind=st.sampled_from(list(KINDS)),
    lowercase=st.booleans(),
)
def test_the_pieces_of_a_stream_join_to_the_text(config, prompt, kind, lowercase):
    engine, tokenizer = make_engine(**KINDS[kind]), Tokenizer(TextConfig(lowercase=lowercase))
    pieces = list(stream(engine, VOCABULARY, tokenizer, prompt, config))
    assert "".join(pieces) == next(generate(engine, VOCABULARY, tokenizer, prompt, 1, config)).text
    assert all(pieces)


@settings(max_examples=60, deadline=None)
@given(said=st.lists(st.sampled_from([*WORDS, "<eos>"]), min_size=1, max_size=40))
def test_text_written_word_by_word_loses_nothing(said):
    prompt = generation.Prompt("", [], [], [])
    words = iter([generation.Word(word, 0.5) for word in said])
    text = "".join(generation._pieces(prompt, words, Tokenizer()))
    tokens = [token for token in said if token != "<eos>"]
    assert "".join(text.split()) == "".join(tokens).replace("@-@", "-")
    assert text == text.strip()


def test_a_paragraph_longer_than_what_is_remembered(monkeypatch):
    monkeypatch.setattr(generation, "_MEMORY", 8)
    said = ["the", "dog", "went", ",", "he", "said", "."] * 20
    words = iter([generation.Word(word, 0.5) for word in said])
    text = "".join(generation._pieces(generation.Prompt("", [], [], []), words, Tokenizer()))
    assert text == " ".join(["the dog went, he said."] * 20)


def test_a_stream_gives_words_as_they_come():
    config = SamplingConfig(max_words=6)
    pieces = stream(Script('he said , " Yes . " <eos>'), VOCABULARY, Tokenizer(), "Mr. Holmes", config)
    assert list(pieces) == ["Mr. Holmes", " he", " said", ', "Yes', "."]


def test_unknown_words_are_reported_once_and_read_as_unk():
    prompt = read_prompt("the blorp the blorp", Tokenizer(), VOCABULARY)
    assert prompt.ids == [3, UNK, 3, UNK]
    assert prompt.unknown == ["blorp"]


def test_a_lower_case_model_reads_the_prompt_in_lower_case():
    assert read_prompt("THE Dog", Tokenizer(TextConfig(lowercase=True)), VOCABULARY).unknown == []


def test_quotation_marks_that_the_model_does_not_know_are_read_as_those_it_knows():
    straight = Vocabulary([*SPECIALS, '"', "I", "do", "n't", "'s"])
    assert read_prompt("“I don’t", Tokenizer(), straight).tokens == ['"', "I", "do", "n't"]
    curly = Vocabulary([*SPECIALS, "“", "”", "I", "do", "n’t", "’s"])
    assert read_prompt('"I don\'t"', Tokenizer(), curly).tokens == ["“", "I", "do", "n’t", "”"]
    assert read_prompt('"I "', Tokenizer(), curly).unknown == []


def test_a_prompt_for_a_model_of_pretokenized_text():
    vocabulary = Vocabulary([*SPECIALS, "ill", "@-@", "fated", "dog", ",", "didn", "'t", "10", "@,@", "000", "(", ")"])
    tokenizer = Tokenizer(TextConfig(kind="pretokenized"))
    prompt = read_prompt("(ill-fated dog, didn't <unk> 10,000)", tokenizer, vocabulary)
    assert prompt.tokens == ["(", "ill", "@-@", "fated", "dog", ",", "didn", "'t", "<unk>", "10", "@,@", "000", ")"]
    assert prompt.unknown == []
    assert read_prompt("ill @-@ fated", tokenizer, vocabulary).unknown == []
    assert read_prompt("well-blorp", tokenizer, vocabulary).unknown == ["well", "blorp"]
    assert read_prompt("well-known", tokenizer, vocabulary).tokens == ["well", "@-@", "known"]
