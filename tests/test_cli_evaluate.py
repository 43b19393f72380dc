"""`wordlm evaluate`, end to end: the table, the JSON, what each option does, one line for each fault."""

import dataclasses
import gzip
import json
import re
import shutil

import pytest
from command_line import fault, run

import wordlm
from wordlm import cli_evaluate, cli_options
from wordlm.evaluation import Evaluation
from wordlm.mixture import PARTS
from wordlm.scoring import RESETS

KEYS = [field.name for field in dataclasses.fields(Evaluation)]
OF_THE_DESIGN = [
    "perplexity",
    "perplexity_without_oov",
    "bits_per_word",
    "bits_per_character",
    "tokens",
    "oov_rate",
    "top1",
    "top3",
    "top5",
    "keystroke_savings",
    "baselines",
]


@pytest.fixture
def story(trained):
    """What the model was trained on."""
    return trained.parent / "story.txt"


@pytest.fixture
def own(trained, tmp_path):
    """A copy of the model, to write to."""
    return shutil.copytree(trained, tmp_path / "model")


@pytest.fixture
def bare(own):
    """A copy of the model without n-grams of its own."""
    for path in own.glob("*ngram*"):
        path.unlink()
    return own


def figures(*arguments):
    out, err = run("evaluate", *arguments, "--json")
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out)


def write(path, text):
    path.write_text(text)
    return path


# --- what comes out -----------------------------------------------------------------------------------------------


def test_json_has_the_figures_by_their_names(trained, story):
    found = figures(trained, story)
    assert list(found) == KEYS
    assert set(OF_THE_DESIGN) <= set(found)
    assert list(found["baselines"]) == ["unigram", "kneser_ney"]
    assert found["parts"] is None
    assert found["mixture"] is None
    assert found == dataclasses.asdict(wordlm.load(trained).evaluate(story))


def test_the_table_says_the_same(trained, story):
    found = figures(trained, story)
    out, err = run("evaluate", trained, story)
    assert err == ""
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    values = {row[0]: row[1] for row in rows}
    assert values["perplexity"] == f"{found['perplexity']:,.1f}"
    assert values["without unknown words"] == f"{found['perplexity_without_oov']:,.1f}"
    assert values["bits a word"] == f"{found['bits_per_word']:.3f}"
    assert values["bits a character"] == f"{found['bits_per_character']:.3f}"
    assert values["tokens"] == f"{found['tokens']:,}"
    assert values["unknown words"] == f"{found['oov_rate']:.1%}"
    assert values["right at first guess"] == f"{found['top1']:.1%}"
    assert values["among the first 3"] == f"{found['top3']:.1%}"
    assert values["among the first 5"] == f"{found['top5']:.1%}"
    assert values["keys saved"] == f"{found['keystroke_savings']:.1%}"
    assert values["calibration error"] == f"{found['calibration_error']:.1%}"
    assert max(map(len, out.splitlines())) <= 80


def test_the_table_is_aligned(trained, story):
    out, _ = run("evaluate", trained, story, "--train", story)
    lines = out.splitlines()
    ends = {re.match(r"\s*\S+(?: \S+)*\s{2,}\S+", line).end() for line in lines}
    assert len(ends) == 1
    assert all(line == line.rstrip() for line in lines)


def test_yardsticks(bare, story, tmp_path):
    text = write(tmp_path / "new.txt", "Then Holmes took the lamp. He said it.\n\nWatson took a dog!\n")
    found = figures(bare, text, "--train", story)
    lm = wordlm.load(bare)
    assert found["baselines"] == lm.evaluate(text, train=story).baselines
    assert all(1 < value < len(lm.vocabulary) * 10 for value in found["baselines"].values())
    out, _ = run("evaluate", bare, text, "--train", story)
    assert f"{found['baselines']['unigram']:,.1f}" in re.search(r"^ *unigram .*", out, re.MULTILINE)[0]
    assert f"{found['baselines']['kneser_ney']:,.1f}" in re.search(r"^ *Kneser-Ney .*", out, re.MULTILINE)[0]
    # Nothing to compare with, nothing said.
    assert figures(bare, text)["baselines"] == {"unigram": None, "kneser_ney": None}
    assert "unigram" not in run("evaluate", bare, text)[0]


def test_training_texts_in_several_files(bare, story, tmp_path):
    paragraphs = story.read_text().split("\n\n")
    parts = [write(tmp_path / f"{n}.txt", "\n\n".join(paragraphs[n::2])) for n in (0, 1)]
    both = figures(bare, story, "--train", *parts)["baselines"]
    assert both == pytest.approx(figures(bare, story, "--train", story)["baselines"])
    assert both != figures(bare, story, "--train", parts[0])["baselines"]


def test_the_mixture(own, story, tmp_path):
    valid = write(tmp_path / "valid.txt", "The lamp! Holmes said. Then she took the lamp.\n" * 3)
    assert "mixture" not in wordlm.load(own).metadata
    tuned = figures(own, story, "--train", story, "--tune", valid)
    assert list(tuned["parts"]) == list(PARTS)
    weights = [tuned["mixture"][name] for name in PARTS]
    assert sum(weights) == pytest.approx(1)
    assert tuned["parts"]["lstm"] == pytest.approx(figures(own, story)["perplexity"], rel=1e-4)
    assert tuned["parts"]["kneser_ney"] == pytest.approx(tuned["baselines"]["kneser_ney"], rel=1e-4)
    # The shares are kept, and used when they are asked for.
    assert wordlm.load(own).metadata["mixture"] == tuned["mixture"]
    assert figures(own, story, "--train", story, "--mix") == tuned
    assert figures(own, story, "--train", story)["mixture"] is None
    out, _ = run("evaluate", own, story, "--train", story, "--mix")
    labels = {"lstm": "network alone", "kneser_ney": "Kneser-Ney alone", "cache": "cache on the network"}
    for name, label in labels.items():
        line = re.search(rf"^ *{label} .*", out, re.MULTILINE)[0]
        assert f" {tuned['parts'][name]:,.1f} " in line
        assert f"{tuned['mixture'][name]:.1%} of the mixture" in line


# --- how the texts are read -------------------------------------------------------------------------------------


def test_several_texts_are_several_documents(trained, tmp_path):
    one = write(tmp_path / "one.txt", "Holmes took a lamp.\n\nThe dog!\n")
    two = write(tmp_path / "two.txt", "I don't see it.\n")
    perplexities = {reset: figures(trained, one, two, "--reset", reset)["perplexity"] for reset in RESETS}
    assert len(set(perplexities.values())) == 3
    assert figures(trained, one, two)["perplexity"] == perplexities["document"]
    # As one file, it is one document.
    both = write(tmp_path / "both.txt", one.read_text() + "\n" + two.read_text())
    assert figures(trained, both)["perplexity"] == pytest.approx(perplexities["never"])
    apart = [figures(trained, path) for path in (one, two)]
    bits = sum(found["bits_per_word"] * found["tokens"] for found in apart)
    together = figures(trained, one, two)
    assert together["tokens"] == sum(found["tokens"] for found in apart)
    assert together["bits_per_word"] * together["tokens"] == pytest.approx(bits)


def test_resets_are_those_of_the_scoring():
    assert cli_options.RESETS == RESETS


def test_kinds_of_texts(trained, tmp_path):
    text = write(tmp_path / "lines.txt", "Holmes took a lamp .\nThe dog !\n")
    assert figures(trained, text)["tokens"] == 9
    assert figures(trained, text, "--lines")["tokens"] == 10
    assert figures(trained, text, "--pretokenized")["tokens"] == 10
    with gzip.open(tmp_path / "lines.txt.gz", "wt") as file:
        file.write(text.read_text())
    assert figures(trained, tmp_path / "lines.txt.gz") == figures(trained, text)
    rows = write(tmp_path / "rows.csv", 'number,line\n1,"Holmes took a lamp ."\n2,The dog !\n')
    assert figures(trained, rows, "--field", "line")["tokens"] == 10


def test_the_standard_input(trained):
    out, _ = run("evaluate", trained, "-", "--json", input="Holmes took a lamp.\n")
    assert json.loads(out)["tokens"] == 6


def test_unknown_words(trained, tmp_path):
    text = write(tmp_path / "text.txt", "Blorpy xyzzy\n\nplugh\n")
    found = figures(trained, text)
    assert found["oov_rate"] == pytest.approx(3 / 5)
    assert found["perplexity_without_oov"] > 1
    assert found["keystroke_savings"] == 0
    assert "60.0%" in run("evaluate", trained, text)[0]


def test_unknown_words_are_read_by_their_vectors(trained, tmp_path):
    text = write(tmp_path / "text.txt", "Holmes took a giraffe. Then he took the giraffe.\n")
    plain, read = figures(trained, text), figures(trained, text, "--vectors", "glove-6b-50d")
    assert read["oov_rate"] == plain["oov_rate"] > 0
    assert read["perplexity"] != plain["perplexity"]


def test_what_is_infinite_is_null():
    assert cli_evaluate._finite({"a": float("inf"), "b": {"c": float("nan"), "d": 1.5}, "e": None}) == {
        "a": None,
        "b": {"c": None, "d": 1.5},
        "e": None,
    }


# --- faults -----------------------------------------------------------------------------------------------------


def test_faults(trained, bare, story, tmp_path):
    assert "nothing.txt" in fault("evaluate", trained, "nothing.txt")
    assert "there is no model at nowhere" in fault("evaluate", "nowhere", story)
    empty = write(tmp_path / "empty.txt", "")
    assert "empty.txt" in fault("evaluate", trained, empty)
    assert "empty.txt" in fault("evaluate", trained, story, "--train", empty)
    assert "no text" in fault("evaluate", trained, write(tmp_path / "blank.txt", "\n \n"))
    assert "two kinds of text" in fault("evaluate", trained, story, "--lines", "--pretokenized")
    assert "nothing.txt" in fault("evaluate", trained, story, "--train", story, "nothing.txt")
    assert "--train" in fault("evaluate", bare, story, "--tune", story)
    assert "--tune" in fault("evaluate", bare, story, "--train", story, "--mix")
    assert "mixture" not in wordlm.load(bare).metadata


@pytest.mark.parametrize(
    "arguments", [[], ["DIR"], ["DIR", "a.txt", "--reset", "paragraph"], ["DIR", "a.txt", "--mixed"]]
)
def test_wrong_usage_has_the_status_2(arguments):
    out, err = run("evaluate", *arguments, status=2)
    assert "Usage: " in out + err


def test_help_names_every_option_and_an_example():
    out, _ = run("evaluate", "--help")
    for option in [
        "--reset",
        "--train",
        "--vectors",
        "--json",
        "--mix",
        "--tune",
        "--lines",
        "--pretokenized",
        "--encoding",
        "--field",
    ]:
        assert option in out
    assert "wordlm evaluate models/book" in out


def test_how_texts_are_read_holds_for_the_training_text_but_for_its_kind(own, tmp_path):
    text, train = tmp_path / "text.jsonl", tmp_path / "train.csv"
    text.write_text('{"body": "I don\'t see it."}\n')
    train.write_text('number,body\n1,"he took a lamp."\n')
    options = ("--train", train, "--field", "body", "--json")
    assert json.loads(run("evaluate", own, text, *options)[0])["baselines"]["unigram"] > 1
    plain = tmp_path / "plain.txt"
    plain.write_text("he took a lamp.\n")
    assert json.loads(run("evaluate", own, text, "--train", plain, *options[2:])[0])["baselines"]["unigram"] > 1
