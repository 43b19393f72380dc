"""What a person sees: lines that stay, a live line in a terminal, and nothing on the standard output."""

import doctest
import io

import pytest
from rich.console import Console

import wordlm.progress as progress
from wordlm.progress import Display, listening
from wordlm.reports import Epoch, Step

EPOCH = Epoch(1, 5.5, 123.45, 0.2, 0.001, 65.4, 2000.0, 'He said\n"Yes."')


def step(number, rate=1500.0, left=90.0):
    return Step(epoch=1, step=number, steps=10, loss=6.0, tokens_per_second=rate, done=number / 10, seconds_left=left)


@pytest.fixture
def terminal():
    """A display on a terminal of 100 columns, and what has been written to it."""
    display = Display()
    screen = io.StringIO()
    display.console = Console(file=screen, force_terminal=True, width=100, highlight=False, soft_wrap=True)
    return display, screen


def test_doctests():
    result = doctest.testmod(progress)
    assert result.failed == 0
    assert result.attempted > 0


def test_plain_lines_where_there_is_no_terminal(capsys):
    display = Display()
    for number in range(1, 10):
        display.step(step(number))  # some at once: one line is enough
    display.epoch(EPOCH)
    display.message("[done]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        " 10% epoch 1, step 1/10: loss 6.000, 1,500 tokens/s, 1:30 left",
        "epoch 1: loss 5.500, validation perplexity 123.5, 2,000 tokens/s, 1:05",
        '  He said "Yes."',
        "[done]",
    ]


def test_a_line_now_and_then(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    display = Display()
    for seconds in range(60):
        now[0] = float(seconds)
        display.reading("train", seconds, seconds / 60)
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_what_is_not_known_yet_is_not_shown(capsys):
    Display().step(step(1, rate=0.0, left=float("inf")))
    assert capsys.readouterr().err == " 10% epoch 1, step 1/10: loss 6.000\n"


def test_a_live_line_in_a_terminal(terminal):
    display, screen = terminal
    display.reading("valid", 1000, 0.5)
    display.step(step(3))
    display.live.refresh()
    display.epoch(EPOCH)
    display.close()
    written = screen.getvalue()
    assert "reading the validation text: 1,000 tokens" in written
    assert "step 3/10" in written
    assert "30%" in written
    assert "validation perplexity 123.5" in written
    assert written.endswith("\x1b[2K")  # the live line is wiped
    assert display.live is None


def test_a_message_ends_the_live_line(terminal):
    display, _ = terminal
    display.step(step(3))
    display.message("building the network")
    assert display.live is None


def test_quiet_shows_warnings_only(capsys):
    display = Display(quiet=True)
    display.message("hello")
    display.step(step(1))
    display.epoch(EPOCH)
    display.message("Warning: few words have a vector")
    assert capsys.readouterr().err == "Warning: few words have a vector\n"


def test_a_listener_that_was_given_is_used_as_it_is():
    mine = object()
    with listening(mine) as listener:
        assert listener is mine


def test_a_display_of_our_own_is_closed_even_after_a_failure(monkeypatch):
    closed = []
    monkeypatch.setattr(Display, "close", lambda self: closed.append(self))
    with pytest.raises(ValueError, match="oops"), listening():
        raise ValueError("oops")
    assert len(closed) == 1
