"""Keys as terminals send them, and what is drawn; the whole of it in a terminal is in test_cli_suggest.py."""

import os
import re
import signal
import threading
import time

import pytest
from bigrams import WORDS, make_lm
from hypothesis import given, settings
from hypothesis import strategies as st

import wordlm.typing_screen as typing_screen
from wordlm.errors import OptionError
from wordlm.suggestions import Suggester
from wordlm.typing_line import TypingLine
from wordlm.typing_screen import draw, late_signals, read_keys, type_text

CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def make(*keys, words=WORDS, **options):
    lm = make_lm(words)
    line = TypingLine(Suggester(lm.engine, lm.tokenizer, lm.vocabulary), lm.tokenizer, lm.vocabulary, **options)
    for key in keys:
        for one in [key[1:-1]] if key.startswith("<") else key:
            line.press(one)
    return line


def rows(line, columns=80, height=24):
    """The rows of the screen without their codes, and the cursor's (row, column) from 1."""
    screen = draw(line, columns, height)
    found = re.fullmatch(r"\x1b\[H(.*)\x1b\[J\x1b\[(\d+);(\d+)H", screen, re.DOTALL)
    return CODES.sub("", found[1]).split("\r\n"), (int(found[2]), int(found[3]))


# --- keys ---------------------------------------------------------------------------------------------------------


def keys_of(*pieces, pause=0.0, encoding="utf-8"):
    """The keys that some bytes are, which come piece by piece; then the terminal is closed."""
    reading, writing = os.pipe()

    def send():
        for piece in pieces:
            os.write(writing, piece)
            time.sleep(pause)
        os.close(writing)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        return [key for keys in read_keys(reading, encoding) for key in keys]
    finally:
        thread.join()
        os.close(reading)


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"a", ["a"]),
        (b"ab c", ["a", "b", " ", "c"]),
        ("éß東👍".encode(), list("éß東👍")),
        (b"\t\r\n\x7f\b", ["tab", "enter", "enter", "backspace", "backspace"]),
        (b"\x17\x1a\x1f\x13\x03\x04", ["cut", "undo", "undo", "save", "end", "end"]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["left", "right", "right", "left"]),
        (b"\x1bOA\x1bOB\x1bOC\x1bOD", ["left", "right", "right", "left"]),
        (b"\x1b1\x1b5\x1b9", ["pick 1", "pick 5", "pick 9"]),
        (b"\x1b\x1b[C", ["escape", "right"]),
        (b"a\x1b[Cb\x1b2c", ["a", "right", "b", "pick 2", "c"]),
        # What is pasted is text.
        (b"\t\x1b[200~a\tb\r\nc\rd\n\x1b[201~\t", ["tab", "a", " ", "b", "enter", "c", "enter", "d", "enter", "tab"]),
        (b"\x1b[200~\x1b[201~\x1b[C\x1b[200~a\x1b[201~", ["right", "a"]),
        # No UTF-8: dropped, and what follows is read.
        (b"a\xff\xfeb", ["a", "b"]),
        (b"\xe9t", ["t"]),
        (b"", []),
    ],
)
def test_keys(sent, keys, monkeypatch):
    # A busy machine may take its time between two bytes.
    for name in ("_ESCAPE_SECONDS", "_KEY_SECONDS", "_PASTE_SECONDS"):
        monkeypatch.setattr(typing_screen, name, 9)
    assert keys_of(sent) == keys
    # However the bytes come.
    assert keys_of(*(bytes([byte]) for byte in sent)) == keys


@pytest.mark.parametrize("sent", [b"\x1b[15~", b"\x1b[1;5C", b"\x1b[201~", b"\x1bx", b"\x1bOP", b"\x00"])
def test_keys_that_mean_nothing_type_nothing(sent):
    line = make("dog")
    for key in keys_of(sent):
        assert line.press(key) is None
    assert line.text == "dog"


def test_an_escape_is_a_key_if_nothing_follows():
    assert keys_of(b"\x1b", b"a", pause=0.5) == ["escape", "a"]


def test_the_rest_of_a_key_may_be_late(monkeypatch):
    monkeypatch.setattr(typing_screen, "_KEY_SECONDS", 9)
    assert keys_of(b"\x1b[", b"C", b"\x1bO", b"D", pause=0.3) == ["right", "left"]


def test_a_paste_that_never_ends_is_typed_all_the_same(monkeypatch):
    monkeypatch.setattr(typing_screen, "_PASTE_SECONDS", 0.05)
    assert keys_of(b"\x1b[200~a\t", b"\t", pause=0.5) == ["a", " ", "tab"]


def test_pasted_commands_do_nothing():
    line = make()
    for key in keys_of(b"\x1b[200~d\x03o\x1a\x1b[Dg\x1b1\x1b[201~"):
        assert line.press(key) is None
    assert line.text == "do[Dg1"
    assert line.marked == 0


def test_letters_of_another_encoding():
    assert keys_of("é".encode("latin-1"), encoding="latin-1") == ["é"]


def test_all_of_a_long_text_that_is_pasted():
    text = "The dog's 東京. " * 1000
    assert "".join(keys_of(text.encode())) == text


# --- the screen ---------------------------------------------------------------------------------------------------


def test_the_first_screen():
    lines, cursor = rows(make())
    assert lines[0] == ""
    assert lines[1] == "1 I  2 The  3 Spain  4 do  5 n't"
    assert lines[2] == ""
    assert "Tab" in lines[3]
    assert len(lines) == 4
    assert cursor == (1, 1)


def test_all_keys_are_named_in_80_columns():
    lines, _ = rows(make(), 80)
    assert lines[3] == typing_screen._HELP
    assert len(lines[3]) < 80


def test_the_marked_suggestion_stands_out():
    assert "\x1b[7m1 I\x1b[0m  2 The" in draw(make(), 80, 24)
    assert "  \x1b[7m2 The\x1b[0m  3 Spain" in draw(make("<right>"), 80, 24)


def test_text_and_cursor():
    lines, cursor = rows(make("I see por"))
    assert lines[:2] == ["I see por", "1 Portugal  2 porters  3 Porto"]
    assert cursor == (1, 10)
    lines, cursor = rows(make("I see por", "<tab>", "<enter>", "<enter>", "The "))
    assert lines[:3] == ["I see Portugal", "", "The "]
    assert cursor == (3, 5)


def test_wide_letters_take_two_columns():
    lines, cursor = rows(make("東京 e\u0301q\u0301"))
    assert lines[0] == "東京 éq\u0301"
    assert cursor == (1, 8)
    lines, cursor = rows(make("東京都庁前"), 8)
    assert lines[:2] == ["東京都", "庁前"]
    assert cursor == (2, 5)


def test_a_paragraph_is_wrapped_between_words():
    lines, cursor = rows(make("the dog and the porters and"), 16)
    assert lines[:2] == ["the dog and the", "porters and"]
    assert cursor == (2, 12)
    lines, cursor = rows(make("the dog and the "), 16)
    assert lines[:2] == ["the dog and the", ""]
    assert cursor == (2, 1)
    lines, _ = rows(make("a" * 25), 11)
    assert lines[:3] == ["a" * 10, "a" * 10, "a" * 5]


def test_suggestions_that_do_not_fit_are_left_out():
    lines, _ = rows(make("I see por"), 25)
    assert lines[1] == "1 Portugal  2 porters"


def test_names_are_asked_and_messages_told():
    line = make("Yes", "<save>", "a b")
    lines, cursor = rows(line)
    assert lines[3] == "Save as (Enter; Esc: not at all): a b"
    assert cursor == (4, len(lines[3]) + 1)
    line.press("escape")
    line.message = "saved in x"
    assert rows(line)[0][3] == "saved in x"
    assert rows(line)[1] == (1, 4)


def test_of_a_long_name_the_end_is_shown():
    line = make("Yes", "<save>", "/home/me/" + "long" * 20 + "/letter.txt")
    lines, cursor = rows(line)
    assert re.fullmatch(r"Save as \(Enter; Esc: not at all\): ….*long/letter\.txt", lines[3])
    assert cursor == (4, 80)
    lines, cursor = rows(line, 40)
    assert re.fullmatch(r"Save as: ….*long/letter\.txt", lines[3])
    assert cursor == (4, 40)
    assert rows(line, 10)[0][3] == "…tter.txt"
    assert rows(make("<save>"), 20)[0][3] == "Save as: "
    # Wide letters too.
    (lines, cursor) = rows(make("<save>", "東京" * 30), 40)
    assert lines[3].startswith("Save as: …東")
    assert cursor[1] in (39, 40)


def test_of_a_long_message_both_ends_are_shown():
    line = make("Yes")
    line.message = "saved in /home/me/" + "long" * 20 + "/letter.txt"
    assert re.fullmatch(r"saved in /home/me/.*….*/letter\.txt", rows(line)[0][3])
    assert re.fullmatch(r"saved….*\.txt", rows(line, 16)[0][3])


def test_low_terminals_show_what_is_asked_and_said():
    line = make("Yes")
    assert [rows(line, 80, height)[0] for height in (1, 2)] == [["Yes"], ["Yes", "1 Yes"]]
    assert rows(line, 80, 3)[0] == ["Yes", "1 Yes", typing_screen._HELP]
    line.press("save")
    line.press("a")
    asked = "Save as (Enter; Esc: not at all): a"
    for height, expected in enumerate([[asked], ["Yes", asked], ["Yes", "1 Yes", asked]], 1):
        lines, cursor = rows(line, 80, height)
        assert lines == expected
        assert cursor == (height, len(asked) + 1)
    line.press("escape")
    line.message = "saved in x"
    assert [rows(line, 80, height)[0][-1] for height in (1, 2, 3)] == ["saved in x"] * 3


def test_narrow_terminals_show_how_to_leave():
    assert rows(make(), 10)[0][3] == "Ctrl-C "
    assert rows(make(), 20)[0][3].rstrip() == "Ctrl-C ends, S"
    assert rows(make(), 60)[0][3].startswith("Ctrl-C ends, S saves, Z undoes, W cuts a word")


def test_only_the_end_of_a_long_text_is_shown():
    keys = [key for number in range(50) for key in (f"line {number}", "<enter>")]
    lines, cursor = rows(make(*keys, "end"), 80, 10)
    assert lines[:7] == [*(f"line {number}" for number in range(44, 50)), "end"]
    assert cursor == (7, 4)
    lines, cursor = rows(make("the dog " * 400, "and"), 40, 10)
    assert lines[6].endswith("and")
    assert all(line for line in lines[:7])


def test_nothing_that_a_terminal_would_obey_reaches_it():
    line = make("<tab>", "a", words=["a\x1b[2J", "b\x9bc"])
    screen = draw(line, 80, 24)
    assert "\x1b[2J" not in screen
    assert "\x9b" not in screen
    assert "a\ufffd[2J" in screen


@settings(deadline=None)
@given(st.lists(st.text("a (東é👍\u0301\u200d", max_size=30), max_size=6), st.integers(1, 30), st.integers(1, 12))
def test_the_screen_is_never_left(paragraphs, columns, height):
    line = make()
    line.text = "\n".join(paragraphs)
    lines, (row, column) = rows(line, columns, height)
    assert len(lines) <= max(height, 1)
    assert 1 <= row <= max(1, height - 1)
    # A wide letter does not fit into one column, whatever is done.
    assert column <= max(columns, 3)
    for text in lines:
        assert typing_screen._width(text) <= max(columns - 1, 2)
    if height > 9 and columns > 20:
        assert "".join("".join(paragraphs).split()).endswith("".join("".join(lines[:row]).split())[-5:])


# --- without a terminal -------------------------------------------------------------------------------------------


def test_there_must_be_a_terminal():
    with pytest.raises(OptionError, match="typing with suggestions needs a terminal; give a context"):
        type_text(make())


def test_systems_without_termios_are_told_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "termios", None)
    with pytest.raises(OptionError, match="needs a terminal of Unix"), typing_screen._raw(0, 2):
        pass


def test_closed_streams_are_no_terminal(monkeypatch):
    for name in ("stdin", "stderr"):
        with monkeypatch.context() as patched:
            patched.setattr(f"sys.{name}", None)
            with pytest.raises(OptionError, match="needs a terminal"):
                type_text(make())


# --- signals ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="needs signals of Unix")
def test_signals_come_late():
    seen = []
    before = [signal.signal(number, lambda number, _: seen.append(number)) for number in ENDS]
    try:
        with late_signals() as noted:
            assert list(noted) == []
            for number in reversed(ENDS):
                os.kill(os.getpid(), number)
            assert list(noted) == list(reversed(ENDS))
            assert seen == []
        assert seen == [ENDS[-1]]
        os.kill(os.getpid(), ENDS[0])
        assert seen == [ENDS[-1], ENDS[0]]
        # What is to be ignored, nohup for example, stays so.
        signal.signal(ENDS[-1], signal.SIG_IGN)
        with late_signals() as noted:
            os.kill(os.getpid(), ENDS[-1])
            assert list(noted) == []
    finally:
        for number, handler in zip(ENDS, before, strict=True):
            signal.signal(number, handler)


def test_another_thread_hears_no_signals():
    found = []

    def listen():
        with late_signals() as noted:
            found.append(list(noted))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [[]]


ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
