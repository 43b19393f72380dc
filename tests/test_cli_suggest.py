"""`wordlm suggest`, end to end: one context, lines of them, and someone who types in a terminal."""

import json
import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ROOT, fault, process, run

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
    assert out == "".join(run("suggest", trained, line, "-k", 3)[0] + "\n" for line in LINES)
    assert run("suggest", trained, "-", "-k", "3", input="\n".join(LINES)) == (out, "")


def test_a_line_is_answered_before_the_next_one_is_read(trained):
    running = process("suggest", trained, "-k", "2", stdin=subprocess.PIPE)
    try:
        for line in LINES:
            running.stdin.write(line + "\n")
            running.stdin.flush()
            answer = [running.stdout.readline() for _ in range(3)]
            assert "".join(answer) == run("suggest", trained, line, "-k", 2)[0] + "\n"
        assert running.communicate() == ("", "")
        assert running.returncode == 0
    finally:
        running.kill()


def test_each_line_is_a_list_of_one_json_document(trained):
    out, err = run("suggest", trained, "-k", "3", "--json", input="\r\n".join(LINES))
    assert err == ""
    assert json.loads(out) == [json.loads(run("suggest", trained, line, "-k", 3, "--json")[0]) for line in LINES]
    assert out.count("\n") == len(LINES)


def test_no_lines(trained):
    assert run("suggest", trained, input="") == ("", "")
    assert run("suggest", trained, "--json", input="") == ("[]\n", "")


VECTORS = ["glove-6b-50d", "none"]
# Words of the model's text.
KNOWN = {b"the", b"a"}


def test_vectors_are_read_once_for_all_lines(has_vectors, monkeypatch):
    from wordlm.vector_files import VectorFile

    asked, read, hashed = [], VectorFile.batches, VectorFile.sha256
    monkeypatch.setattr(VectorFile, "batches", lambda self, wanted: [asked.append(wanted), read(self, wanted)][1])
    monkeypatch.setattr(VectorFile, "sha256", lambda self: [asked.append("hash"), hashed(self)][1])
    out, err = run("suggest", has_vectors, "-k", "2", "--json", input="the elephant\nthe dog\na zebra or elephant\n")
    assert err == ""
    assert asked == ["hash", {b"the", b"elephant"} - KNOWN, {b"zebra", b"a", b"or"} - KNOWN]
    assert json.loads(out)[0] == json.loads(run("suggest", has_vectors, "the elephant", "-k", "2", "--json")[0])


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_line_that_is_no_text(trained, options):
    """What is good before it is printed."""
    running = process(
        "suggest", trained, "-k", "1", *options, stdin=subprocess.PIPE, text=False, env=os.environ | {"PYTHONUTF8": "1"}
    )
    out, err = running.communicate("\ufeffThen\n".encode() + b"a \xff\xfe\nThen\n")
    expected = run("suggest", trained, "Then", "-k", "1", *options)[0]
    assert out.decode() == (f"[{expected.strip()}]\n" if options else f"{expected}\n")
    assert running.returncode == 1
    assert err.decode() == "Error: the standard input must be utf-8, but line 2 has the byte 0xff; convert it\n"


def test_nothing_good_is_no_document(trained):
    running = process(
        "suggest", trained, "--json", stdin=subprocess.PIPE, text=False, env=os.environ | {"PYTHONUTF8": "1"}
    )
    assert running.communicate(b"\xff\n")[0] == b""
    assert running.returncode == 1


def test_warnings_name_the_line(trained):
    words = [f"xq{letter}" for letter in "abcdefghijkl"]
    _, err = run("suggest", trained, "-k", "1", input=f"Then xqa\n\nThen {' '.join(words)}\n")
    assert err == (
        "Warning: line 1: the model does not know xqa: read as <unk>\n"
        f"Warning: line 3: the model does not know {', '.join(words[:10])} and 2 more: read as <unk>\n"
    )
    _, err = run("suggest", trained, "--prefix", "xq", input="Then\n")
    assert err == "Warning: line 1: the model knows no word that begins with 'xq'\n"


@pytest.mark.skipif(os.name != "posix", reason="streams are closed by a shell of Unix")
def test_closed_streams(trained):
    def shell(command):
        code = "import sys; from wordlm.cli import main; sys.exit(main())"
        command = command.replace("suggest", f"{sys.executable} -c '{code}' suggest {trained}")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
        return done.returncode, done.stdout, done.stderr

    expected = run("suggest", trained, "Then")[0]
    assert shell("suggest Then <&- 2>&-") == (0, expected, "")
    told = "Error: there is no standard input: give a context, or lines of them there\n"
    assert shell("suggest <&-") == (1, "", told)
    assert shell("suggest - <&-") == (1, "", told)
    assert shell("suggest Then >&-") == (0, "", "")
    assert shell("suggest Then --json >&-") == (0, "", "")


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
def test_unknown_words_are_read_by_their_vectors_when_they_are_whole(has_vectors, sit_down):
    out = {
        vectors: run("suggest", has_vectors, "the elephant", "-k", "9", "--vectors", vectors)[0] for vectors in VECTORS
    }
    orders = {vectors: [word for _, word in pairs(out[vectors])] for vectors in VECTORS}
    lm = wordlm.load(has_vectors)
    for vectors, options in {"glove-6b-50d": [], "none": ["--vectors", "none"]}.items():
        typist = sit_down(*options, columns=200)
        typist.type("the elephant", "the elephant")
        words = "  ".join(f"{number} {word}" for number, word in enumerate(orders[vectors], 1))
        screen = typist.type(" ", "the elephant \x1b[K", "9 ")
        assert words in screen.replace("\x1b[7m", "").replace("\x1b[0m", "")
        typist.type("\x03")
        assert typist.leave() == "the elephant\n"
    assert "elephant" not in lm.vocabulary
    assert out["none"] != out["glove-6b-50d"]


@needs_terminal
def test_what_is_pasted_is_text(sit_down):
    typist = sit_down()
    typist.see("Tab")
    assert "\x1b[?2004h" in typist.seen
    typist.type("\x1b[200~he\ttook\r\nthe lamp\x1b[201~", "he took\x1b[K\r\nthe lamp\x1b[K")
    typist.type("\x03")
    assert typist.leave() == "he took\nthe lamp\n"
    assert typist.seen.count("\x1b[?2004l") == 1


@needs_terminal
def test_the_home_of_nobody(sit_down):
    typist = sit_down()
    typist.type("he", "he")
    typist.type("\x13", "Save as")
    typist.type("~nobodyxyz/f\r", "~nobodyxyz/f: ")
    typist.type("\x03")
    assert typist.leave() == "he\n"


@needs_terminal
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_loses_nothing(sit_down, name):
    typist = sit_down()
    typist.type("he took ", "he took ")
    typist.process.send_signal(getattr(signal, name))
    assert typist.leave() == "he took\n"
    assert typist.process.returncode == -getattr(signal, name)


@needs_terminal
def test_a_closed_window_loses_nothing(sit_down, tmp_path):
    with open(tmp_path / "out.txt", "w") as file:
        typist = sit_down(stdout=file, start_new_session=True)
    typist.type("he took ", "he took ")
    os.close(typist.child)
    os.close(typist.parent)
    typist.process.send_signal(signal.SIGHUP)
    assert typist.process.wait(60) in (-signal.SIGHUP, 1)
    assert (tmp_path / "out.txt").read_text() == "he took\n"


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
        (["--vectors", "x"], "there are no vectors 'x': give glove-6b-50d, or the path of a file of vectors"),
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
