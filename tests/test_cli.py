"""The command line: every verb's help; `wordlm train` and `wordlm info`, their JSON, their one line for each fault."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from command_line import ROOT, fault, process, read_screen, run
from trained import TINY, story

from wordlm.cli import main

SIZES = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def commands(command=main, path=()):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def options(command):
    return [param for param in command.params if isinstance(param, click.Option)]


@pytest.fixture
def copy(trained, tmp_path):
    """A trained model to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


# --- help -------------------------------------------------------------------------------------------------------


COMMANDS = list(commands())


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) or "wordlm" for path, _ in COMMANDS])
def test_every_verb_has_help_with_an_example_and_every_option_says_what_it_does(path, command):
    out, _ = run(*path, "--help")
    assert "\n  " + " ".join(["wordlm", *path]) in out, "an example that can be copied"
    assert all(option.help for option in options(command))
    if path:
        assert command.short_help


def test_every_example_in_the_help_is_right(monkeypatch):
    """They are parsed, not run."""
    monkeypatch.setattr(click.Command, "invoke", lambda self, ctx: None)
    examples = re.findall(r"^ *wordlm (.*)$", "\n".join(command.help for _, command in commands()), re.MULTILINE)
    assert len(examples) > 12
    import shlex

    for example in examples:
        run(*shlex.split(re.split(" [<>|] ", example)[0]))  # the rest is the shell's


@pytest.mark.parametrize(
    "path", [("train",), ("generate",), ("info",), ("vectors", "nearest"), ("vectors", "coverage")]
)
def test_verbs_with_results_have_json(path):
    command = main
    for name in path:
        command = command.commands[name]
    assert "--json" in [option.opts[0] for option in options(command)]


def test_help_loads_neither_keras_nor_numpy():
    script = (
        "import sys\nfrom wordlm.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'keras', 'tensorflow', 'gensim', 'rich', 'regex', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick():
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "wordlm.cli", "--help"], capture_output=True, check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.5  # 0.1 on a quiet machine


@pytest.mark.parametrize("arguments", [["cli.py"], ["-m", "wordlm.cli"]])
def test_other_ways_to_call_it(arguments):
    command = [sys.executable, *arguments, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("wordlm, version ")


# --- train ------------------------------------------------------------------------------------------------------


def test_train_prints_its_figures_as_json_and_nothing_else(book, tmp_path):
    out, err = run(
        "train", "-", "--out", tmp_path / "m", "--json", "--valid", book, "--test", book, "--with-ngram", *SIZES,
        input=story(),
    )  # fmt: skip
    figures = json.loads(out)
    assert list(figures) == [
        "model", "vocab_size", "parameters", "train_tokens", "valid_tokens", "valid_perplexity", "test_perplexity",
        "epochs", "seconds", "tokens_per_second", "coverage",
    ]  # fmt: skip
    assert list(figures["coverage"]) == ["types", "tokens"]
    assert figures["valid_perplexity"] == pytest.approx(figures["test_perplexity"])
    assert figures["epochs"] == 1
    assert "validation perplexity" in err
    assert "Holmes" not in figures["model"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "config.json", "metadata.json", "model.keras", "ngram.npz", "vocab.txt",
    ]  # fmt: skip
    assert f"counting the n-grams of {figures['train_tokens']:,} words" in err


def test_quiet_and_vectors_of_its_own(book, tmp_path):
    out, err = run("train", book, "--out", tmp_path / "m", "--quiet", "--vectors", "none", "--embedding-dim", 4, *SIZES)
    assert err == ""
    assert re.fullmatch(r".*m: validation perplexity [\d.]+, 1 epoch, \d+ s, [\d,]+ tokens/s\n", out)
    assert re.search(r"^vectors +its own$", run("info", tmp_path / "m")[0], re.MULTILINE)


def test_a_warning_reaches_the_standard_error(tmp_path):
    strange = tmp_path / "strange.txt"
    strange.write_text("\n\n".join(f"xqzv{i % 7} wvkq{i % 5} the qqzw{i % 3}" for i in range(100)))
    _, err = run("train", strange, "--out", tmp_path / "m", "--quiet", *SIZES)
    assert err.startswith("Warning: ")
    assert "--vectors corpus" in err


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_text(""), "the file is empty"),
        (lambda path: path.write_text(" \n\n \n"), "no text"),
        (lambda path: path.write_text("too small a text"), "too small to train on"),
        (lambda path: path.write_bytes(bytes(range(256)) * 9), "binary"),
        (
            lambda path: path.write_bytes("Été à la plage, où le garçon dîne.".encode("cp1252") * 20),
            "--encoding cp1252",
        ),
        (lambda path: path.mkdir(), "no text in this folder"),
    ],
)
def test_a_text_that_cannot_be_read(tmp_path, make, says):
    make(tmp_path / "text")
    message = fault("train", tmp_path / "text", "--out", tmp_path / "new" / "m")
    assert says in message
    assert "text" in message
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lines", "--pretokenized"], "--lines and --pretokenized are two kinds of text: give one of them"),
        (["--bidirectional"], "give --context, 50 for example"),
        (["--dropout", "2"], "--dropout must be between 0 and 0.95, but is 2.0"),
        (["--learning-rate", "nan"], "--learning-rate must be finite"),
        (["--epochs", "0"], "--epochs must be at least 1, but is 0"),
        (["--vectors", "nothing.txt"], "there are no vectors at nothing.txt"),
        (["--valid", "nothing.txt"], "nothing.txt"),
        (["--encoding", "klingon"], "klingon"),
        (["--field", "text"], "field"),
        (["--min-count", "99999"], "--min-count 99999"),
    ],
)
def test_options_that_do_not_fit(book, tmp_path, arguments, says):
    assert says in fault("train", book, "--out", tmp_path / "m", *arguments)
    assert not (tmp_path / "m").exists()


def test_wrong_usage_has_the_status_2(book):
    for arguments in (
        ["train"],
        ["train", book],
        ["train", book, "--out", "m", "--units", "x"],
        ["nonsense"],
        ["info"],
    ):
        out, err = run(*arguments, status=2)
        assert out == ""
        assert "Usage: " in err


def test_a_model_is_not_overwritten_and_that_is_said_before_anything_is_read(copy):
    before = {path: path.read_bytes() for path in copy.iterdir()}
    assert "--overwrite" in fault("train", "nothing.txt", "--out", copy)
    assert {path: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize("place", ["book.txt", "book.txt/model", "full"])
def test_a_place_that_cannot_be_written_to(book, tmp_path, place):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    assert str(tmp_path / place) in fault("train", book, "--out", tmp_path / place, "--overwrite")
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"
    assert book.read_text() == story()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_may_not_be_written_to(book, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "Permission denied" in fault("train", book, "--out", tmp_path / "locked" / "m")


# --- resume -----------------------------------------------------------------------------------------------------


def test_nothing_to_resume(copy, tmp_path):
    assert "there is nothing to resume" in fault("train", "--resume", copy)
    assert "there is nothing to resume" in fault("train", "--resume", tmp_path / "nowhere")


@pytest.mark.parametrize(
    "option",
    [
        "--units 3", "--dropout 0", "--lines", "--preset seed", "--overwrite", "--valid x", "--out x", "--seed 0",
        "--with-ngram",
    ],
)  # fmt: skip
def test_resume_takes_no_other_options(copy, option):
    assert f"leave out {option.split()[0]}" in fault("train", "--resume", copy, *option.split())


def test_resume_takes_no_texts(copy, book):
    assert "leave out TEXTS" in fault("train", book, "--resume", copy)


# --- info ---------------------------------------------------------------------------------------------------------


def test_info(trained):
    out, _ = run("info", trained)
    assert re.search(r"^network +1 lstm of 6 units, streams, [\d,]+ parameters$", out, re.MULTILINE)
    assert re.search(r"^trained on +[\d,]+ tokens, 1 epoch, \d+ s$", out, re.MULTILINE)
    assert "not finished" not in out
    content = json.loads(run("info", trained, "--json")[0])
    assert list(content) == ["model", "config", "text", "metadata"]
    assert content["config"]["units"] == 6
    assert len(content["metadata"]["history"]) == 1


def _newer(path):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"format_version": 99}))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no model at"),
        (lambda path: [file.unlink() for file in path.iterdir()], "is not a saved model"),
        (lambda path: (path / "vocab.txt").unlink(), "vocab.txt is damaged: it is missing"),
        (lambda path: (path / "vocab.txt").write_text("x\n"), "vocab.txt is damaged"),
        (lambda path: (path / "config.json").write_text("{"), "config.json is damaged: it is not JSON"),
        (lambda path: (path / "model.keras").write_bytes(b"PK"), "model.keras"),
        (_newer, "is of format 99"),
    ],
)
@pytest.mark.parametrize("verb", ["generate", "info"])
def test_what_is_not_a_model_or_not_a_sound_one(copy, spoil, says, verb):
    spoil(copy)
    assert says in fault(verb, copy)


# --- as a process -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.slow
def test_ctrl_c_saves_and_resume_finishes(book, tmp_path):
    model = tmp_path / "my model"
    sizes = [*SIZES[:-2], "--epochs", "3000", "--patience", "3000"]
    running = process("train", book, "--out", model, *sizes)
    said = ""
    while "epoch 1:" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert "training is not finished" in out
    assert f"Go on with: wordlm train --resume '{model}'" in err
    assert "Traceback" not in err
    assert re.search(r"^training +not finished; go on with: wordlm train --resume", run("info", model)[0], re.MULTILINE)
    assert run("generate", model, "--seed", "1")[0]
    assert "--overwrite" in fault("train", book, "--out", model)

    done = json.loads(run("info", model, "--json")[0])["metadata"]["epochs"]
    out, _ = run("train", "--resume", model, "--epochs", done + 1, "--json")
    assert json.loads(out)["epochs"] == done + 1
    assert not (model / "checkpoint").exists()
    assert "not finished" not in run("info", model)[0]


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.slow
def test_a_killed_overwriting_leaves_the_old_model(copy, book):
    before = run("generate", copy, "--seed", "1")[0]
    running = process(
        "train", book, "--out", copy, "--overwrite", *SIZES[:-2], "--epochs", "3000", "--patience", "3000"
    )
    while "epoch 2:" not in running.stderr.readline():
        assert running.poll() is None
    running.kill()
    running.communicate()
    assert (copy / "checkpoint").exists()
    assert run("generate", copy, "--seed", "1")[0] == before
    assert "holds a saved model already" in fault("train", book, "--out", copy)
    run("train", book, "--out", copy, "--overwrite", *SIZES)
    assert not (copy / "checkpoint").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.slow
def test_a_terminal_sees_a_live_line_and_a_pipe_the_result_alone(book, tmp_path):
    import pty

    parent, child = pty.openpty()
    sizes = [*SIZES[:-2], "--epochs", "40", "--patience", "40"]
    command = [sys.executable, "-m", "wordlm.cli", "train", book, "--out", tmp_path / "m", "--json", *sizes]
    running = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=child, cwd=ROOT, env=os.environ | {"TERM": "xterm"}
    )
    os.close(child)
    screen = read_screen(parent)
    assert running.wait() == 0
    assert json.loads(running.stdout.read())["epochs"] > 1
    running.stdout.close()
    os.close(parent)
    assert b"\x1b[2K" in screen
    assert b"epoch 1: loss" in screen
