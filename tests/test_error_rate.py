"""Word errors against the plain recursion, and references out of files."""

import doctest
import gzip
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordlm import error_rate
from wordlm.error_rate import count_errors, read_references, word_errors
from wordlm.errors import TextError

SENTENCES = st.lists(st.sampled_from(["a", "b", "c", "A", "字", "."]), max_size=9).map(" ".join)


def test_the_examples_hold():
    failed, attempted = doctest.testmod(error_rate)
    assert attempted
    assert failed == 0


def recursive(reference, hypothesis):
    """As the definition says it."""
    reference, hypothesis = reference.split(), hypothesis.split()

    @cache
    def distance(i, j):
        if not i or not j:
            return i + j
        changed = distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(reference), len(hypothesis))


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("", "", 0),
        ("", "a b", 2),
        ("a b", "", 2),
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "b c", 1),
        ("a b c", "a b x c", 1),
        ("a b c", "c a b", 2),
        ("The end", "the end", 1),
        ("  a \t b\u00a0c ", "a b c", 0),
        ("a a a a", "a", 3),
    ],
)
def test_errors_by_hand(reference, hypothesis, errors):
    assert word_errors(reference, hypothesis) == errors


@given(SENTENCES, st.lists(SENTENCES, max_size=5))
def test_errors_are_those_of_the_recursion(reference, hypotheses):
    assert count_errors(reference, hypotheses) == [recursive(reference, hypothesis) for hypothesis in hypotheses]


@given(SENTENCES, SENTENCES, SENTENCES)
def test_errors_are_a_distance(first, second, third):
    assert word_errors(first, first) == 0
    assert word_errors(first, second) == word_errors(second, first)
    assert word_errors(first, third) <= word_errors(first, second) + word_errors(second, third)


def test_a_reference_may_be_longer_than_a_machine_word():
    words = [f"w{number % 37}" for number in range(300)]
    heard = [word for number, word in enumerate(words) if number % 50]
    heard[70] = "other"
    assert word_errors(" ".join(words), " ".join(heard)) == 7 == recursive(" ".join(words), " ".join(heard))


def test_hypotheses_may_come_from_anywhere_and_be_none():
    assert count_errors("a b", (text for text in ("a b", "a"))) == [0, 1]
    assert count_errors("a b", []) == []


# --- references ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "references"),
    [
        ("one two\nthree\n", ["one two", "three"]),
        ("one two \r\n\tthree", ["one two", "three"]),
        ("one\n\nthree\n", ["one", "", "three"]),
        ("\none\n", ["", "one"]),
        ("b ||| one two\na|||three\n", {"b": "one two", "a": "three"}),
        ("b ||| one\n\n  \na ||| \n", {"b": "one", "a": ""}),
        ("b ||| one ||| two\n", {"b": "one ||| two"}),
    ],
)
def test_references_are_in_order_or_have_ids(tmp_path, content, references):
    (tmp_path / "r.txt").write_text(content, newline="")
    assert read_references(tmp_path / "r.txt") == references


def test_references_may_be_compressed_and_in_another_encoding(tmp_path):
    (tmp_path / "r.txt.gz").write_bytes(gzip.compress("é ||| café\n".encode("latin-1")))
    assert read_references(tmp_path / "r.txt.gz", "latin-1") == {"é": "café"}
    with pytest.raises(TextError, match=r"r\.txt\.gz, line 1.*does not decode as UTF-8"):
        read_references(tmp_path / "r.txt.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a ||| one\ntwo\n", "line 2: a line must be `id ||| reference`, as the first one is, but is 'two'"),
        ("a ||| one\n ||| two\n", "line 2: a line must be `id ||| reference`"),
        ("a ||| one\n\na ||| two\n", "line 3: 'a' has a reference already"),
        ("", "the file is empty"),
    ],
)
def test_what_is_no_reference_is_refused(tmp_path, content, message):
    (tmp_path / "r.txt").write_text(content)
    with pytest.raises(TextError) as refused:
        read_references(tmp_path / "r.txt")
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "r.txt"))


def test_references_are_one_file(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("one\n")
    with pytest.raises(TextError, match="a folder, or several files; give one file of references"):
        read_references(tmp_path)
    with pytest.raises(TextError, match="several files"):
        read_references(tmp_path / "*.txt")
    assert read_references(tmp_path / "a*") == ["one"]
