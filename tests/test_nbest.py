"""N-best lists out of files: both forms, what is kept of them, and lines that are none."""

import doctest
import gzip
import io
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import nbest
from wordlm.errors import OptionError, TextError
from wordlm.nbest import Hypothesis, ListFault, read_nbest


def test_the_examples_hold():
    failed, attempted = doctest.testmod(nbest)
    assert attempted
    assert failed == 0


def written(folder, content, name="n.txt"):
    path = folder / name
    path.write_bytes(content.encode())
    return path


def read(folder, content, name="n.txt"):
    return list(read_nbest(written(folder, content, name)))


# --- both forms ---------------------------------------------------------------------------------------------------


def test_lines_of_fields(tmp_path):
    assert read(tmp_path, "u1 ||| it was dark ||| -3.5\nu1|||it was|||1e1\nu2 |||  ||| 0\n") == [
        Hypothesis("u1", "it was dark", -3.5),
        Hypothesis("u1", "it was", 10.0),
        Hypothesis("u2", "", 0.0),
    ]


def test_further_fields_stand_before_the_score(tmp_path):
    (hypothesis,) = read(tmp_path, "0 ||| das Haus ||| LM0= -12.5 WP0= -2 ||| 0-0 1-1 ||| -7.25\n")
    assert hypothesis == Hypothesis("0", "das Haus", -7.25)
    assert hypothesis.source == ("0", "das Haus", "LM0= -12.5 WP0= -2", "0-0 1-1", "-7.25")


def test_json_lines(tmp_path):
    records = [
        {"id": "u1", "hypothesis": "it ||| was", "score": -3.5, "start": [1, 2]},
        {"score": 2, "hypothesis": "", "id": 7},
    ]
    found = read(tmp_path, "".join(f" {json.dumps(record)}\n" for record in records), "n.jsonl")
    assert found == [Hypothesis("u1", "it ||| was", -3.5), Hypothesis("7", "", 2.0)]
    assert [hypothesis.source for hypothesis in found] == records


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_and_other_line_ends_do_no_harm(tmp_path, end):
    lines = ["", "a ||| one ||| 1", "  ", "", "a ||| two ||| 2"]
    assert [one.text for one in read(tmp_path, end.join(lines))] == ["one", "two"]
    records = ["", '{"id": 1, "hypothesis": "one", "score": 1}', " "]
    assert [one.text for one in read(tmp_path, end.join(records))] == ["one"]


def test_characters_that_end_lines_elsewhere_do_not_here(tmp_path):
    (hypothesis,) = read(tmp_path, "a ||| one\u2028two\x85three\x0cfour ||| 1\n")
    assert hypothesis.text == "one\u2028two\x85three\x0cfour"


def test_lines_run_over_the_chunks_of_reading(tmp_path):
    content = "".join(f"u{number // 10} ||| word number {number} ||| -{number}\n" for number in range(20_000))
    assert len(content) > 1 << 19
    found = read(tmp_path, content)
    assert [hypothesis.text for hypothesis in found] == [f"word number {number}" for number in range(20_000)]


def test_a_file_is_read_as_it_is_needed(tmp_path):
    path = written(tmp_path, "a ||| one ||| 1\na ||| two ||| x\n")
    hypotheses = read_nbest(path)
    assert next(hypotheses).text == "one"
    with pytest.raises(TextError, match="line 2"):
        next(hypotheses)


def test_compressed_files_encodings_and_stdin(tmp_path, monkeypatch):
    packed = gzip.compress("a ||| café ||| 1\n".encode("latin-1"))
    (tmp_path / "n.gz").write_bytes(packed)
    assert [one.text for one in read_nbest(tmp_path / "n.gz", "latin-1")] == ["café"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(packed)))
    assert [one.text for one in read_nbest("-", "latin-1")] == ["café"]


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="|"), max_size=9)
SCORES = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(TEXTS, SCORES), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, pairs):
    pairs = [(text.strip(" \t"), score) for text, score in pairs]
    folder = tmp_path_factory.mktemp("lists")
    for content in (
        "".join(f"1 ||| {text} ||| {score}\n" for text, score in pairs),
        "".join(json.dumps({"id": 1, "hypothesis": text, "score": score}) + "\n" for text, score in pairs),
    ):
        assert read(folder, content) == [Hypothesis("1", text, score) for text, score in pairs]


# --- what is none -------------------------------------------------------------------------------------------------

GOOD = "u1 ||| one ||| 1\n\n"
FIELDS = {
    "u1 ||| two": ("a line must be `id ||| hypothesis ||| score`, but is 'u1 ||| two'", "u1"),
    "two": ("a line must be `id ||| hypothesis ||| score`, but is 'two'", None),
    " ||| two ||| 3": ("a line must be `id ||| hypothesis ||| score`", None),
    "u1 ||| two ||| three": ("the last field must be the score, a finite number, but is 'three'", "u1"),
    "u2 ||| two ||| nan": ("the last field must be the score, a finite number, but is 'nan'", "u2"),
    "u1 ||| two ||| -inf": ("a finite number, but is '-inf'", "u1"),
    "u1 ||| two ||| 1e999": ("a finite number, but is '1e999'", "u1"),
    "u1 ||| two ||| -2 ||| 0-0 1-1": ("the last field must be the score, a finite number, but is '0-0 1-1'", "u1"),
    "u1 ||| two |||": ("a finite number, but is ''", "u1"),
    '{"id": 1, "hypothesis": "two", "score": 1}': ("a line must be `id ||| hypothesis ||| score`", None),
}
RECORDS = {
    "u1 ||| two ||| 2": ("not a JSON object (", None),
    '{"id": "u1", ': ("not a JSON object (", None),
    "[1, 2]": ("not a JSON object (it is '[1, 2]')", None),
    "[" * 100_000: ("not a JSON object (", None),
    '{"hypothesis": "two", "score": 1}': ("'id' must be a string or a whole number, but is missing", None),
    '{"id": 1.5, "hypothesis": "two", "score": 1}': ("'id' must be a string or a whole number, but is 1.5", None),
    '{"id": true, "hypothesis": "two", "score": 1}': ("'id' must be a string or a whole number, but is true", None),
    '{"id": "u1", "score": 1}': ("'hypothesis' must be a string, but is missing", "u1"),
    '{"id": 3, "hypothesis": ["two"], "score": 1}': ("""'hypothesis' must be a string, but is ["two"]""", "3"),
    '{"id": "u1", "hypothesis": "two"}': ("'score' must be a finite number, but is missing", "u1"),
    '{"id": "u1", "hypothesis": "two", "score": "1"}': ("""'score' must be a finite number, but is "1\"""", "u1"),
    '{"id": "u1", "hypothesis": "two", "score": true}': ("'score' must be a finite number, but is true", "u1"),
    '{"id": "u1", "hypothesis": "two", "score": NaN}': ("not a JSON object (NaN is no finite number)", None),
    '{"id": "u1", "hypothesis": "two", "score": 1e999}': ("not a JSON object (1e999 is no finite number)", None),
    '{"id": "u1", "hypothesis": "two", "score": 1, "more": [-Infinity]}': ("(-Infinity is no finite number)", None),
    '{"id": "u1", "hypothesis": "two", "score": 1' + "0" * 400 + "}": ("'score' must be a finite number", "u1"),
}
GOOD_RECORD = '{"id": "u1", "hypothesis": "one", "score": 1}\n\n'


@pytest.mark.parametrize(
    ("good", "line", "message", "id"),
    [(good, line, *rest) for good, bad in ((GOOD, FIELDS), (GOOD_RECORD, RECORDS)) for line, rest in bad.items()],
    ids=lambda value: str(value)[:30],
)
def test_a_line_that_is_no_hypothesis_is_refused_by_its_number(tmp_path, good, line, message, id):
    hypotheses = read_nbest(path := written(tmp_path, good + line + "\n"))
    assert next(hypotheses).text == "one"
    with pytest.raises(ListFault) as refused:
        next(hypotheses)
    assert str(refused.value).startswith(f"{path}, line 3: ")
    assert message in str(refused.value)
    assert refused.value.id == id


def test_a_list_stands_together(tmp_path):
    hypotheses = read_nbest(written(tmp_path, "a ||| 1 ||| 1\na ||| 2 ||| 1\nb ||| 3 ||| 1\n\na ||| 4 ||| 1\n"))
    assert [next(hypotheses).text for _ in range(3)] == ["1", "2", "3"]
    with pytest.raises(ListFault, match=r"line 5: the list 'a' has ended at line 2; .* must stand together") as refused:
        next(hypotheses)
    assert refused.value.id == "a"


def test_a_file_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(TextError, match="there is no such file"):
        read_nbest(tmp_path / "none.txt")


@pytest.mark.parametrize("name", ["", "*.txt", "a"])
def test_lists_of_several_files_are_not_mixed(tmp_path, name):
    for folder in (tmp_path, tmp_path / "a"):
        folder.mkdir(exist_ok=True)
        written(folder, GOOD)
    written(tmp_path, GOOD, "other.txt")
    with pytest.raises(TextError, match="a folder, or several files; give one file of hypotheses") as refused:
        read_nbest(tmp_path / name)
    assert str(refused.value).startswith(str(tmp_path / name))
    assert len(list(read_nbest(tmp_path / "n*.txt"))) == 1


def test_there_must_be_hypotheses(tmp_path):
    with pytest.raises(TextError, match=r"n\.txt: no hypotheses, only white space; give a file"):
        read(tmp_path, " \n\t\n\n")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_is_finite(score):
    with pytest.raises(OptionError, match="`score` must be a finite number, but is"):
        Hypothesis("1", "a", score)


def test_halves_of_surrogate_pairs_are_left_out_of_the_text(tmp_path):
    line = r'{"id": 1, "hypothesis": "o\ud800ne \ud83d\ude00", "score": 1}'
    (found,) = read(tmp_path, line)
    assert found.text == "one \U0001f600"
    assert found.source == json.loads(line)
