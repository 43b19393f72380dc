"""`wordlm vectors`: coverage, neighbours, conversion, training, and one line for each fault."""

import json
import re

import pytest
from command_line import fault, run


def test_vectors_of_a_text(book, tmp_path):
    out, err = run("vectors", "train", book, "--out", tmp_path / "v", "--embedding-dim", "4", "--epochs", "2")
    assert re.fullmatch(r".*v: \d+ words\n", out)
    assert "word vectors: epoch 2 of 2" in err
    assert "--overwrite" in fault("vectors", "train", book, "--out", tmp_path / "v")
    near = json.loads(run("vectors", "nearest", "dog", "--vectors", tmp_path / "v", "-k", "3", "--json")[0])
    assert [list(item) for item in near] == [["word", "cosine"]] * 3
    out, _ = run("vectors", "nearest", "dog", "--vectors", tmp_path / "v", "-k", "3")
    assert [line.split()[1] for line in out.splitlines()] == [item["word"] for item in near]
    covered = json.loads(run("vectors", "coverage", book, "--vectors", tmp_path / "v", "--json")[0])
    assert list(covered) == ["vectors", "types", "tokens", "missing"]
    assert covered["tokens"] == 1.0


@pytest.fixture
def small(tmp_path):
    """A file of three vectors."""
    path = tmp_path / "small.txt"
    path.write_text("the 1 2\ndog 2 1\nlamp -3 3\n")
    return path


def test_converted_vectors(small, tmp_path):
    out, err = run("vectors", "convert", small, tmp_path / "v")
    assert (out, err) == (f"{tmp_path / 'v'}\n", "")
    assert run("vectors", "nearest", "the", "--vectors", tmp_path / "v", "-k", "1")[0] == "0.800  dog\n"
    assert "--overwrite" in fault("vectors", "convert", small, tmp_path / "v")
    out, err = run("vectors", "convert", small, tmp_path / "v", "--overwrite", "--json")
    assert json.loads(out) == {"vectors": str(tmp_path / "v"), "warnings": []}


def test_what_a_text_lacks_is_said(small, book):
    out, err = run("vectors", "coverage", book, "--vectors", small)
    first, *missing = out.splitlines()
    assert re.fullmatch(r".*small\.txt: [\d.]+% of the words, [\d.]+% of the tokens", first)
    assert missing[0].split()[1] not in ("the", "dog", "lamp")
    counts = [int(line.split()[0]) for line in missing]
    assert counts == sorted(counts, reverse=True)
    assert "\nWarning: only " in err
    with_json = json.loads(run("vectors", "coverage", book, "--vectors", small, "--json")[0])
    assert [word for word, _ in with_json["missing"]] == [line.split()[1] for line in missing]


def test_options_of_reading_reach_the_text(small, tmp_path):
    (tmp_path / "rows.csv").write_text('number,line\n1,"The dog"\n')
    arguments = ["vectors", "coverage", tmp_path / "rows.csv", "--vectors", small, "--json"]
    found = json.loads(run(*arguments, "--field", "line", "--lowercase")[0])
    assert found["tokens"] == 1.0
    assert "--field NAME" in fault(*arguments)
    assert "two kinds of text" in fault(*arguments, "--lines", "--pretokenized")


def test_faults_of_vectors(book):
    assert "no vector for 'qqqqzz'" in fault("vectors", "nearest", "qqqqzz")
    assert "nothing.txt" in fault("vectors", "nearest", "dog", "--vectors", "nothing.txt")
    assert "nothing.txt" in fault("vectors", "coverage", book, "--vectors", "nothing.txt")
    assert fault("vectors", "coverage", book, "--vectors", "none").startswith("--vectors must be")
    assert "nothing.txt" in fault("vectors", "coverage", "nothing.txt")
    assert fault("vectors", "train", book, "--out", "v", "--epochs", "0") == "--epochs must be at least 1, but is 0"
    assert "--min-count 9999" in fault("vectors", "train", book, "--out", "v", "--min-count", "9999")


@pytest.mark.parametrize("arguments", ["", "nearest", "nearest dog -k 0", "convert a", "train text.txt", "coverage"])
def test_wrong_usage_has_the_status_2(arguments):
    out, err = run("vectors", *arguments.split(), status=2)
    assert "Usage: " in out + err
