"""`wordlm vectors`: coverage, neighbours, conversion, training, and one line for each fault."""

import json
import re

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


def test_converted_vectors(tmp_path):
    (tmp_path / "v.txt").write_text("the 1 2\ndog 2 1\nlamp -3 3\n")
    out, err = run("vectors", "convert", tmp_path / "v.txt", tmp_path / "v")
    assert (out, err) == (f"{tmp_path / 'v'}\n", "")
    assert run("vectors", "nearest", "the", "--vectors", tmp_path / "v", "-k", "1")[0] == "0.800  dog\n"


def test_faults_of_vectors(book):
    assert "no vector for 'qqqqzz'" in fault("vectors", "nearest", "qqqqzz")
    assert "nothing.txt" in fault("vectors", "nearest", "dog", "--vectors", "nothing.txt")
    assert "nothing.txt" in fault("vectors", "coverage", book, "--vectors", "nothing.txt")
    assert fault("vectors", "coverage", book, "--vectors", "none").startswith("--vectors must be")
    assert "nothing.txt" in fault("vectors", "coverage", "nothing.txt")
