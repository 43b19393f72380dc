"""Figures of a model on a text: closed forms, examples checked by hand, plain loops, the rows of `score`."""

import dataclasses
import doctest
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_model import VOCABULARY as SMALL
from small_model import make_engine

import wordlm
from wordlm import evaluation
from wordlm.errors import OptionError, TextError
from wordlm.evaluation import evaluate
from wordlm.keystrokes import Keyboard
from wordlm.mixed_engine import MixedEngine
from wordlm.mixture import PARTS, Mixture
from wordlm.ngram import KneserNey
from wordlm.passages import Passage, read_passages
from wordlm.scoring import score_passages
from wordlm.text import Paragraph
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, SPECIALS, UNK, Vocabulary

WORDS = Vocabulary([*SPECIALS, "the", "dog", "then"])
V = len(WORDS)


@dataclass(frozen=True)
class _Last:
    """The last word of each text."""

    ids: tuple[int, ...]

    @property
    def batch_size(self):
        return len(self.ids)

    def select(self, indices):
        return _Last(tuple(self.ids[index] for index in indices))

    def join(self, other):
        return _Last(self.ids + other.ids)


class Markov:
    """Stands for an engine: what it predicts depends on the last word alone."""

    def __init__(self, probabilities, after=None):
        """`probabilities` (V,) of the next word; `after` has others for some last words."""
        self.table = np.tile(np.array(probabilities, np.float64), (len(probabilities), 1))
        for id, row in (after or {}).items():
            self.table[id] = row
        self.config = SimpleNamespace(vocab_size=len(probabilities))

    def initial_state(self, batch_size):
        return _Last((EOS,) * batch_size)

    def run(self, token_ids, state=None):
        last, rows = np.array((state or self.initial_state(len(token_ids))).ids), []
        for column in np.asarray(token_ids).T:
            last = np.where(column == 0, last, column)
            with np.errstate(divide="ignore"):
                rows.append(np.log(self.table[last]))
        return np.stack(rows, axis=1), _Last(tuple(last.tolist()))

    def read(self, token_ids, state=None):
        return self.run(token_ids, state)[1]

    def step(self, token_ids, state):
        logprobs, state = self.run(np.asarray(token_ids)[:, np.newaxis], state)
        return logprobs[:, 0], state


def passages(*texts, vocabulary=WORDS, document=0):
    return list(read_passages([Paragraph(document, text) for text in texts], Tokenizer(), vocabulary))


def test_examples():
    result = doctest.testmod(evaluation)
    assert result.failed == 0
    assert result.attempted > 0


# --- closed forms and examples that can be checked by hand ---------------------------------------------------------


def test_a_uniform_model_has_the_perplexity_v():
    found = evaluate(Markov([1 / V] * V), WORDS, passages("the dog barked", "then"))
    assert found.perplexity == pytest.approx(V)
    assert found.perplexity_without_oov == pytest.approx(V)
    assert found.bits_per_word == pytest.approx(math.log2(V))
    assert found.tokens == 6
    # "the dog barked" and "then", each with its line end.
    assert found.bits_per_character == pytest.approx(6 * math.log2(V) / 20)
    assert found.oov_rate == pytest.approx(1 / 6)
    # All words are the likeliest one.
    assert (found.top1, found.top3, found.top5) == (1, 1, 1)
    assert found.calibration_error == pytest.approx(1 - 1 / V)
    assert found.baselines == {"unigram": None, "kneser_ney": None}
    assert found.parts is None
    assert found.mixture is None


def test_figures_by_hand():
    #                pad  unk   eos   the  dog   then
    engine = Markov([0, 0.125, 0.125, 0.5, 0.25, 0.0])
    found = evaluate(engine, WORDS, passages("the the dog barked"))
    # the, the, dog, <unk>, <eos>: 1, 1, 2, 3, 3 bits, ranks 1, 1, 2, 3, 3.
    assert found.bits_per_word == pytest.approx(2)
    assert found.perplexity == pytest.approx(4)
    assert found.perplexity_without_oov == pytest.approx(2 ** (7 / 4))
    assert found.bits_per_character == pytest.approx(10 / 19)
    assert (found.top1, found.top3, found.top5) == (0.4, 1, 1)
    assert found.calibration_error == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["the the the dog"], 0.75 - 3 / 5),  # `<eos>` is a miss, too
        (["the the the"], 0),
        (["the"], 0.25),
        (["dog dog dog"], 0.75),
        (["the the the", "the the the"], 0),
    ],
)
def test_a_model_that_is_right_as_often_as_it_says_is_calibrated(texts, expected):
    engine = Markov([0, 0.05, 0.05, 0.75, 0.1, 0.05])
    assert evaluate(engine, WORDS, passages(*texts)).calibration_error == pytest.approx(expected)


def test_an_overconfident_model():
    engine = Markov([0, 0.025, 0.025, 0.9, 0.025, 0.025])
    found = evaluate(engine, WORDS, passages("the", "the", "the"))
    assert found.calibration_error == pytest.approx(0.4)


def test_bins_do_not_make_up_for_each_other_but_their_words_do():
    # Before the dog it is sure of "the" with 0.9, behind it with 0.4.
    sure, unsure = [0, 0, 0.05, 0.9, 0.05, 0], [0, 0, 0.3, 0.4, 0.3, 0]
    engine = Markov(sure, after={WORDS.ids["dog"]: unsure})
    # dog (missed at 0.9), the (hit at 0.4), `<eos>` (missed at 0.9).
    expected = (2 * abs(0.9 - 0) + 1 * abs(0.4 - 1)) / 3
    assert evaluate(engine, WORDS, passages("dog the")).calibration_error == pytest.approx(expected)
    # 0.88 and 0.92 are both in the bin from 13/15 to 14/15: one hit and one miss, 0.9 in the mean.
    near = Markov([0, 0, 0.12, 0.88, 0, 0], after={WORDS.ids["the"]: [0, 0, 0.08, 0.92, 0, 0]})
    assert evaluate(near, WORDS, passages("the")).calibration_error == pytest.approx(0.4)


@pytest.mark.parametrize(("confidence", "expected"), [(1.0, 0.5), (14 / 15, 14 / 15 - 0.5), (0.9999999, 0.4999999)])
def test_the_edges_of_the_bins(confidence, expected):
    engine = Markov([0, 0, 1 - confidence, confidence, 0, 0])
    assert evaluate(engine, WORDS, passages("the")).calibration_error == pytest.approx(expected)


class Keys:
    """Stands for the keyboard: every known word takes two keys."""

    def __init__(self, vocabulary):
        assert vocabulary is WORDS

    def keys(self, scores, targets):
        assert len(scores) == len(targets)
        return np.where(targets > EOS, 2, -1)

    def length(self, token):
        return len(token) + 1


def test_keystrokes_by_hand(monkeypatch):
    monkeypatch.setattr(evaluation, "Keyboard", Keys)
    found = evaluate(Markov([1 / V] * V), WORDS, passages("the dog barked", "then"))
    # 2 + 2 + 7 (in full) and 2, of 4 + 4 + 7 and 5; the paragraphs' ends are nobody's keys.
    assert found.keystroke_savings == pytest.approx(1 - 13 / 20)


def test_keystrokes_of_the_keyboard():
    # The three that are shown first: then, dog, the. One key for each of them.
    engine = Markov([0, 0.4, 0.3, 0.05, 0.1, 0.15])
    found = evaluate(engine, WORDS, passages("the dog barked", "then"))
    assert found.keystroke_savings == pytest.approx(1 - (1 + 1 + 7 + 1) / (4 + 4 + 7 + 5))


def test_a_text_of_unknown_words_only():
    engine = Markov([0, 0.5, 0.25, 0.25, 0, 0])
    found = evaluate(engine, WORDS, passages("cats purr"))
    assert found.oov_rate == pytest.approx(2 / 3)
    assert found.perplexity == pytest.approx(2 ** (4 / 3))
    # The end of the paragraph is known.
    assert found.perplexity_without_oov == pytest.approx(4)
    assert found.keystroke_savings == 0


def test_blank_lines_only():
    found = evaluate(Markov([1 / V] * V), WORDS, passages("", ""))
    assert found.tokens == 2
    assert found.keystroke_savings is None
    assert found.bits_per_character == pytest.approx(math.log2(V))


def test_what_cannot_be_makes_it_infinite():
    found = evaluate(Markov([0, 0, 0.5, 0.5, 0, 0]), WORDS, passages("the dog"))
    assert found.perplexity == found.perplexity_without_oov == found.bits_per_word == math.inf


def test_nothing_to_evaluate():
    with pytest.raises(TextError, match="no text to evaluate"):
        evaluate(Markov([1 / V] * V), WORDS, [])


def test_a_reset_of_another_name():
    with pytest.raises(OptionError, match="reset"):
        evaluate(Markov([1 / V] * V), WORDS, passages("the"), reset="paragraph")


# --- yardsticks and mixtures ------------------------------------------------------------------------------------


def ngram_of(*texts, vocabulary=WORDS, order=3):
    ids = np.concatenate([passage.targets for passage in passages(*texts, vocabulary=vocabulary)])
    return KneserNey.fit(ids, len(vocabulary), order=order)


def test_yardsticks_are_of_the_same_ids():
    ngram = ngram_of("the dog then", "the dog", "the dog barked")
    text = passages("the dog then barked", "then the dog")
    found = evaluate(Markov([1 / V] * V), WORDS, text, ngram=ngram)
    ids = np.concatenate([passage.targets for passage in text])
    assert found.baselines["kneser_ney"] == pytest.approx(math.exp(-ngram.target_logprobs(ids).mean()))
    assert found.baselines["unigram"] == pytest.approx(math.exp(-ngram.unigram_baseline()[ids].mean()))
    # Each paragraph by itself, whatever the model remembers.
    by_itself = np.concatenate([ngram.target_logprobs(passage.targets) for passage in text])
    assert found.baselines["kneser_ney"] == pytest.approx(math.exp(-by_itself.mean()))


def test_yardsticks_have_the_model_s_vocabulary():
    ngram = ngram_of("the dog", vocabulary=SMALL)
    with pytest.raises(OptionError, match="`ngram` must be of the model's 6 words, but is of"):
        evaluate(Markov([1 / V] * V), WORDS, passages("the"), ngram=ngram)


def test_the_parts_of_a_mixture():
    ngram = ngram_of("the dog went .", "Yes , I do n't !", vocabulary=SMALL)
    engine = make_engine()
    weights = Mixture(0.5, 0.3, 0.2)
    mixed = MixedEngine(engine, ngram, weights)
    text = passages("the dog went , Yes !", "the blorpy lamp .", vocabulary=SMALL)
    found = evaluate(mixed, SMALL, text, ngram=ngram)
    assert found.mixture == weights.to_dict()
    assert list(found.parts) == list(PARTS)
    assert found.parts["lstm"] == pytest.approx(evaluate(engine, SMALL, text).perplexity, rel=1e-5)
    assert found.parts["kneser_ney"] == pytest.approx(found.baselines["kneser_ney"], rel=1e-5)
    measures = [measures for _, measures, _ in score_passages(mixed, text)]
    means = -np.concatenate([each.parts for each in measures]).mean(axis=0)
    np.testing.assert_allclose(list(found.parts.values()), np.exp(means), rtol=1e-6)
    bits = np.concatenate([each.surprisal for each in measures])
    assert found.perplexity == pytest.approx(2 ** bits.mean())


def test_a_part_that_is_not_there():
    found = evaluate(
        MixedEngine(make_engine(), None, Mixture(0.8, 0, 0.2)), SMALL, passages("the dog", vocabulary=SMALL)
    )
    assert found.parts["kneser_ney"] is None
    assert found.parts["lstm"] > 1
    assert found.baselines == {"unigram": None, "kneser_ney": None}


# --- against plain loops ----------------------------------------------------------------------------------------


def by_loops(engine, vocabulary, text, reset):
    """The figures, one word after the other."""
    keyboard = Keyboard(vocabulary)
    bits, known_bits, ranks, pressed, needed, characters, bins = [], [], [], 0, 0, 0, {}
    logprobs = state = document = None
    for passage in text:
        starts = reset == "sentence" or (reset == "document" and passage.document != document)
        if state is None or starts:
            logprobs, state = engine.step([EOS], engine.initial_state(1))
        document = passage.document
        characters += len(passage.text) + 1
        for place, (read, id) in enumerate(zip(passage.inputs.tolist(), passage.targets.tolist(), strict=True)):
            row = logprobs[0].astype(np.float64)
            bits.append(-row[id] / math.log(2))
            if id != UNK:
                known_bits.append(bits[-1])
            rank = 1 + sum(value > row[id] for value in row.tolist())
            ranks.append(rank)
            confidence = math.exp(row.max())
            bins.setdefault(min(14, math.ceil(confidence * 15) - 1), []).append((confidence, rank == 1))
            if place < len(passage.tokens):
                length = keyboard.length(passage.tokens[place])
                keys = int(keyboard.keys(logprobs, np.array([id]))[0])
                pressed += keys if keys >= 0 else length
                needed += length
            logprobs, state = engine.step([read], state)
    gaps = [abs(sum(c for c, _ in pairs) - sum(hit for _, hit in pairs)) for pairs in bins.values()]
    return {
        "perplexity": 2 ** (sum(bits) / len(bits)),
        "perplexity_without_oov": 2 ** (sum(known_bits) / len(known_bits)),
        "bits_per_word": sum(bits) / len(bits),
        "bits_per_character": sum(bits) / characters,
        "tokens": len(bits),
        "oov_rate": 1 - len(known_bits) / len(bits),
        "top1": sum(rank <= 1 for rank in ranks) / len(ranks),
        "top3": sum(rank <= 3 for rank in ranks) / len(ranks),
        "top5": sum(rank <= 5 for rank in ranks) / len(ranks),
        "keystroke_savings": 1 - pressed / needed,
        "calibration_error": sum(gaps) / len(bits),
    }


def assert_same(found, expected, rel=1e-5):
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=rel, abs=1e-6), name


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


@pytest.fixture
def text(lm):
    """Two documents with words that the model does not know, and a paragraph of nothing but these."""
    texts = [
        (0, '"I don\'t see the dog!" said Holmes.'),
        (0, "Watson, a blorpy man, took a lamp. Then she took it."),
        (1, "Xyzzy plugh"),
        (1, '"The door?" he said. "I don\'t see the door."'),
        (2, "Then."),
    ]
    return list(read_passages([Paragraph(*each) for each in texts], lm.tokenizer, lm.vocabulary))


@pytest.mark.parametrize("reset", ["sentence", "document", "never"])
def test_a_trained_model_against_a_plain_loop(lm, text, reset):
    found = evaluate(lm.engine, lm.vocabulary, text, reset=reset)
    assert_same(found, by_loops(lm.engine, lm.vocabulary, text, reset))


def test_resets_differ(lm, text):
    perplexities = {
        evaluate(lm.engine, lm.vocabulary, text, reset=r).perplexity for r in ("sentence", "document", "never")
    }
    assert len(perplexities) == 3


@pytest.mark.parametrize("options", [{}, {"context": 4}, {"context": 4, "bidirectional": True}])
def test_other_engines_against_a_plain_loop(options):
    engine = make_engine(**options)
    text = passages("the dog went .", "Yes ! I do n't , he said .", "東 京", vocabulary=SMALL)
    assert_same(evaluate(engine, SMALL, text), by_loops(engine, SMALL, text, "document"))


def test_words_outside_the_vocabulary_are_read_by_their_vectors(lm, text):
    vectors = np.full((1, lm.config.embedding_dim - lm.config.trained_dim), 0.3, "float32")
    engine, size = lm.engine.with_words(vectors), len(lm.vocabulary)
    read = [dataclasses.replace(p, inputs=np.where(p.targets == UNK, size, p.targets)) for p in text]
    found = evaluate(engine, lm.vocabulary, read)
    assert_same(found, by_loops(engine, lm.vocabulary, read, "document"))
    plain = evaluate(lm.engine, lm.vocabulary, text)
    assert found.oov_rate == plain.oov_rate
    assert found.perplexity != plain.perplexity


@pytest.mark.parametrize("block", [1, 7, 20, 10**6])
def test_figures_do_not_hang_on_how_many_words_are_summed_at_once(lm, text, block, monkeypatch):
    ngram = KneserNey.fit(np.concatenate([passage.targets for passage in text]), len(lm.vocabulary), order=2)
    expected = dataclasses.asdict(evaluate(lm.engine, lm.vocabulary, text, ngram=ngram))
    baselines = expected.pop("baselines")
    monkeypatch.setattr(evaluation, "_BLOCK", block)
    found = evaluate(lm.engine, lm.vocabulary, text, ngram=ngram)
    assert found.baselines == pytest.approx(baselines)
    assert_same(found, {name: value for name, value in expected.items() if value is not None}, rel=1e-9)


@pytest.mark.parametrize("reset", ["sentence", "document", "never"])
def test_bits_are_those_of_score(trained, lm, reset):
    story = trained.parent / "story.txt"
    found = lm.evaluate(story, reset=reset)
    rows = list(lm.score_files(story, reset=reset))
    assert found.tokens == len(rows)
    assert found.bits_per_word * found.tokens == pytest.approx(math.fsum(row.surprisal for row in rows), abs=1e-6)
    assert found.oov_rate * found.tokens == pytest.approx(sum(row.oov for row in rows))


def test_progress_and_no_reading_ahead(monkeypatch):
    monkeypatch.setattr(evaluation, "_BLOCK", 3)
    told = []
    text = (passage for passage in passages("the dog", "the", "dog then the", ""))
    found = evaluate(Markov([1 / V] * V), WORDS, text, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == found.tokens == 10
    assert len(told) > 1


def test_a_long_text_is_not_kept():
    alive = 0

    class Counted(Passage):
        def __init__(self, *arguments):
            nonlocal alive
            super().__init__(*arguments)
            alive += 1

        def __del__(self):
            nonlocal alive
            alive -= 1

    most = 0

    def endless():
        nonlocal most
        ids = np.array([3] * 499 + [EOS])
        for _ in range(150):
            most = max(most, alive)
            yield Counted(0, "x" * 499, ["the"] * 499, ids, ids)

    found = evaluate(Markov([1 / V] * V), WORDS, endless())
    assert found.tokens == 75_000
    assert most < 100


rows = st.lists(st.floats(0.01, 1), min_size=V, max_size=V).map(lambda row: [p / sum(row) for p in row])
texts = st.lists(
    st.lists(st.sampled_from(["the", "dog", "then", "cat"]), max_size=6).map(" ".join), min_size=1, max_size=4
)


@given(rows, rows, texts)
def test_any_figures(row, other, texts):
    engine, text = Markov(row, after={3: other}), passages(*texts)
    found = evaluate(engine, WORDS, text)
    assert found.perplexity == pytest.approx(2**found.bits_per_word)
    assert 0 <= found.top1 <= found.top3 <= found.top5 <= 1
    assert 0 <= found.calibration_error <= 1
    assert found.tokens == sum(len(passage.targets) for passage in text)
    if any(texts):
        assert 0 <= found.keystroke_savings < 1
        assert_same(found, by_loops(engine, WORDS, text, "document"))
    else:
        assert found.keystroke_savings is None
