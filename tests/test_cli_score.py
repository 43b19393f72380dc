"""`wordlm score` from end to end."""

import csv
import io
import json
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from command_line import ROOT, fault, process, read_screen, run

import wordlm

COLUMNS = ["sentence_id", "token_id", "token", "surprisal", "entropy", "rank", "oov"]
WORDS = ["sentence_id", "word_id", "word", "start", "end", "surprisal", "oov", "tokens", "document_id"]
TEXT = '"I don\'t see a zebra."  said\nHolmes.\n\nThen she took "it"!\n'
_FIRST, _SECOND = '" I do n\'t see a zebra . " said Holmes . <eos>', 'Then she took " it " ! <eos>'
TOKENS = f"{_FIRST} {_SECOND}".split(" ")


def table(out, separator="\t"):
    lines = [line.split(separator) for line in out.splitlines()]
    assert out.endswith("\n")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_rows(trained, path):
    out, err = run("score", trained, path)
    assert err == ""
    rows = table(out)
    assert list(rows[0]) == COLUMNS
    assert [row["token"] for row in rows] == TOKENS
    assert [row["sentence_id"] for row in rows] == ["1"] * 13 + ["2"] * 8
    assert [row["token_id"] for row in rows] == list(map(str, [*range(1, 14), *range(1, 9)]))
    assert [row["token"] for row in rows if row["oov"] == "1"] == ["zebra"]
    assert {row["oov"] for row in rows} == {"0", "1"}
    lm = wordlm.load(trained)
    V = len(lm.vocabulary)
    assert (column(rows, "entropy") <= math.log2(V)).all()
    assert (column(rows, "rank") <= V).all()
    ids = lm.vocabulary.encode(TOKENS)
    logprobs, _ = lm.engine.run(np.array([[2, *ids[:-1]]]))
    expected = -logprobs[0, range(len(ids)), ids] / math.log(2)
    np.testing.assert_allclose(column(rows, "surprisal"), expected, rtol=1e-4)
    scores = lm.score(TEXT)
    np.testing.assert_allclose(column(rows, "surprisal"), [row.surprisal for row in scores], rtol=1e-8)
    np.testing.assert_allclose(column(rows, "entropy"), [row.entropy for row in scores], rtol=1e-8)


def test_sums_are_those_of_evaluate(trained):
    story = trained.parent / "story.txt"
    for reset in ("sentence", "document", "never"):
        rows = table(run("score", trained, story, "--reset", reset)[0])
        figures = wordlm.load(trained).evaluate(story, reset=reset)
        assert len(rows) == figures.tokens
        assert column(rows, "surprisal").sum() == pytest.approx(figures.bits_per_word * figures.tokens, rel=1e-6)
        assert column(rows, "oov").mean() == pytest.approx(figures.oov_rate)
        words = table(run("score", trained, story, "--reset", reset, "--words")[0])
        assert column(words, "surprisal").sum() == pytest.approx(column(rows, "surprisal").sum(), rel=1e-8)
        assert column(words, "tokens").sum() == len(rows)


def test_words_as_typed(trained, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    rows = table(run("score", trained, path, "--words")[0])
    assert list(rows[0]) == WORDS
    # Line ends are one character, and the byte-order mark none.
    assert [(row["word"], TEXT[int(row["start"]) : int(row["end"])]) for row in rows] == [
        ('"I', '"I'), ("don't", "don't"), ("see", "see"), ("a", "a"), ('zebra."', 'zebra."'), ("said", "said"),
        ("Holmes.", "Holmes."), ("<eos>", ""), ("Then", "Then"), ("she", "she"), ("took", "took"),
        ('"it"!', '"it"!'), ("<eos>", ""),
    ]  # fmt: skip
    assert [row["oov"] for row in rows] == ["0"] * 4 + ["1"] + ["0"] * 8
    assert [row["word_id"] for row in rows] == [*"12345678", *"12345"]
    tokens = table(run("score", trained, path)[0])
    surprisal = column(tokens, "surprisal")
    assert float(rows[4]["surprisal"]) == pytest.approx(surprisal[6:9].sum(), rel=1e-8)


def test_words_of_records(trained, tmp_path):
    texts = ["I see\r\n it.", "  Holmes\n\nsaid"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    rows = table(run("score", trained, tmp_path / "a.jsonl", "--field", "text", "--words")[0])
    for row in rows:
        text = texts[int(row["document_id"]) - 1]
        assert text[int(row["start"]) : int(row["end"])] == row["word"].replace("<eos>", "")
    assert [row["word"] for row in rows if row["word"] != "<eos>"] == ["I", "see", "it.", "Holmes", "said"]


@pytest.mark.parametrize("options", [[], ["--words", "--entropy-reduction"]])
def test_formats_agree(trained, path, options):
    rows = table(run("score", trained, path, *options)[0])
    assert run("score", trained, path, *options, "--format", "tsv")[0] == run("score", trained, path, *options)[0]
    out = run("score", trained, path, *options, "--format", "csv")[0]
    assert "\r" not in out
    assert list(csv.DictReader(io.StringIO(out))) == rows
    assert ',"""' in out
    lines = [json.loads(line) for line in run("score", trained, path, *options, "--format", "jsonl")[0].splitlines()]
    assert json.loads(run("score", trained, path, *options, "--json")[0]) == lines
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert list(line) == list(row)
        assert isinstance(line["oov"], bool)
        for name, value in line.items():
            assert value == row[name] if isinstance(value, str) else value == float(row[name])


def test_entropy_reduction(trained, path):
    rows = table(run("score", trained, path, "--entropy-reduction")[0])
    assert list(rows[0]) == [*COLUMNS, "entropy_reduction"]
    entropy, reduction = column(rows, "entropy"), column(rows, "entropy_reduction")
    np.testing.assert_allclose(reduction[:-1], np.maximum(0, entropy[:-1] - entropy[1:]), atol=1e-4)


def test_ngrams(trained, path):
    story = trained.parent / "story.txt"
    for options, tokens in [([], TOKENS), (["--words"], TOKENS)]:
        out, _ = run("score", trained, path, "--ngram", "--train", story, "--format", "jsonl", *options)
        rows = [json.loads(line) for line in out.splitlines()]
        assert list(rows[0]) == [*(WORDS if options else COLUMNS), "ngram_surprisal"]
        lm = wordlm.load(trained)
        ngram = lm.fit_ngram(story)
        expected = -ngram.target_logprobs(np.array(lm.vocabulary.encode(tokens))).sum() / math.log(2)
        assert sum(row["ngram_surprisal"] for row in rows) == pytest.approx(expected, rel=1e-7)


def test_the_mixture_answers(trained, path, tmp_path):
    story = trained.parent / "story.txt"
    shutil.copytree(trained, tmp_path / "model")
    assert "--mix" in fault("score", tmp_path / "model", path, "--mix", "--train", story)
    lm = wordlm.load(tmp_path / "model")
    lm.tune_mixture(story, train=story)
    rows = table(run("score", tmp_path / "model", path, "--mix", "--train", story)[0])
    figures = lm.evaluate(path, mix=True, train=story)
    assert column(rows, "surprisal").sum() == pytest.approx(figures.bits_per_word * len(rows), rel=1e-6)
    plain = table(run("score", trained, path)[0])
    assert column(rows, "surprisal").sum() != pytest.approx(column(plain, "surprisal").sum(), rel=1e-3)


def test_unknown_words_are_read_by_their_vectors(trained, path):
    plain = table(run("score", trained, path)[0])
    rows = table(run("score", trained, path, "--vectors", "glove-6b-50d")[0])
    at = TOKENS.index("zebra")
    np.testing.assert_allclose(column(rows, "surprisal")[: at + 1], column(plain, "surprisal")[: at + 1], rtol=1e-5)
    assert rows[at]["oov"] == "1"
    assert float(rows[at + 1]["surprisal"]) != pytest.approx(float(plain[at + 1]["surprisal"]), rel=1e-6)


def test_stdin_and_one_word(trained):
    rows = table(run("score", trained, "-", input="Holmes\n")[0])
    assert [row["token"] for row in rows] == ["Holmes", "<eos>"]
    rows = table(run("score", trained, "-", input="Aardvark zebra\n")[0])
    assert [(row["token"], row["oov"]) for row in rows] == [("Aardvark", "1"), ("zebra", "1"), ("<eos>", "0")]
    lm = wordlm.load(trained)
    assert lm.score("Aardvark")[0].surprisal == pytest.approx(lm.score("zebra")[0].surprisal)


def test_pretokenized_lines(trained, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("I do n't\n\n<unk> \"\u00a0, é\n")
    rows = table(run("score", trained, path, "--pretokenized")[0])
    assert [row["token"] for row in rows] == ["I", "do", "n't", "<eos>", "<eos>", "<unk>", '"\u00a0,', "é", "<eos>"]
    assert [row["oov"] for row in rows] == list("000001110")
    words = table(run("score", trained, path, "--pretokenized", "--words")[0])
    assert [row["word"] for row in words] == [row["token"] for row in rows]
    assert [row["start"] for row in words] == ["0", "2", "5", "8", "9", "10", "16", "20", "21"]


def test_faults_come_before_any_row(trained, path, tmp_path):
    blank = tmp_path / "blank.txt"
    blank.write_text("\n \n\t\n")
    for kind in ([], ["--lines"]):
        assert "no text, only white space" in fault("score", trained, blank, *kind)
    # A blank line of tokens is an <eos>: that much there was to score.
    out, err = run("score", trained, blank, "--pretokenized", status=1)
    assert [row["token"] for row in table(out)] == ["<eos>"] * 3
    assert "no text, only white space" in err
    assert "there is no such file" in fault("score", trained, tmp_path / "none.txt")
    assert "not a saved model" in fault("score", tmp_path, path)
    assert "give one of them" in fault("score", trained, path, "--json", "--format", "csv")
    assert "give one of them" in fault("score", trained, path, "--lines", "--pretokenized")
    assert "`" not in fault("score", trained, path, "--train", path)
    assert "--train" in fault("score", trained, path, "--train", path)
    assert "--train" in fault("score", trained, path, "--ngram")
    assert "--field" in fault("score", trained, path, "--field", "text")


def test_what_was_good_is_printed_before_a_fault(trained, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "I see it."}\n' * 2000 + "{\n")
    for form in ("tsv", "csv", "jsonl"):
        out, err = run("score", trained, path, "--field", "text", "--format", form, status=1)
        assert "line 2001: not a JSON object" in err
        assert err.count("\n") == 1
        assert len(out.splitlines()) > 100


def test_a_closed_pipe_is_no_fault(trained, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text((trained.parent / "story.txt").read_text() * 10)  # more rows than a pipe holds
    for form in ("tsv", "csv", "jsonl"):
        scoring = process("score", trained, path, "--format", form)
        scoring.stdout.readline()
        scoring.stdout.close()
        assert scoring.stderr.read() == ""
        scoring.wait()
        scoring.stderr.close()


def test_progress_is_for_a_terminal_that_shows_no_rows(trained, path):
    for out_too in (False, True):
        ours, theirs = os.openpty()
        with process("score", trained, path, stderr=theirs, stdout=theirs if out_too else subprocess.PIPE):
            os.close(theirs)
            screen = read_screen(ours).decode()
            os.close(ours)
        assert ("scoring, words: " in screen) is not out_too
        assert ("zebra" in screen) is out_too


def test_keras_and_pandas_are_not_loaded(trained, path):
    code = (
        "import sys; from wordlm.cli import main\n"
        f"try: main(['score', {str(trained)!r}, {str(path)!r}, '--words'])\n"
        "except SystemExit: pass\n"
        "print({'tensorflow', 'keras', 'gensim', 'pandas', 'rich', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_help_names_every_column():
    out, _ = run("score", "--help")
    for name in [*COLUMNS, *WORDS, "entropy_reduction", "ngram_surprisal"]:
        assert name in out
