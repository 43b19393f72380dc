"""`wordlm compare`, end to end: the table, the JSON, the forms of the pairs, and what is said of bad ones."""

import dataclasses
import gzip
import json
import os
import re

import numpy as np
import pytest
from command_line import fault, process, read_screen, run

import wordlm
from wordlm.minimal_pairs import Comparison, GroupResult
from wordlm.open_vocabulary import usual_vectors
from wordlm.pairs import Pair
from wordlm.vocab import EOS

PAIRS = [
    Pair("order", "Then he took it.", "he Then took it."),
    Pair("order", "Then she took a lamp.", "she Then took a lamp."),
    Pair("order", "Then Holmes took the dog.", "Then Holmes took dog the."),
    Pair("marks", "Then Watson took it.", "Then Watson took it?"),
    Pair("marks", "Then he took it.", "Then he took it!"),
    Pair("marks", "Then Moriarty took it.", "Then Moriarty took it!"),
    Pair("none", "Then he vanished.", "Then he vanish."),
    Pair("tie", "Then he took it.", "Then he took it."),
]
ROWS = "".join(f"{pair.group}\t{pair.good}\t{pair.bad}\n" for pair in PAIRS)


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(ROWS)
    return path


def figures(*arguments, **settings):
    out, err = run("compare", *arguments, "--json", **settings)
    assert err == ""
    assert out.count("\n") == 1
    return json.loads(out)


def likelihood(lm, text):
    """By a plain loop."""
    ids = lm.vocabulary.encode(lm.tokenizer.tokenize(text))
    score, state = 0.0, lm.engine.initial_state(1)
    for word, following in zip([EOS, *ids], [*ids, EOS], strict=True):
        logprobs, state = lm.engine.step([word], state)
        score += float(logprobs[0, following])
    return score


# --- what comes out -----------------------------------------------------------------------------------------------


def test_the_figures(trained, pairs):
    content = figures(trained, pairs)
    assert list(content) == [field.name for field in dataclasses.fields(Comparison)]
    assert list(content["groups"][0]) == [field.name for field in dataclasses.fields(GroupResult)]
    lm = wordlm.load(trained)
    is_right = [likelihood(lm, pair.good) > likelihood(lm, pair.bad) for pair in PAIRS]
    by_group = {group["group"]: group for group in content["groups"]}
    assert list(by_group) == ["order", "marks", "none", "tie"]
    assert by_group["order"]["accuracy"] == pytest.approx(np.mean(is_right[:3]))
    assert by_group["marks"]["accuracy"] == pytest.approx(np.mean(is_right[3:5]))
    assert by_group["none"] == {
        "group": "none", "accuracy": None, "low": None, "high": None, "pairs": 0, "left_out": 1,
    }  # fmt: skip
    assert by_group["tie"]["accuracy"] == 0
    assert content["accuracy"] == pytest.approx(np.mean([*is_right[:5], False]))
    assert content["mean_accuracy"] == pytest.approx(np.mean([np.mean(is_right[:3]), np.mean(is_right[3:5]), 0]))
    assert (content["pairs"], content["left_out"], content["ties"]) == (6, 2, 1)
    assert content["unknown"] == [{"word": word, "pairs": 1} for word in ("Moriarty", "vanished", "vanish")]


def test_the_python_name_gives_the_same(trained, pairs):
    found = dataclasses.asdict(wordlm.load(trained).compare(PAIRS))
    content = figures(trained, pairs)
    assert [tuple(item.values()) for item in content.pop("unknown")] == found.pop("unknown")
    assert content == found


def test_the_table_has_the_figures(trained, pairs):
    out, err = run("compare", trained, pairs)
    content = figures(trained, pairs)
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "group"
    rows = [re.split(r" {2,}", line) for line in lines]
    assert rows[0] == ["group", "accuracy", "95 % interval", "pairs", "left out"]
    assert [row[0] for row in rows[1:]] == ["order", "marks", "none", "tie", "all pairs", "mean of the groups"]
    for row, group in zip(rows[1:], [*content["groups"], content], strict=False):
        if group["pairs"]:
            interval = f"{group['low']:.1%} - {group['high']:.1%}"
            assert row[1:] == [f"{group['accuracy']:.1%}", interval, str(group["pairs"]), str(group["left_out"])]
    assert rows[3] == ["none", "-", "0", "1"]
    assert rows[-1][1:] == [f"{content['mean_accuracy']:.1%}"]
    # Figures stand below each other, and under the ends of their headings.
    assert len({len(line) for line in lines[:-1]}) == 1
    assert err.splitlines() == [
        "Warning: the model does not know Moriarty (in 1 pair), vanished (1), vanish (1): 2 pairs left out",
        "Warning: in 1 pair both sentences are equally likely, which is no success",
    ]


def test_pairs_with_unknown_words_count_if_asked_for(trained, pairs):
    content = figures(trained, pairs, "--include-unknown")
    assert (content["pairs"], content["left_out"]) == (8, 0)
    assert content["groups"][2]["pairs"] == 1
    err = run("compare", trained, pairs, "--include-unknown")[1]
    assert "Moriarty (in 1 pair), vanished (1), vanish (1): all pairs count all the same" in err


def test_nothing_is_said_where_all_is_known(trained):
    assert run("compare", trained, "-", input="a\tThen he took it.\the Then took it.\n")[1] == ""


# --- the pairs ----------------------------------------------------------------------------------------------------


def test_forms_of_the_pairs(trained, pairs, tmp_path):
    expected = figures(trained, pairs)
    packed = tmp_path / "pairs.tsv.gz"
    packed.write_bytes(gzip.compress(ROWS.encode()))
    assert figures(trained, packed) == expected
    records = tmp_path / "pairs.jsonl"
    records.write_text("".join(json.dumps(vars(pair)) + "\n" for pair in PAIRS))
    assert figures(trained, records) == expected
    assert figures(trained, "-", input=ROWS) == expected
    assert figures(trained, "-", input=records.read_text()) == expected


def test_columns(trained, pairs, tmp_path):
    path = tmp_path / "named.tsv"
    rows = [f"{pair.bad}\t{number}\t{pair.group}\t{pair.good}\n" for number, pair in enumerate(PAIRS)]
    path.write_text("".join(["ungrammatical\tkey\ttest\tgrammatical\n", *rows]))
    assert figures(trained, path, "--columns", "test, grammatical, ungrammatical") == figures(trained, pairs)


def test_many_files(trained, pairs, tmp_path):
    (tmp_path / "more.jsonl").write_text(json.dumps(vars(PAIRS[0])))
    for arguments in ([pairs, tmp_path / "more.jsonl"], [f"{tmp_path}/*"]):
        assert figures(trained, *arguments)["pairs"] == 7


@pytest.mark.slow
def test_the_real_pairs(trained, shared_data):
    path = shared_data / "probes" / "marvin_linzen.tsv.gz"
    out, err = run("compare", trained, path, "--columns", "test,grammatical,ungrammatical", "--json")
    assert err.startswith("Warning: no pair counts: give --include-unknown")
    content = json.loads(out)
    # The small model knows next to none of their words.
    assert content["pairs"] + content["left_out"] == 158_084
    assert {"simple_agrmt", "reflexives_across", "npi_across_anim"} <= {group["group"] for group in content["groups"]}
    assert len(content["unknown"]) == 10


# --- what is said of bad ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [True, False])
def test_a_bad_line_leaves_what_is_before_it(trained, pairs, as_json):
    pairs.write_text(ROWS + "order\tThen he took it.\n" + ROWS)
    options = ["--json"] if as_json else []
    out, err = run("compare", trained, pairs, *options, status=1)
    line = err.splitlines()[-1]
    assert line.startswith(
        f"Error: {pairs}, line 9: expected 3 columns apart by tabs, as in the first line, but found 2"
    )
    assert line.endswith("mend or remove the line; the results are those of the 8 pairs before it")
    pairs.write_text(ROWS)
    assert out == run("compare", trained, pairs, *options)[0]


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("he took it\n", [], "line 1: expected three columns apart by tabs"),
        ("he took it\n", [], "or say how a header names the three, with --columns"),
        (
            ROWS,
            ["--columns", "a,b"],
            "--columns must be three different names, of group, good and bad sentence, but are",
        ),
        (ROWS, ["--columns", ""], "--columns must be three different names"),
        (ROWS, ["--columns", "a,b,c"], "line 1: the header must name the --columns, but has no 'a'"),
        ("group\tgood\tbad\n", [], "no pairs, only a header"),
        ("", [], "the file is empty"),
    ],
)
def test_faults(trained, pairs, content, options, says):
    pairs.write_text(content)
    assert says in fault("compare", trained, pairs, *options)


def test_what_is_not_there(trained, pairs, tmp_path):
    assert "there is no model at" in fault("compare", tmp_path / "nothing", pairs)
    assert "there is no such file" in fault("compare", trained, tmp_path / "nothing.tsv")
    assert "a folder; give a file of pairs" in fault("compare", trained, tmp_path)
    assert "PAIRS..." in run("compare", trained, status=2)[1]


def test_words_are_read_by_their_vectors(trained, pairs):
    vectors = usual_vectors(wordlm.load(trained).metadata)
    if not vectors:
        pytest.skip("needs the packaged vectors")
    content = figures(trained, pairs, "--vectors", vectors)
    # All unknown words have one, but only Moriarty is in both sentences of a pair.
    counted = {group["group"]: group["pairs"] for group in content["groups"]}
    assert counted == {"order": 3, "marks": 3, "none": 0, "tie": 1}
    assert "there are no vectors 'some.txt'" in fault("compare", trained, pairs, "--vectors", "some.txt")


def test_encoding(trained, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes("é\tThen he took it.\the Then took it.\n".encode("latin-1"))
    assert "pass --encoding" in fault("compare", trained, path).replace("`", "")
    (group,) = figures(trained, path, "--encoding", "latin-1")["groups"]
    assert group["group"] == "é"


def test_groups_are_shown_without_control_characters(trained):
    row = "a\x1b[31m\x9bb\u2028 c\tThen he \x1btook it.\the Then took it.\n"
    out, err = run("compare", trained, "-", "--include-unknown", input=row)
    assert out.splitlines()[1].startswith("a[31mb c ")
    assert "\x1b" not in err
    assert figures(trained, "-", "--include-unknown", input=row)["groups"][0]["group"] == row.partition("\t")[0]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_to_do_where_no_pair_counts(trained, options):
    _, err = run("compare", trained, "-", *options, input="a\tZoe\tEve\n")
    assert err.splitlines()[-1] == (
        "Warning: no pair counts: give --include-unknown, or sentences that are split as the model's text was"
    )
    if not options:
        assert err.startswith("Warning: the model does not know Zoe (in 1 pair), Eve (1): 1 pair left out\n")


def test_one_pair_before_a_fault(trained, pairs):
    pairs.write_text("a\the\tit\nb\n")
    assert "those of the 1 pair before it" in run("compare", trained, pairs, status=1)[1]


# --- the process --------------------------------------------------------------------------------------------------


def test_progress_on_a_terminal_goes_away(trained, pairs):
    leader, follower = os.openpty()
    with process("compare", trained, pairs, stderr=follower) as running:
        os.close(follower)
        screen = read_screen(leader).decode()
        out = running.stdout.read()
    os.close(leader)
    assert out == run("compare", trained, pairs)[0]
    assert "comparing, pairs: " in screen
    assert screen.split("\x1b[K")[-1].strip().startswith("Warning: the model does not know")


def test_help():
    out, _ = run("compare", "--help")
    assert "50 %" in out
    assert "--columns GROUP,GOOD,BAD" in out
