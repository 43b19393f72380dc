"""`wordlm suggest`, end to end: one context, lines of them, and someone who types in a terminal."""

import json
import os
import select
import signal
import subprocess
import time

import numpy as np
import pytest
from command_line import fault, process, run

import wordlm


def pairs(out):
    return [tuple(line.split("\t")) for line in out.splitlines()]


def said(out):
    """The words and probabilities of a JSON list."""
    return [(one["word"], one["probability"]) for one in json.loads(out)]


# --- one context --------------------------------------------------------------------------------------------------


def test_words_with_their_probabilities(trained):
    out, err = run("suggest", trained, "Then he took", "-k", "4")
    assert err == ""
    lm = wordlm.load(trained)
    expected = lm.suggest("Then he took", k=4)
    assert [word for _, word in pairs(out)] == [one.word for one in expected]
    assert [float(number) for number, _ in pairs(out)] == pytest.approx([one.probability for one in expected], rel=1e-3)
    logprobs = lm.engine.run([[2, *lm.read_prompt("Then he took").ids]])[0][0, -1]
    assert expected[0].probability == pytest.approx(np.exp(logprobs[3:].max()), rel=1e-4)


def test_json(trained):
    out, err = run("suggest", trained, "Then he took", "-k", "2", "--json")
    assert err == ""
    assert out.count("\n") == 1
    assert all(list(one) == ["word", "probability"] for one in json.loads(out))
    assert [word for word, _ in said(out)] == [
        word for _, word in pairs(run("suggest", trained, "Then he took", "-k", 2)[0])
    ]


def test_the_beginning_of_a_paragraph(trained):
    assert len(pairs(run("suggest", trained, "")[0])) == 10
    assert run("suggest", trained, "")[0] == run("suggest", trained, "  ")[0]


@pytest.mark.parametrize("prefix", ["wat", "Wat", "WATSON"])
def test_a_prefix(trained, prefix):
    out, err = run("suggest", trained, "Then", "--prefix", prefix)
    assert err == ""
    assert [word for _, word in pairs(out)] == ["Watson"]


def test_no_word_begins_so(trained):
    assert run("suggest", trained, "Then", "--prefix", "xq") == (
        "",
        "Warning: the model knows no word that begins with 'xq'\n",
    )
    out, err = run("suggest", trained, "Then", "--prefix", "xq", "--json")
    assert out == "[]\n"
    assert err


@pytest.fixture
def has_vectors(trained):
    """The model, if it reads words by the packaged vectors."""
    from wordlm.open_vocabulary import usual_vectors

    if not usual_vectors(wordlm.load(trained).metadata):
        pytest.skip("needs the packaged vectors")
    return trained


def test_words_that_the_model_does_not_know(trained):
    out, err = run("suggest", trained, "Then Xqzzy took Xqzzy", "-k", "1")
    assert len(pairs(out)) == 1
    assert err == "Warning: the model does not know Xqzzy: read as <unk>\n"


def test_unknown_words_are_read_by_their_vectors(has_vectors):
    arguments = ["suggest", has_vectors, "Then the elephant Xqzzy", "--json"]
    out, err = run(*arguments)
    assert err == "Warning: the model does not know Xqzzy: read as <unk>\n"
    assert run(*arguments, "--vectors", "glove-6b-50d") == (out, err)
    without, err = run(*arguments, "--vectors", "none")
    assert err == "Warning: the model does not know elephant, Xqzzy: read as <unk>\n"
    assert [number for _, number in said(without)] != [number for _, number in said(out)]
    lm = wordlm.load(has_vectors)
    expected = lm.suggest("Then the elephant Xqzzy")
    assert [word for word, _ in said(out)] == [one.word for one in expected]
    assert [number for _, number in said(out)] == pytest.approx([one.probability for one in expected], rel=1e-4)


# --- lines of the standard input ----------------------------------------------------------------------------------

LINES = ["Then he took", "", "I don't see", "  Then"]


def test_each_line_is_a_context(trained):
    out, err = run("suggest", trained, "-k", "3", input="\n".join(LINES) + "\n")
    assert err == ""
    blocks = out.split("\n\n")
    assert [block.rstrip("\n") for block in blocks] == [
        run("suggest", trained, line, "-k", 3)[0].rstrip("\n") for line in LINES
    ]


def test_each_line_is_a_list_of_one_json_document(trained):
    out, err = run("suggest", trained, "-k", "3", "--json", input="\r\n".join(LINES))
    assert err == ""
    assert json.loads(out) == [json.loads(run("suggest", trained, line, "-k", 3, "--json")[0]) for line in LINES]
    assert out.count("\n") == len(LINES)


def test_no_lines(trained):
    assert run("suggest", trained, input="") == ("", "")
    assert run("suggest", trained, "--json", input="") == ("[]\n", "")


def test_vectors_are_read_once_for_all_lines(has_vectors, monkeypatch):
    import wordlm.vectors

    asked, load_vectors = [], wordlm.vectors.load_vectors

    def listen(name, vocabulary, **options):
        asked.append(vocabulary.tokens[3:])
        return load_vectors(name, vocabulary, **options)

    monkeypatch.setattr(wordlm.vectors, "load_vectors", listen)
    out, err = run("suggest", has_vectors, "-k", "2", "--json", input="the elephant\nthe dog\na zebra or elephant\n")
    assert err == ""
    assert len(asked) == 1
    assert {"elephant", "zebra"} <= set(asked[0])
    assert json.loads(out)[0] == json.loads(run("suggest", has_vectors, "the elephant", "-k", "2", "--json")[0])


def test_lines_that_are_no_text(trained):
    running = process(
        "suggest", trained, "-k", "1", stdin=subprocess.PIPE, text=False, env=os.environ | {"PYTHONUTF8": "1"}
    )
    out, err = running.communicate("\ufeffThen\n".encode() + b"\xff\xfe\n")
    assert out == b""
    assert running.returncode == 1
    assert err.decode() == "Error: the standard input must be utf-8, but has the byte 0xff; convert it\n"


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["Then", "--prefix", "a b"],
            "--prefix must be the beginning of one word, but is 'a b'; words before it belong",
        ),
        (["Then", "--save", "x.txt"], "--save is for a text that is typed: leave it out, or leave out the context"),
        (["--save", "x.txt"], "--save is for a text that is typed: leave it out, or leave out the context"),
    ],
)
def test_refused(trained, options, told):
    assert fault("suggest", trained, *options).startswith(told)


def test_no_model():
    assert fault("suggest", "nowhere", "a").startswith("there is no model at nowhere")


@pytest.mark.parametrize("k", ["0", "-1", "x"])
def test_k(trained, k):
    assert "-k" in run("suggest", trained, "a", "-k", k, status=2)[1]


# --- typing in a terminal -----------------------------------------------------------------------------------------


class Typist:
    """Someone at a terminal: types, and waits for what is to be seen."""

    def __init__(self, *arguments, columns=80, rows=24, **settings):
        import pty
        import termios

        self.parent, self.child = pty.openpty()
        termios.tcsetwinsize(self.child, (rows, columns))
        self.before = termios.tcgetattr(self.child)
        settings = {"stdin": self.child, "stderr": self.child} | settings
        self.process = process("suggest", *arguments, **settings)
        self.seen = ""

    def see(self, *texts):
        """Waits until all texts are on the screen at once, as it was last drawn."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            screen = self.seen.rpartition("\x1b[H")[2]
            if "\x1b[J" in screen and all(text in screen for text in texts):
                return screen
            if select.select([self.parent], [], [], 0.1)[0]:
                self.seen += os.read(self.parent, 65536).decode()
        pytest.fail(f"not seen: {texts}, but {self.seen[-2000:]!r}")

    def type(self, keys, *texts):
        os.write(self.parent, keys.encode())
        return self.see(*texts) if texts else None

    def leave(self):
        """What is printed in the end, when the terminal is as it was."""
        import termios

        # A full terminal would keep the process from its end.
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen[-2000:]
            if select.select([self.parent], [], [], 0.1)[0]:
                self.seen += os.read(self.parent, 65536).decode()
        out, _ = self.process.communicate()
        assert termios.tcgetattr(self.child) == self.before
        while select.select([self.parent], [], [], 0)[0]:
            self.seen += os.read(self.parent, 65536).decode()
        if "\x1b[?1049h" in self.seen:
            assert self.seen.count("\x1b[?1049l") == 1
        os.close(self.child)
        os.close(self.parent)
        return out


@pytest.fixture
def sit_down(trained):
    """Gives a typist at a terminal where `wordlm suggest` runs with some options; none stays behind."""
    typists = []

    def start(*options, **settings):
        typists.append(Typist(trained, *options, **settings))
        return typists[-1]

    yield start
    for typist in typists:
        if typist.process.poll() is None:
            typist.process.kill()
            typist.process.communicate()


needs_terminal = pytest.mark.skipif(os.name != "posix", reason="needs a terminal of Unix")


@needs_terminal
def test_a_text_is_typed_picked_undone_saved_and_printed(sit_down, tmp_path):
    # Lower-case letters complete names too.
    typist = sit_down()
    typist.see("Tab or Alt-1", "1 ")
    typist.type("Then wat", "Then wat", "1 Watson")
    typist.type("\t", "Then Watson ")
    typist.type("\x1a", "Then wat\x1b[K", "1 Watson")
    typist.type("\x1b1", "Then Watson \x1b[K")
    typist.type("took", "Then Watson took")
    typist.type("\x17", "Then Watson \x1b[K")
    typist.type("to\x7fhe\r", "Then Watson the\x1b[K\r\n\x1b[K")
    typist.type("é東", "é東")
    typist.type("\x13", "Save as")
    typist.type(f"{tmp_path}/é.txt\r", "saved in")
    assert (tmp_path / "é.txt").read_text(encoding="utf-8") == "Then Watson the\né東\n"
    typist.type("!", "é東!")
    typist.type("\x03")
    assert typist.leave() == "Then Watson the\né東!\n"
    assert typist.process.returncode == 0


@needs_terminal
def test_nothing_typed_is_nothing_printed(sit_down):
    typist = sit_down()
    typist.see("Tab")
    typist.type("\x04")
    assert typist.leave() == ""
    assert typist.process.returncode == 0


@needs_terminal
def test_the_terminal_may_change_its_size(sit_down):
    import termios

    typist = sit_down("-k", "2", columns=80)
    typist.type("he took the lamp", "he took the lamp", "picks")
    termios.tcsetwinsize(typist.child, (10, 9))
    typist.see("he took \x1b[K\r\nthe lamp\x1b[K")
    termios.tcsetwinsize(typist.child, (2, 3))
    typist.see("mp")
    typist.type("\x03")
    assert typist.leave() == "he took the lamp\n"


@needs_terminal
def test_save_says_where(sit_down, tmp_path):
    typist = sit_down("--save", tmp_path / "letter.txt")
    # Before a program asks for every key as it is, Ctrl-S stops the terminal.
    typist.see("Tab")
    typist.type("Yes\x13", "saved in")
    typist.type("\x03")
    assert typist.leave() == "Yes\n"
    assert (tmp_path / "letter.txt").read_text() == "Yes\n"


@needs_terminal
def test_an_interrupt_from_outside_loses_nothing(sit_down):
    typist = sit_down()
    typist.type("he took", "he took")
    typist.process.send_signal(signal.SIGINT)
    assert typist.leave() == "he took\n"
    assert typist.process.returncode == 1


@needs_terminal
def test_a_failure_loses_nothing(sit_down, tmp_path):
    # The disk of stdout's file is full, the engine fails, or whatever else: a fault in the loop itself.
    (tmp_path / "sitecustomize.py").write_text(
        "import wordlm.typing_screen as screen\ndraw = screen.draw\n"
        "def fail(line, columns, rows):\n    if '!' in line.text: raise OSError(5, 'broken')\n"
        "    return draw(line, columns, rows)\nscreen.draw = fail\n"
    )
    typist = sit_down(env=os.environ | {"PYTHONPATH": str(tmp_path)})
    typist.type("he took", "he took")
    typist.type("!")
    assert typist.leave() == "he took!\n"
    assert typist.seen.endswith("Error: broken\r\n")
    assert typist.process.returncode == 1


@needs_terminal
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--json"], "--json needs a context: give it, or lines of them on the standard input"),
        (["--prefix", "a"], "--prefix needs a context: give it, or lines of them on the standard input"),
        (["--vectors", "x"], "--vectors needs a context: give it, or lines of them on the standard input"),
        (["--save", "README.md"], "--save must be a new file, but README.md is there already; give another name"),
    ],
)
def test_refused_in_a_terminal(sit_down, options, told):
    typist = sit_down(*options)
    assert typist.leave() == ""
    assert typist.seen == f"Error: {told}\r\n"
    assert typist.process.returncode == 1


@needs_terminal
def test_what_is_drawn_needs_a_terminal_too(sit_down):
    typist = sit_down(stderr=subprocess.PIPE)
    _, err = typist.process.communicate()
    assert err == "Error: typing with suggestions needs a terminal; give a context, or contexts as lines on stdin\n"
    assert typist.leave() == ""
