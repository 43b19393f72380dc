"""What may come next, what must, and where a text ends."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_model import VOCABULARY, WORDS

from wordlm.config import SamplingConfig, TextConfig
from wordlm.draft import Draft
from wordlm.novelty import CopyIndex
from wordlm.prompts import Prompt, read_prompt
from wordlm.rules import read_rules
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS


def make_draft(prompt="", copies=None, lowercase=False, **options):
    tokenizer = Tokenizer(TextConfig(lowercase=lowercase))
    rules = read_rules(SamplingConfig(**options), tokenizer, VOCABULARY)
    return Draft(rules, read_prompt(prompt, tokenizer, VOCABULARY), copies)


def ids_of(words):
    return VOCABULARY.encode(words.split())


def told(draft, words):
    """The draft after some words, none of which ends it."""
    for id in ids_of(words):
        assert draft.add(id)
        assert not draft.finished
    return draft


def forbidden(draft):
    """The words that may not come next, each once."""
    return set(VOCABULARY.decode(draft.forbidden()))


def ended(draft, words):
    """The words that belong to the text, and why it ended, where it did."""
    kept = []
    for word in words.split():
        belongs = draft.add(VOCABULARY.ids[word])
        if belongs:
            kept.append(word)
        if draft.finished:
            return " ".join(kept), draft.finish_reason
        assert belongs
    return " ".join(kept), ""


def test_an_empty_draft():
    draft = make_draft()
    assert (draft.count, draft.finished, draft.finish_reason, draft.recent, draft.required()) == (
        0,
        False,
        "",
        [],
        None,
    )


def test_the_first_words_must_come():
    draft = make_draft("Mr. Holmes", start_with="he went")
    assert VOCABULARY[draft.required()] == "he"
    told(draft, "he")
    assert VOCABULARY[draft.required()] == "went"
    told(draft, "went")
    assert draft.required() is None


@pytest.mark.parametrize(("sentences", "reason"), [(0, "eos"), (1, "sentences"), (2, "sentences")])
def test_all_the_first_words_come_though_they_are_more_sentences(sentences, reason):
    draft = told(make_draft(start_with="Yes. I went.", sentences=sentences), "Yes . I went .")
    if sentences < 2:
        assert ended(draft, "<eos>") == ("", reason)
    else:
        assert ended(draft, "I") == ("", reason)


# What may not come.


@pytest.mark.parametrize("prompt", ["", "he went"])
def test_a_text_has_a_word(prompt):
    draft = make_draft(prompt, stop=("dog", "."))
    assert forbidden(draft) == {"<eos>", "dog", "."}
    assert forbidden(told(draft, "the")) == set()


def test_min_words_keep_the_paragraph_open():
    draft = make_draft(min_words=3, stop="dog")
    for _ in range(3):
        assert forbidden(draft) == {"<eos>", "dog"}
        told(draft, "the")
    assert forbidden(draft) == set()


def test_with_sentences_paragraphs_may_end_before_min_words():
    draft = told(make_draft(min_words=3, sentences=1, stop="dog"), "the")
    assert forbidden(draft) == {"dog"}


def test_banned_phrases():
    draft = make_draft(ban=("the dog", "The lamp", "he the lamp", "I went dog lamp"))
    assert forbidden(told(draft, "the")) == {"dog"}
    assert forbidden(told(draft, "he the")) == {"dog", "lamp"}
    assert forbidden(told(draft, "I went dog")) == {"lamp"}
    assert forbidden(told(draft, "went dog")) == set()


@pytest.mark.parametrize(
    ("prompt", "words", "banned"),
    [
        ("he went the", "", {"dog"}),
        ("he I", "the", {"dog", "lamp"}),
        ("he", "I the", {"dog", "lamp"}),
        ("he I the dog", "", set()),
        ("I", "the", {"dog"}),
    ],
)
def test_banned_phrases_across_the_end_of_the_prompt(prompt, words, banned):
    draft = told(make_draft(prompt, ban=("the dog", "he I the lamp")), words)
    assert forbidden(draft) - {"<eos>"} == banned


def test_a_phrase_does_not_go_on_behind_the_end_of_a_paragraph():
    draft = make_draft(ban="the dog", sentences=3)
    assert forbidden(told(draft, "the <eos>")) == set()


def test_a_ban_of_more_words_than_one_says_in_a_breath():
    phrase = ["the", "dog", "he"] * 40
    draft = make_draft(ban=" ".join(phrase), max_words=200)
    told(draft, "I " + " ".join(phrase[:-1]))
    assert forbidden(draft) == {"he"}
    assert len(draft.recent) == 64


def test_no_ngram_twice():
    draft = told(make_draft("I went I", no_repeat_ngram=2), "the dog the")
    assert forbidden(draft) == {"dog"}
    assert forbidden(told(draft, "lamp I")) == {"went", "the"}
    draft = told(make_draft(no_repeat_ngram=3), "the dog went the dog")
    assert forbidden(draft) == {"went"}


def test_a_prompt_shorter_than_an_ngram():
    draft = make_draft("the", no_repeat_ngram=4, min_words=99)
    assert forbidden(told(draft, "dog he I the dog he")) == {"<eos>", "I"}


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(2, 4), st.lists(st.integers(3, 7), max_size=8))
def test_whoever_obeys_repeats_no_ngram(data, n, before):
    """Neither within the text nor with the prompt; the prompt itself may repeat what it likes."""
    draft = make_draft(" ".join(VOCABULARY.decode(before)), no_repeat_ngram=n, min_words=40)
    words = []
    for _ in range(40):
        left = sorted({3, 4, 5, 6, 7} - set(draft.forbidden()))
        if not left:
            break
        words.append(data.draw(st.sampled_from(left)))
        draft.add(words[-1])
    all_words = before + words
    ngrams = [tuple(all_words[i : i + n]) for i in range(len(all_words) - n + 1)]
    new = ngrams[max(0, len(before) - n + 1) :]
    assert len(set(new)) == len(new)
    assert not set(new) & set(ngrams[: len(ngrams) - len(new)])
    # Nothing is forbidden that would not be a repetition.
    seen, end = set(ngrams), tuple(all_words[len(all_words) - n + 1 :])
    expected = {id for id in range(3, 8) if len(end) == n - 1 and (*end, id) in seen}
    assert set(draft.forbidden()) - {EOS} == expected


@settings(max_examples=200, deadline=None)
@given(
    phrases=st.lists(st.lists(st.integers(3, 5), min_size=2, max_size=3).map(tuple), min_size=1, max_size=4),
    before=st.lists(st.integers(3, 6), max_size=4),
    words=st.lists(st.integers(3, 6), max_size=15),
)
def test_what_is_forbidden_is_what_completes_a_phrase(phrases, before, words):
    draft = make_draft(" ".join(VOCABULARY.decode(before)), ban=tuple(" ".join(VOCABULARY.decode(p)) for p in phrases))
    banned = set(draft.rules.banned)  # with the capitalized ones
    assert set(phrases) <= banned
    told_words = list(before)
    for id in [*words, 6]:
        expected = {phrase[-1] for phrase in banned if tuple(told_words)[1 - len(phrase) :] == phrase[:-1]}
        assert set(draft.forbidden()) - {EOS} == expected
        draft.add(id)
        told_words.append(id)


def test_copied_words_are_forbidden():
    index = CopyIndex(ids_of("the dog went . he said the dog I <eos> he"), len(VOCABULARY), max_copy=2)
    draft = make_draft(copies=index.start())
    assert forbidden(told(draft, "the")) == set()
    assert forbidden(told(draft, "dog")) == {"went", "I"}
    told(draft, "lamp said the dog went .")
    assert draft.copies.longest == 4


def test_the_prompt_is_no_copy():
    index = CopyIndex(ids_of("he said the dog went"), len(VOCABULARY), max_copy=2)
    draft = make_draft("he said", copies=index.start())
    assert forbidden(told(draft, "the dog")) == {"went"}
    assert draft.copies.longest == 2


def test_a_stop_word_is_not_copied():
    index = CopyIndex(ids_of("the dog"), len(VOCABULARY))
    draft = told(make_draft(copies=index.start(), stop="dog"), "the")
    draft.add(VOCABULARY.ids["dog"])
    assert draft.copies.longest == 1


# Where it ends.


@pytest.mark.parametrize(
    ("said", "sentences", "kept", "reason"),
    [
        ("the dog went . I", 1, "the dog went .", "sentences"),
        ("the dog went . I went ! I", 2, "the dog went . I went !", "sentences"),
        ('" Yes . " I went', 1, '" Yes . "', "sentences"),
        ("“ Yes . ” I went", 1, "“ Yes . ”", "sentences"),
        ('" Yes ! " said he . I', 1, '" Yes ! " said he .', "sentences"),  # it goes on in lower case
        ('Yes . " I', 1, "Yes .", "sentences"),  # this quotation mark opens
        ("Yes . ' I", 1, "Yes .", "sentences"),
        ('Yes . " I went . " I', 2, 'Yes . " I went . "', "sentences"),
        ("( Yes . ) I", 1, "( Yes . )", "sentences"),
        ("Yes . ( I", 1, "Yes .", "sentences"),
        ("Yes ? ! I", 1, "Yes ? !", "sentences"),
        ("Yes … 東 京", 1, "Yes …", "sentences"),
        ("Yes . 5 dog", 1, "Yes .", "sentences"),
        ("Mr. Holmes went . I", 1, "Mr. Holmes went .", "sentences"),  # no mark by itself
        ("U.S. dog . I", 1, "U.S. dog .", "sentences"),
        ("he went <eos>", 1, "he went", "sentences"),  # a headline
        ("he went <eos> I went . I", 2, "he went <eos> I went .", "sentences"),
        ("Yes . <eos> I went . I", 2, "Yes . <eos> I went .", "sentences"),
        ("he went <eos> <eos> I went . I", 2, "he went <eos> <eos> I went .", "sentences"),
        ('" Yes <eos> " Yes . " I', 2, '" Yes <eos> " Yes . "', "sentences"),  # a paragraph begins outside
        ("he went <eos>", 0, "he went", "eos"),
        ("he . he . he . he . he . he", 0, "he . he . he . he . he .", "max_words"),
        ("he he he he he he he he he . he", 1, "he he he he he he he he he .", "sentences"),
        ("he he he he he he he he he . he", 2, "he he he he he he he he he .", "max_words"),
        ("he he he he he he he he he he he", 1, "he he he he he he he he he he", "max_words"),
    ],
)
def test_where_a_text_ends(said, sentences, kept, reason):
    assert ended(make_draft(sentences=sentences, max_words=10), said) == (kept, reason)


@pytest.mark.parametrize(
    ("prompt", "said", "kept"),
    [
        ("he went.", "I went . I", "I went ."),  # the prompt's sentence is not the text's
        ("he went", ". I", "."),
        ('"Yes', '. " I', '. "'),  # within a quotation
        ('"Yes," he said. "Yes', '. " I', '. "'),
        ('"Yes" he said', '. " I', "."),
        ("I <", "Yes . I", "Yes ."),
    ],
)
def test_the_prompt_is_within_the_first_sentence(prompt, said, kept):
    assert ended(make_draft(prompt, sentences=1), said) == (kept, "sentences")


def test_a_lower_case_model_ends_sentences_at_every_mark():
    assert ended(make_draft(lowercase=True, sentences=1), "the dog . he") == ("the dog .", "sentences")


def test_sentences_go_on_until_min_words():
    options = {"sentences": 1, "min_words": 5, "max_words": 20}
    assert ended(make_draft(**options), "Yes . Yes . Yes . Yes .") == ("Yes . Yes . Yes .", "sentences")
    assert ended(make_draft(**options), "I went . <eos> Yes . Yes") == ("I went . <eos> Yes .", "sentences")
    assert ended(make_draft(**options), "I went he went . Yes") == ("I went he went .", "sentences")
    assert ended(make_draft(**options | {"max_words": 5}), "Yes . Yes . Yes . Yes") == ("Yes . Yes . Yes", "max_words")


def test_stop_words_end_the_text_and_are_no_part_of_it():
    options = {"stop": ("dog", "."), "max_words": 5}
    assert ended(make_draft(**options), "he went dog") == ("he went", "stop")
    assert ended(make_draft(**options), "he .") == ("he", "stop")
    assert ended(make_draft(**options, sentences=1), "he ! dog") == ("he !", "stop")
    assert ended(make_draft(**options, sentences=2), "he ! Yes .") == ("he ! Yes", "stop")
    assert ended(make_draft(**options), "he he he he he he") == ("he he he he he", "max_words")


def test_max_words_count_what_belongs_to_the_text():
    assert ended(make_draft("he went", max_words=1), "the dog") == ("the", "max_words")
    draft = make_draft(max_words=3, sentences=3)
    assert ended(draft, "the <eos> dog .") == ("the <eos> dog", "max_words")
    assert draft.count == 3


@given(
    st.lists(st.sampled_from([*WORDS, "<eos>"]), max_size=60),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(20, 40),
    st.sampled_from([(), ("dog",), (".", "he")]),
)
def test_every_text_ends_in_time(words, sentences, min_words, max_words, stop):
    options = {"sentences": sentences, "min_words": min_words, "max_words": max_words, "stop": stop}
    draft = make_draft(**options)
    count = 0
    for word in words:
        if draft.finished:
            break
        id = VOCABULARY.ids[word]
        if id in draft.forbidden():
            continue
        count += draft.add(id)
    assert draft.count == count <= max_words
    if draft.finished:
        assert count >= max(1, min_words)
        assert draft.finish_reason in {"eos", "stop", "max_words"} | ({"sentences"} if sentences else set())
        assert draft.finish_reason != "eos" or not sentences
        assert draft.finish_reason != "max_words" or count == max_words
    else:
        assert count < max_words


# What it keeps.


def test_recent_words_are_the_last_64_with_the_prompts():
    draft = make_draft("the dog", max_words=500)
    told(draft, "he I")
    assert draft.recent == ids_of("the dog he I")
    told(draft, "went " * 62)
    assert draft.recent == ids_of("he I" + " went" * 62)
    told(draft, "dog " * 64)
    assert draft.recent == ids_of("dog " * 64)


def test_a_copy_goes_its_own_way():
    index = CopyIndex(ids_of("dog went he"), len(VOCABULARY), max_copy=1)
    options = {"no_repeat_ngram": 2, "sentences": 2, "start_with": "the dog said", "ban": "he I", "max_words": 50}
    draft = told(make_draft(copies=index.start(), **options), 'the dog said " Yes')
    other = draft.copy()

    def seen(one):
        return one.count, one.recent, sorted(one.forbidden()), one.required(), one.finish_reason, one.copies.longest

    assert seen(other) == seen(draft)
    before = seen(draft)
    told(other, "dog went he")
    assert other.copies.longest == 3
    assert seen(draft) == before
    ended(other, '. " Yes . I')
    assert (other.finish_reason, draft.finish_reason) == ("sentences", "")


def test_a_copy_closes_its_own_quotations():
    draft = told(make_draft(sentences=1), '" Yes')
    other = draft.copy()
    for one in (other, draft):
        assert ended(one, '. " I') == ('. "', "sentences")


@settings(max_examples=100, deadline=None)
@given(
    words=st.lists(st.sampled_from([*WORDS, "<eos>"]), max_size=30),
    place=st.integers(0, 30),
    others=st.lists(st.sampled_from(WORDS), max_size=10),
    n=st.sampled_from([0, 2, 3]),
)
def test_a_copy_at_any_place_is_as_good_as_the_draft(words, place, others, n):
    index = CopyIndex(ids_of("the dog went . he said the dog I"), len(VOCABULARY), max_copy=2)

    def histories(draft, words):
        seen = []
        for word in words:
            if draft.finished:
                break
            seen.append((sorted(draft.forbidden()), draft.recent, draft.add(VOCABULARY.ids[word]), draft.finish_reason))
        return seen

    options = {"no_repeat_ngram": n, "sentences": 3, "ban": ("the lamp", "he I"), "max_words": 25}
    whole = histories(make_draft("the dog", copies=index.start(), **options), words)
    draft = make_draft("the dog", copies=index.start(), **options)
    first = histories(draft, words[:place])
    copy = draft.copy()
    histories(draft.copy(), others)
    assert first + histories(copy, words[place:]) == whole
    assert first + histories(draft, words[place:]) == whole


def sizes(value, seen):
    """Bytes of what an object holds, without its rules."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    held = [value.__dict__.values()] if hasattr(value, "__dict__") else []
    held += [value.items()] if isinstance(value, dict) else [value] if isinstance(value, list | tuple | set) else []
    return sys.getsizeof(value) + sum(sizes(item, seen) for items in held for item in items)


def test_memory_does_not_grow_with_the_text():
    options = {"max_words": 10**6, "sentences": 10**6, "ban": "the dog", "stop": "lamp", "start_with": "he"}
    draft = make_draft("the dog " * 100, **options)
    measured = []
    for _ in range(3):
        told(draft, 'he went . " Yes , " said I . the dog <eos> ' * 100)
        measured.append(sizes({k: v for k, v in draft.__dict__.items() if k != "rules"}, set()))
    assert max(measured) - min(measured) < 200
    assert max(measured) < 10_000


def test_a_draft_remembers_ngrams_only_if_it_is_asked_to():
    plain, asked = make_draft(max_words=1000), make_draft(max_words=1000, no_repeat_ngram=3)
    for one, two in pairwise([*ids_of(" ".join(WORDS))] * 3):
        for draft in (plain, asked):
            draft.add(one)
            draft.add(two)
    assert plain._followers == {}
    assert len(asked._followers) > 30


def test_a_prompt_of_unknown_words_only():
    draft = Draft(make_draft().rules, Prompt("blorp", ["blorp"], [1], ["blorp"]))
    assert draft.recent == [1]
    assert forbidden(draft) == {"<eos>"}
