"""`wordlm generate`, end to end: what each option does, what is said of bad ones, how texts come out."""

import dataclasses
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import zipfile
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import fault, process, read_screen, run

import wordlm
from wordlm.config import SamplingConfig
from wordlm.language_model import LanguageModel

ENDLESS = ["--max-words", "10000000", "--min-words", "10000000"]


def texts(trained, *options, n=30, seed=1):
    """The JSON of some texts."""
    out, err = run("generate", trained, "-n", n, "--seed", seed, "--json", *options)
    assert err == ""
    content = json.loads(out)
    assert len(content) == n
    return content


def words(text):
    return [word["word"] for word in text["words"]]


@pytest.fixture
def story(trained):
    """What the model was trained on."""
    return trained.parent / "story.txt"


# --- what comes out -----------------------------------------------------------------------------------------------


def test_generate(trained):
    arguments = ["generate", trained, "--prompt", "I don't", "-n", "3", "--seed", "1", "--max-words", "9"]
    out, err = run(*arguments)
    assert err == ""
    assert len(out.splitlines()) == 3
    assert all(line.startswith("I don't") for line in out.splitlines())
    content = json.loads(run(*arguments, "--json")[0])
    assert [text["text"] for text in content] == out.splitlines()
    for text in content:
        assert list(text) == ["text", "words", "finish_reason"]
        assert 1 <= len(text["words"]) <= 9
        for word in text["words"]:
            assert list(word) == ["word", "probability"]
            assert 0 < word["probability"] <= 1


@pytest.mark.parametrize("options", [[], ["--sentences", "3"], ["--prompt", "I don't"], ["--max-words", "1"]])
def test_one_text_is_the_same_in_pieces_and_in_json(trained, options):
    for seed in range(5):
        arguments = ["generate", trained, "--seed", seed, *options]
        (text,) = json.loads(run(*arguments, "--json")[0])
        assert run(*arguments)[0] == text["text"] + "\n"


def test_json_is_one_document_of_any_number_of_texts(trained):
    # More than run side by side.
    assert len(texts(trained, "--max-words", "3", n=300)) == 300
    assert len(texts(trained, n=1)) == 1


def test_texts_of_several_lines_are_apart(trained):
    out, _ = run("generate", trained, "-n", "2", "--sentences", "3", "--seed", "1")
    assert out.count("\n\n") == 1


def test_probabilities_come_a_line_a_word(trained):
    out, err = run("generate", trained, "-n", "2", "--seed", "3", "--probabilities")
    assert err == ""
    blocks = [block.splitlines() for block in out.split("\n\n")]
    content = texts(trained, n=2, seed=3)
    assert [[line.split("\t")[1] for line in block] for block in blocks] == [words(text) for text in content]
    for block, text in zip(blocks, content, strict=True):
        found = [float(line.split("\t")[0]) for line in block]
        assert found == pytest.approx([word["probability"] for word in text["words"]], rel=1e-3)


def test_a_small_probability_is_not_shown_as_none(trained, monkeypatch):
    word = dataclasses.make_dataclass("Word", ["word", "probability"])("dog", 1.23456e-9)
    text = dataclasses.make_dataclass("Text", ["words"])([word])
    monkeypatch.setattr(LanguageModel, "generate_many", lambda *_, **__: iter([text]))
    assert run("generate", trained, "--probabilities")[0] == "1.235e-09\tdog\n"


def test_a_prompt_is_no_part_of_the_words(trained):
    for text in texts(trained, "--prompt", "Holmes took", "--max-words", "1"):
        assert text["text"].startswith("Holmes took")
        assert len(words(text)) == 1


# --- what the options do ------------------------------------------------------------------------------------------

GIVEN = {
    "max_words": ("--max-words 7", 7),
    "min_words": ("--min-words 2", 2),
    "sentences": ("--sentences 2", 2),
    "stop": ("--stop took Then", ("took", "Then")),
    "start_with": ("--start-with 'Then he'", "Then he"),
    "end_with": ("--end-with 'a lamp .'", "a lamp ."),
    "include": ("--include dog 'the door'", ("dog", "the door")),
    "ban": ("--ban lamp 'Then he' she", ("lamp", "Then he", "she")),
    "no_unk": ("--unk", False),
    "temperature": ("--temperature 1.5", 1.5),
    "top_k": ("--top-k 3", 3),
    "top_p": ("--top-p 0.5", 0.5),
    "min_p": ("--min-p 0.1", 0.1),
    "typical": ("--typical 0.5", 0.5),
    "repetition_penalty": ("--repetition-penalty 1.5", 1.5),
    "no_repeat_ngram": ("--no-repeat-ngram 3", 3),
    "max_copy": ("--max-copy 5 --against STORY", 5),
    "beams": ("--beams 4", 4),
    "cache": ("--cache 20", 20),
    "cache_theta": ("--cache 9 --cache-theta 0.5", 0.5),
    "cache_lambda": ("--cache 9 --cache-lambda 0.4", 0.4),
    "seed": ("--seed 9", 9),
}


def split(options, story):
    return [str(story) if option == "STORY" else option for option in shlex.split(options)]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(SamplingConfig)])
@pytest.mark.parametrize("way", [[], ["--json"]], ids=["plain", "json"])
def test_every_option_reaches_the_model(trained, story, monkeypatch, name, way):
    heard = []

    def listen(self, prompt="", n=1, *, against=None, **options):
        heard.append(options)
        return iter(())

    monkeypatch.setattr(LanguageModel, "generate_many", listen)
    monkeypatch.setattr(LanguageModel, "stream", listen)
    options, value = GIVEN[name]
    run("generate", trained, *split(options, story), *way)
    assert len(heard) == 1
    assert heard[0][name] == value
    assert heard[0].keys() <= {name, "cache"}


def test_ban(trained):
    content = texts(trained, "--ban", "Holmes", "the", "Then took")
    assert all({"Holmes", "the"}.isdisjoint(words(text)) for text in content)
    assert any("Watson" in words(text) for text in content)
    # The capitalized form goes too.
    content = texts(trained, "--ban", "she", "--start-with", "Then")
    assert all({"she", "She"}.isdisjoint(words(text)) for text in content)


def test_ban_a_phrase(trained):
    found = [" ".join(words(text)) for text in texts(trained, "--max-words", "40", "--min-words", "40")]
    assert any("the dog" in text for text in found)
    found = [" ".join(words(text)) for text in texts(trained, "--max-words", "40", "--ban", "the dog")]
    assert not any("the dog" in text for text in found)
    assert any("the" in text for text in found)


def test_start_with(trained):
    for text in texts(trained, "--start-with", "Then he took"):
        assert words(text)[:3] == ["Then", "he", "took"]
        assert text["text"].startswith("Then he took")
    assert run("generate", trained, "--prompt", "I", "--start-with", "see", "--seed", "1")[0].startswith("I see")


def test_stop(trained):
    content = texts(trained, "--stop", "took", "said", "--max-words", "50")
    assert all({"took", "said"}.isdisjoint(words(text)) for text in content)
    assert any(text["finish_reason"] == "stop" for text in content)


def test_words_at_least_and_at_most(trained):
    counts = {len(words(text)) for text in texts(trained, "--min-words", "8", "--max-words", "12")}
    assert counts <= {8, 9, 10, 11, 12}
    assert {len(words(text)) for text in texts(trained, "--min-words", "8", "--max-words", "8")} == {8}


def test_sentences(trained):
    content = texts(trained, "--sentences", "1")
    assert {text["finish_reason"] for text in content} <= {"sentences", "max_words"}
    assert any(text["finish_reason"] == "sentences" for text in content)


def test_no_repeated_run_of_words(trained):
    content = texts(trained, "--no-repeat-ngram", "2", "--max-words", "60", "--min-words", "20")
    for text in content:
        pairs = list(pairwise(words(text)))
        assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    "options",
    [
        ["--temperature", "3"],
        ["--top-k", "1"],
        ["--top-p", "0.05"],
        ["--min-p", "0.9"],
        ["--typical", "0.05"],
        ["--repetition-penalty", "3"],
        ["--cache", "50", "--cache-lambda", "0.9"],
        ["--sentences", "2"],
        ["--seed", "4"],
    ],
)
def test_what_shapes_the_draw_changes_it(trained, options):
    base = ["generate", trained, "-n", "2", "--max-words", "30", "--seed", "3"]
    plain = run(*base)[0]
    assert run(*base)[0] == plain
    assert run(*base, *options)[0] != plain


# --- texts to compare with ----------------------------------------------------------------------------------------


def runs_in(found, corpus):
    """The longest run of words of one list that stands in another; by trying them all."""
    corpus = " " + " ".join(corpus) + " "
    starts = range(len(found))
    return max(
        (end - start for start in starts for end in range(start + 1, len(found) + 1)
         if " " + " ".join(found[start:end]) + " " in corpus), default=0,
    )  # fmt: skip


def test_copied_words(trained, story):
    tokenizer = wordlm.load(trained).tokenizer
    corpus = [word for line in story.read_text().splitlines() for word in tokenizer.tokenize(line)]
    options = ["--max-words", "25"]
    free = [runs_in(words(text), corpus) for text in texts(trained, *options, n=10)]
    content = texts(trained, *options, "--against", story, "--max-copy", "2", n=10)
    assert max(free) > 2
    for text in content:
        assert list(text) == ["text", "words", "finish_reason", "longest_copy"]
        assert text["longest_copy"] == runs_in(words(text), corpus) <= 2


def test_the_longest_copy_is_told_on_the_standard_error(trained, story):
    arguments = ["generate", trained, "--seed", "5", "--against", story]
    out, err = run(*arguments)
    (text,) = json.loads(run(*arguments, "--json")[0])
    assert out == text["text"] + "\n"
    assert err == f"longest run of copied words: {text['longest_copy']}\n"
    out, err = run(*arguments, "-n", "3")
    assert len(err.splitlines()) == 3
    assert run("generate", trained, "--seed", "5")[1] == ""


def test_several_texts_to_compare_with(trained, story, tmp_path):
    (tmp_path / "a.txt").write_text("Then he took a lamp.\n")
    (tmp_path / "b.txt").write_text("Then she took a lamp.\n")
    for options in (
        ["--against", tmp_path / "a.txt", tmp_path / "b.txt"],
        ["--against", tmp_path / "a.txt", "--against", tmp_path / "b.txt"],
        ["--against", tmp_path],
        ["--against", tmp_path / "*.txt"],
    ):
        for text in texts(trained, *options, "--max-copy", "2", "--start-with", "Then", n=10):
            assert text["longest_copy"] <= 2
            assert words(text)[:3] not in (["Then", "he", "took"], ["Then", "she", "took"])


def test_how_the_texts_to_compare_with_are_read(trained, tmp_path):
    (tmp_path / "rows.csv").write_text('number,line\n1,"Then he took a lamp."\n')
    options = ["--max-copy", "2", "--start-with", "Then he", "--against", tmp_path / "rows.csv"]
    content = texts(trained, *options, "--field", "line", n=10)
    assert all(text["longest_copy"] == 2 and words(text)[2] != "took" for text in content)
    assert "--field NAME" in fault("generate", trained, *options)


@pytest.mark.parametrize("options", [["--max-copy", "5"], ["--lines"], ["--encoding", "latin-1"]])
def test_options_of_texts_to_compare_with_that_are_not_there(trained, options):
    assert fault("generate", trained, *options).startswith(f"{options[0]} is about texts to compare with: give them")


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.slow
def test_a_terminal_sees_how_far_the_reading_is_and_no_trace_of_it_in_the_end(trained, tmp_path):
    import pty

    (tmp_path / "long.txt").write_text("Then he took a lamp .\n" * 12_000)
    parent, child = pty.openpty()
    arguments = ["generate", trained, "--against", tmp_path / "long.txt", "--lines", "--seed", "1"]
    running = process(*arguments, stderr=child)
    os.close(child)
    screen = read_screen(parent)
    os.close(parent)
    assert running.communicate()[0].strip()
    assert running.returncode == 0
    told = screen.decode().split("\r")
    assert told[1].startswith("words read, to differ from: 65,5")
    assert "making text 1 of 1" in told
    # Each line is wiped before the next one.
    assert any(line.startswith("\x1b[Klongest run of copied words: ") for line in told)


# --- texts that are searched for ----------------------------------------------------------------------------------


def stands_in(phrase, text):
    return f" {phrase} " in f" {' '.join(words(text))} "


def test_include(trained):
    content = texts(trained, "--include", "lamp", "the door", "--max-words", "30", n=4)
    assert all(stands_in("lamp", text) and stands_in("the door", text) for text in content)
    assert len({text["text"] for text in content}) > 1, "they are drawn"
    assert content == texts(trained, "--include", "lamp", "the door", "--max-words", "30", n=4)


def test_end_with(trained):
    for text in texts(trained, "--end-with", "took a lamp.", "--max-words", "30", n=4):
        assert words(text)[-4:] == ["took", "a", "lamp", "."]
        assert text["text"].endswith("took a lamp.")
        assert text["finish_reason"] == "end_with"


def test_beams(trained):
    content = texts(trained, "--beams", "4", "--max-words", "12", n=4)
    assert len({tuple(words(text)) for text in content}) == 4
    assert content == texts(trained, "--beams", "4", "--max-words", "12", n=4, seed=2), "nothing is drawn"
    assert run("generate", trained, "--beams", "4", "--max-words", "12")[0] == content[0]["text"] + "\n"


def test_all_that_a_text_holds_at_once(trained):
    options = ["--start-with", "Then he", "--end-with", "dog.", "--include", "she", "--ban", "it", "--stop", "Watson"]
    for way in ([], ["--beams", "3"], ["--temperature", "0"]):
        for text in texts(trained, *options, *way, "--max-words", "20", n=1):
            found = words(text)
            assert found[:2] == ["Then", "he"]
            assert found[-2:] == ["dog", "."]
            assert "she" in found
            assert {"it", "Watson"}.isdisjoint(found)


def test_a_searched_text_copies_no_more_than_it_may(trained, story):
    options = ["--include", "lamp", "door", "--against", story, "--max-copy", "2", "--max-words", "25"]
    for text in texts(trained, *options, n=2):
        assert text["longest_copy"] <= 2
        assert stands_in("lamp", text)
        assert stands_in("door", text)


@pytest.mark.parametrize(
    "options",
    [
        ["--include", "lamp", "--cache", "20"],
        ["--include", "lamp", "--repetition-penalty", "2", "--top-p", "0.9", "--typical", "0.9"],
        ["--include", "lamp", "--sentences", "2"],
        ["--include", "lamp", "--min-words", "20"],
        ["--include", "lamp", "--no-repeat-ngram", "2"],
        ["--end-with", "a lamp", "--min-words", "20", "--prompt", "I don't"],
        ["--beams", "3", "--include", "lamp", "--temperature", "0"],
        ["--beams", "3", "--cache", "20", "--start-with", "a lamp"],
    ],
)
def test_a_searched_text_obeys_the_other_options(trained, options):
    options = [*options, "--max-words", "30"]
    (text,) = texts(trained, *options, n=1)
    found = words(text)
    assert "lamp" in found
    assert len(found) <= 30
    assert run("generate", trained, *options, "--seed", "1")[0] == text["text"] + "\n"
    if "--min-words" in options:
        assert len(found) >= 20
    if "--no-repeat-ngram" in options:
        assert len(set(pairwise(found))) == len(found) - 1


@pytest.mark.parametrize("way", ["", "--json", "--probabilities", "-n 3"])
def test_words_that_cannot_be_placed(trained, story, way):
    options = ["--include", "Then he took a lamp", "--against", story, "--max-copy", "2", *way.split()]
    message = fault("generate", trained, *options)
    assert "no text of at most 100 words was found in which 'Then he took a lamp' could be placed" in message


# --- what is said -------------------------------------------------------------------------------------------------


def test_unknown_words_are_said(trained):
    out, err = run("generate", trained, "--prompt", "the blorpy dog", "--seed", "1")
    assert out.startswith("the blorpy dog")
    assert err == "Warning: the model does not know blorpy: read as <unk>\n"
    _, err = run("generate", trained, "--ban", "zork", "Holmes", "--stop", "blorpy", "--seed", "1")
    assert err == "Warning: the model does not know zork, blorpy: nothing to ban or to stop at\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--top-p 1.5", "--top-p must be between 0 and 1, but is 1.5"),
        ("--min-p -1", "--min-p must be between 0 and 1, but is -1.0"),
        ("--typical 2", "--typical must be between 0 and 1, but is 2.0"),
        ("--repetition-penalty 0.5", "--repetition-penalty must be at least 1, but is 0.5"),
        ("--temperature nan --prompt blorpy", "--temperature must be finite, but is nan"),
        ("--temperature -1", "--temperature must be at least 0, but is -1.0"),
        ("--top-k -2", "--top-k must be at least 0, but is -2"),
        ("--max-words 0", "--max-words must be at least 1, but is 0"),
        ("--seed -1", "--seed must be between 0 and "),
        ("--include dog --ban dog", "--include and --ban contradict each other: both have 'dog'; leave one out"),
        ("--end-with dog --stop dog", "--end-with and --stop contradict each other: both have 'dog'"),
        ("--include blorpy", "--include must be words that the model knows, but it does not know 'blorpy'"),
        ("--include holmes", "it does not know 'holmes'; it knows 'Holmes'"),
        ("--start-with blorpy", "--start-with must be words that the model knows"),
        ("--include dog lamp door --max-words 2", "--max-words must leave room for the words to include"),
        ("--stop .dog", "--stop takes single words, but '.dog' is 2 to the model"),
        ("--min-words 9 --max-words 3", "--min-words must be at most --max-words, but is 9 with 3"),
        ("--no-repeat-ngram 1", "--no-repeat-ngram must be 0 or at least 2, but is 1"),
        ("--beams 4 --top-k 3", "--beams looks for the likeliest text and draws nothing: leave out --top-k, which is"),
        ("--beams 2 -n 3", "--beams must be at least the number of texts, which is 3, but is 2"),
        ("--against nowhere.txt", "nowhere.txt: there is no such file or folder"),
        ("--against STORY --max-copy 0", "--max-copy must be at least 1, but is 0"),
        ("--against STORY --lines --pretokenized", "--lines and --pretokenized are two kinds of text"),
        ("--against STORY --encoding klingon", "--encoding must be one that Python knows"),
    ],
)
@pytest.mark.parametrize("way", ["", "--json", "--probabilities"])
def test_bad_options(trained, story, options, says, way):
    message = fault("generate", trained, *split(options, story), *way.split())
    assert says in message
    assert "`" not in message, "an option's name as Python has it"


def test_everything_banned(trained):
    tokens = wordlm.load(trained).vocabulary.tokens[3:]
    assert "--ban leaves no word of the model's" in fault("generate", trained, "--ban", *tokens)
    assert fault("generate", trained, "--ban", "") == "--ban must be words, but one is empty; leave it out"


@pytest.mark.parametrize(
    ("content", "says"),
    [("", "the file is empty"), (" \n", "no text"), ("qqq www", "there is no word to compare with")],
)
def test_nothing_to_compare_with(trained, tmp_path, content, says):
    (tmp_path / "text.txt").write_text(content)
    assert says in fault("generate", trained, "--against", tmp_path / "text.txt")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("-n 0", "Invalid value for '-n': 0 is not in the range x>=1."),
        ("--temperature x", "Invalid value for '--temperature'"),
        ("--seeed 1", "--seed"),
        ("--lowercase", "--lowercase"),
        ("more", "Got unexpected extra argument (more)"),
        ("--ban a -n 3 b", "Got unexpected extra argument (b)"),
        ("--ban --seed 1", "Option '--ban' requires an argument."),
        ("--ban a --unk --stop --json", "Option '--stop' requires an argument."),
    ],
)
def test_wrong_usage_has_the_status_2(options, says):
    out, err = run("generate", "model", *options.split(), status=2)
    assert out == ""
    assert "Usage: " in err
    assert says in err


def test_damaged_weights_with_the_right_hash(trained, tmp_path):
    model = Path(shutil.copytree(trained, tmp_path / "model"))
    with zipfile.ZipFile(model / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    store = io.BytesIO(members["model.weights.h5"])
    with h5py.File(store, "r+") as file:
        kernels = []
        file.visititems(lambda name, item: kernels.append(item) if getattr(item, "ndim", 0) == 2 else None)
        kernels[-1][0, 0] = np.nan
    with zipfile.ZipFile(model / "model.keras", "w") as archive:
        for name, data in (members | {"model.weights.h5": store.getvalue()}).items():
            archive.writestr(name, data)
    metadata = json.loads((model / "metadata.json").read_text())
    metadata["sha256"]["model.keras"] = hashlib.sha256((model / "model.keras").read_bytes()).hexdigest()
    (model / "metadata.json").write_text(json.dumps(metadata))
    message = fault("generate", model)
    assert re.match(r"the weight \S+ must hold finite numbers, but some are NaN or infinite; ", message)


# --- as a process -------------------------------------------------------------------------------------------------


def test_a_text_comes_in_pieces(trained):
    running = process("generate", trained, *ENDLESS, "--seed", "1", text=False, bufsize=0)
    first = running.stdout.read(40)
    assert running.poll() is None, "words are there, and millions are to come"
    running.kill()
    running.communicate()
    (text,) = texts(trained, "--max-words", "60", "--min-words", "60", n=1)
    assert text["text"].encode().startswith(first)


@pytest.mark.parametrize(
    "options", [ENDLESS, ["-n", "5000"], ["-n", "5000", "--json"], ["-n", "5000", "--probabilities"]]
)
def test_a_broken_pipe_ends_quietly(trained, options):
    running = process("generate", trained, *options)
    assert running.stdout.read(10)
    running.stdout.close()
    assert running.stderr.read() == ""
    running.stderr.close()
    running.wait(timeout=60)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("options", [ENDLESS, ["-n", "1000000", "--json"]])
def test_ctrl_c_ends_without_a_traceback(trained, options):
    running = process("generate", trained, *options)
    assert running.stdout.read(10)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.strip() == "Aborted!"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_one_line(trained):
    with open("/dev/full", "w") as full:
        running = process("generate", trained, stdout=full)
    assert running.communicate(timeout=60)[1] == "Error: No space left on device\n"
    assert running.returncode == 1


def test_a_word_that_the_output_cannot_hold(trained):
    running = process(
        "generate",
        trained,
        "--prompt",
        "the “dog",
        "--max-words",
        "3",
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
    )
    err = running.communicate(timeout=60)[1]
    assert "Error: latin-1, the encoding of the output, has no '\\u201c'; set PYTHONIOENCODING=utf-8\n" in err
    assert "Traceback" not in err
