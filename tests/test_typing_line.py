"""What each key does to a text, without a terminal."""

import doctest

import pytest
from bigrams import WORDS, make_lm
from hypothesis import given, settings
from hypothesis import strategies as st

import wordlm.typing_line as typing_line
from wordlm.suggestions import Suggester
from wordlm.typing_line import TypingLine

KEYS = ["tab", "pick 2", "pick 9", "left", "right", "undo", "backspace", "cut", "enter", "escape", " ", *'aPs.,"(é']


def make(lm=None, **options):
    lm = lm or make_lm()
    return TypingLine(Suggester(lm.engine, lm.tokenizer, lm.vocabulary), lm.tokenizer, lm.vocabulary, **options)


def type_in(line, *keys):
    """Texts are typed letter by letter; <tab> and so on are keys."""
    for key in keys:
        if key.startswith("<"):
            assert line.press(key[1:-1]) is None
        else:
            for character in key:
                assert line.press(character) is None
    return line.text


def shown(line):
    return [suggestion.word for suggestion in line.suggestions]


def test_doctests():
    result = doctest.testmod(typing_line, extraglobs={"lm": make_lm()})
    assert result.failed == 0
    assert result.attempted > 0


# --- what is suggested --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["I", "The", "Spain"]),
        ("I", ["I"]),
        ("I ", ["do", "see"]),
        ("I don't ", ["see", "say", "shout"]),
        ("I don't s", ["see", "say", "shout"]),
        ("I don't sh", ["shout"]),
        # An ending is a word of its own.
        ("The dog's", ["'s"]),
        # Behind a mark a new word begins, even where no space stands between.
        ("I see Portugal,", ['"', "and"]),
        ("I see (", ["Portugal", "the"]),
        ("I see (p", ["Portugal", "porters", "Porto"]),
        ('I see Portugal, "', ["Yes", ","]),
        ('I see Portugal, "Y', ["Yes"]),
        ("I see (zz", []),
    ],
)
def test_suggestions(text, expected):
    line = make(k=9)
    assert type_in(line, text) == text
    assert shown(line)[: len(expected)] == expected
    assert (len(shown(line)) == 0) == (expected == [])


def test_there_are_as_many_suggestions_as_asked_for_but_nine_at_most():
    assert len(shown(make())) == 5
    assert len(shown(make(k=2))) == 2
    assert len(shown(make(k=30))) == 9


def test_suggestions_in_a_new_paragraph():
    line = make()
    type_in(line, "I don't", "<enter>")
    assert shown(line)[:3] == ["I", "The", "Spain"]
    type_in(line, "S")
    assert shown(line)[0] == "Spain"


def test_a_blank_line_ends_no_further_paragraph():
    line, other = make(), make()
    type_in(line, "I", "<enter>", "<enter>")
    type_in(other, "I", "<enter>")
    assert line.suggestions == other.suggestions


# --- picking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["<tab>"], "I "),
        (["<pick 2>"], "The "),
        (["<pick 9>"], ""),
        (["<right>", "<tab>"], "The "),
        (["<right>", "<left>", "<tab>"], "I "),
        (["<left>", "<tab>", "<tab>"], "n't see "),
        (["Spa", "<tab>"], "Spain "),
        (["spa", "<tab>"], "Spain "),
        (["I ", "<tab>", "<tab>", "<tab>"], "I don't see "),
        (["I see Por", "<tab>"], "I see Portugal "),
        (["I see (por", "<tab>"], "I see (Portugal "),
        # Marks stand where they belong.
        (["I see Portugal", "<tab>", "<tab>"], "I see Portugal, "),
        (["I see Portugal ", "<tab>"], "I see Portugal, "),
        (["I see Portugal,", "<tab>", "<tab>"], 'I see Portugal, "Yes '),
        (["I see ", "<pick 4>", "<tab>"], "I see (Portugal "),
        # A mark that is typed takes the space of the pick away.
        (["I see por", "<tab>", "."], "I see Portugal."),
        (["I see por", "<tab>", ", and"], "I see Portugal, and"),
        (["I see por", "<tab>", "("], "I see Portugal ("),
        (["I see por", "<tab>", '"'], 'I see Portugal "'),
        (['I see "por', "<tab>", '"'], 'I see "Portugal"'),
        (["I see por", "<tab>", "a"], "I see Portugal a"),
        # But a space that was typed stays, and one that was typed out of habit is not there twice.
        (["I see Portugal ", "."], "I see Portugal ."),
        (["I see por", "<tab>", " "], "I see Portugal "),
        (["I see por", "<tab>", " ", "and "], "I see Portugal and "),
        (["I see por", "<tab>", "<enter>", "The "], "I see Portugal\nThe "),
        # Paragraphs before stay as they are.
        (["  a , b", "<enter>", "I see Por", "<tab>", "."], "  a , b\nI see Portugal."),
        (["zz", "<tab>", "<right>", "<left>"], "zz"),
    ],
)
def test_picks(keys, expected):
    assert type_in(make(k=5), *keys) == expected


def test_what_was_picked_is_marked_no_more():
    line = make()
    type_in(line, "<right>", "<right>")
    assert line.marked == 2
    type_in(line, "I")
    assert line.marked == 0


def test_a_model_of_lower_case_words_leaves_capitals_to_the_typist():
    lm = make_lm([word.lower() for word in WORDS if word not in ("The",)], lowercase=True)
    assert type_in(make(lm), "Por", "<tab>") == "Portugal "
    assert type_in(make(lm), "por", "<tab>") == "portugal "


def test_a_model_of_pretokenized_text():
    lm = make_lm([*WORDS, "@-@"], kind="pretokenized")
    assert type_in(make(lm), "I don't see por", "<tab>", ", ", "<pick 2>") == "I don't see Portugal, and "


def test_a_word_with_a_hyphen_is_three_words_of_wikitext():
    lm = make_lm([*WORDS, "well", "@-@", "known"], kind="pretokenized")
    assert type_in(make(lm), "well ", "<tab>") == "well-"
    assert type_in(make(lm), "well ", "<tab>", "<tab>", "a") == "well-known a"
    assert type_in(make(lm), "a well-kn", "<tab>", "<undo>") == "a well-kn"
    line = make(lm, k=1)
    type_in(line, "well-")
    assert shown(line) == ["known"]
    # To other models, it is one word.
    line = make(make_lm([*WORDS, "well-known"]))
    assert type_in(line, "well-k", "<tab>") == "well-known "


def test_far_words_have_no_say_in_a_long_paragraph():
    line = make()
    text = "the dog , " * 400
    assert type_in(line, text, "por", "<tab>", ".") == text + "Portugal."


# --- undoing ------------------------------------------------------------------------------------------------------


def test_undo_goes_back_word_by_word():
    line = make()
    type_in(line, "I see ", "por", "<tab>", ".", "<enter>", "The dog")
    seen = []
    while line.text:
        type_in(line, "<undo>")
        seen.append(line.text)
    assert seen == [
        "I see Portugal.\nThe ",
        "I see Portugal.\nThe",
        "I see Portugal.\n",
        "I see Portugal.",
        "I see Portugal ",
        "I see por",
        "I see ",
        "I see",
        "I ",
        "I",
        "",
    ]
    assert type_in(line, "<undo>") == ""


def test_undo_of_a_pick_gives_back_what_was_typed():
    line = make()
    assert type_in(line, "I see POR", "<tab>") == "I see Portugal "
    assert type_in(line, "<undo>") == "I see POR"
    assert type_in(line, "t", "<undo>") == "I see "


def test_undo_of_what_was_deleted():
    line = make()
    type_in(line, "The dog", "<backspace>", "<backspace>", "<cut>", "<cut>")
    assert line.text == ""
    assert [type_in(line, "<undo>") for _ in range(4)] == ["The ", "The d", "The do", "The dog"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(KEYS), max_size=40))
def test_undo_comes_back_to_the_beginning(keys):
    line = make(LM)
    texts = [""]
    for key in keys:
        assert line.press(key) is None
        assert 0 <= line.marked < max(1, len(line.suggestions))
        assert line.text.count("\n") <= keys.count("enter")
        if key == "undo":
            assert line.text in texts
        texts.append(line.text)
    for _ in keys:
        line.press("undo")
        assert line.text in texts
    assert line.text == ""


LM = make_lm()


# --- deleting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("", "backspace", ""),
        ("dog", "backspace", "do"),
        ("dog ", "backspace", "dog"),
        ("e\u0301", "backspace", ""),  # one character
        ("q\u0301", "backspace", ""),  # two, that look like one
        ("", "cut", ""),
        ("the dog", "cut", "the "),
        ("the dog  ", "cut", "the "),
        ("the", "cut", ""),
        ("   ", "cut", ""),
    ],
)
def test_deleting(text, key, expected):
    line = make()
    type_in(line, text)
    assert type_in(line, f"<{key}>") == expected


def test_deleting_at_the_beginning_of_a_line():
    assert type_in(make(), "the", "<enter>", "<backspace>") == "the"
    assert type_in(make(), "the", "<enter>", "<cut>") == "the"
    assert type_in(make(), "the", "<enter>", "  ", "<cut>") == "the"
    assert type_in(make(), "the", "<enter>", "dog", "<cut>") == "the\n"
    assert type_in(make(), "the", "<enter>", "<enter>", "<cut>") == "the\n"


def test_letters_and_their_marks_are_one_character():
    line = make()
    assert type_in(line, "e\u0301") == "é"
    assert shown(line) == ["é"]


@pytest.mark.parametrize("key", ["\x00", "\x1b", "\x07", "\u2028", "\ue000", "\x1b[15~", "up", ""])
def test_other_keys_do_nothing(key):
    line = make()
    type_in(line, "dog")
    assert line.press(key) is None
    assert line.text == "dog"


# --- saving, and the end ------------------------------------------------------------------------------------------


def test_the_end():
    line = make()
    assert line.press("end") == "end"
    line.press("save")
    assert line.press("end") == "end"


def test_saving_where_it_was_said(tmp_path):
    line = make(path=str(tmp_path / "letter.txt"))
    type_in(line, "Yes é", "<enter>", "I")
    assert line.press("save") == "save"
    line.save()
    assert (tmp_path / "letter.txt").read_bytes() == "Yes é\nI\n".encode()
    assert line.message == f"saved in {tmp_path / 'letter.txt'}"
    # Its own file is replaced.
    assert type_in(line, " do") == "Yes é\nI do"
    assert line.message == ""
    assert line.press("save") == "save"
    line.save()
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "Yes é\nI do\n"


def test_saving_where_it_is_asked(tmp_path):
    line = make()
    type_in(line, "Yes")
    assert line.press("save") is None
    assert line.asked == ""
    type_in(line, str(tmp_path / "letters.txt"), "<tab>", "<left>")
    type_in(line, *["<backspace>"] * 5, ".txt")
    assert line.text == "Yes"
    assert line.press("enter") == "save"
    assert line.asked is None
    line.save()
    assert (tmp_path / "letter.txt").read_text() == "Yes\n"


@pytest.mark.parametrize("key", ["escape", "undo", "enter"])
def test_not_saving_after_all(key):
    line = make()
    type_in(line, "Yes", "<save>", f"<{key}>", ".")
    assert line.text == "Yes."


def test_another_file_is_not_replaced(tmp_path):
    (tmp_path / "letter.txt").write_text("precious")
    line = make(path=str(tmp_path / "letter.txt"))
    line.press("save")
    line.save()
    assert line.message == f"{tmp_path / 'letter.txt'} is there already: give another name"
    assert (tmp_path / "letter.txt").read_text() == "precious"
    # The next time, it is asked for.
    assert line.press("save") is None
    assert line.asked == ""


def test_what_the_disk_says_is_shown(tmp_path):
    line = make(path=str(tmp_path / "none" / "letter.txt"))
    line.press("save")
    line.save()
    assert line.message == f"{tmp_path / 'none' / 'letter.txt'}: No such file or directory"


def test_the_home_of_nobody(tmp_path):
    line = make(path="~nobodyxyz/letter.txt")
    line.press("save")
    line.save()
    assert line.message.startswith("~nobodyxyz/letter.txt: ")
    assert line.path == ""


def test_blanks_that_came_with_picks_are_no_part_of_the_text(tmp_path):
    line = make(path=str(tmp_path / "letter.txt"))
    type_in(line, "I see por", "<tab>", "<enter>", "<enter>", "  I  see por", "<tab>")
    assert line.text.endswith("Portugal ")
    assert line.finished == "I see Portugal\n\n  I  see Portugal"
    line.press("save")
    line.save()
    assert (tmp_path / "letter.txt").read_text() == line.finished + "\n"
