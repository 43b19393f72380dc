"""`wordlm score`: how surprising each word of a text is, a row a word."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from wordlm.cli_options import (
    Command,
    Many,
    counting,
    given,
    is_terminal,
    json_option,
    mix_option,
    one_blas_thread,
    reading_options,
    reset_option,
    set_kind,
    to_json,
    training_options,
    vectors_option,
)
from wordlm.errors import OptionError

if TYPE_CHECKING:
    from wordlm.typed_words import TypedWord, WordScore

    Rows = Iterator[WordScore] | Iterator[TypedWord]

_SECTIONS = {"ngram": "With an n-gram model and a cache", "lines": "How the texts are read"}
# Nine digits hold what single precision does, and leave the sum of a long column as exact.
_TEMPLATES = {int: "%d", bool: "%d", float: "%.9g", str: "%s"}


@click.command(cls=Command, sections=_SECTIONS, short_help="How surprising each word of a text is.")
@click.argument("model", metavar="DIR")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option("--words", is_flag=True, help="a row for each word as typed (don't), with its place in the text")
@click.option("--entropy-reduction", is_flag=True, help="one more column: how much surer a word makes the model")
@reset_option
@vectors_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["tsv", "csv", "jsonl"]),
    help="columns apart by tabs or by commas, or a JSON object a line [default: tsv]",
)
@json_option
@click.option("--ngram", is_flag=True, help="one more column: the surprisal under a Kneser-Ney model")
@mix_option
@click.option(
    "--train",
    cls=Many,
    metavar="TEXT...",
    help="what the model was trained on: for the two above, where the model has no n-grams of its own",
)
@reading_options
def score(
    model: str,
    texts: tuple[str, ...],
    form: str | None,
    as_json: bool,
    ngram: bool,
    mix: bool,
    train: tuple[str, ...],
    **options: Any,
) -> None:
    """Say how surprising each word of the texts is for the model in DIR.

    \b
    wordlm score models/book chapter.txt > scores.tsv
    wordlm score models/book stimuli.txt --lines --reset sentence --words --format csv
    wordlm score models/book chapter.txt --ngram --entropy-reduction
    echo "The old man the boats." | wordlm score models/book -

    The columns, a row for each token (a word, a mark, or <eos>, the end of a paragraph or line):

    \b
    sentence_id  number of the paragraph or line, from 1
    token_id     number of the token in it, from 1
    token        as typed, but in Unicode's NFC form
    surprisal    -log2 of its probability, in bits
    entropy      of the prediction that it met, in bits: the surprisal to be expected
    rank         1 for the likeliest word
    oov          1 for a word that the model does not know: it has the surprisal of <unk>

    \b
    and, if asked for:
    entropy_reduction  in bits
    ngram_surprisal    in bits

    With --words, a row for each word as typed, marks and all: the surprisals of its tokens are added up.

    \b
    sentence_id, word_id, word, surprisal, oov  as above; oov is 1 if any token is unknown
    start, end   its place: characters of the file up to there, from 0, line ends counted as one; of a record, in
                 its field
    tokens       how many it has
    document_id  number of the file or record, from 1

    A value is never quoted in tsv: read it with pandas.read_csv(file, sep="\\t", quoting=3, keep_default_na=False).

    --encoding, --field and --keep-boilerplate hold for the text of --train too, which is otherwise read as it was in
    training. It takes all words up to the next option: put it behind the texts.
    """
    one_blas_thread()
    from wordlm.loading import load

    if as_json and form:
        raise OptionError("--json and --format are two ways to write rows: give one of them")
    if train and not (ngram or mix):
        raise OptionError("`train` is for the n-grams of `ngram` and `mix`: give one of them, or leave it out")
    set_kind(options)
    options = given(options)
    lm = load(model)
    counts = None
    if train:
        with counting("counting the words of --train:") as progress:
            counts = lm.fit_ngram(train, progress=progress, **training_options(options))
    with counting("scoring, words:") as progress:
        # Rows on the screen show themselves how far they are.
        told = None if is_terminal(sys.stdout) else progress
        rows = lm.score_files(texts, ngram=ngram, mix=mix, train=counts, progress=told, **options)
        _print(rows, "json" if as_json else form or "tsv")


def _print(rows: Rows, form: str) -> None:
    first = next(rows)  # a fault in the beginning leaves no header behind
    # Columns that were not asked for are None in each row.
    columns = {field.name: type(getattr(first, field.name)) for field in dataclasses.fields(first)}
    columns = {name: kind for name, kind in columns.items() if kind is not type(None)}
    values = map(attrgetter(*columns), chain([first], rows))
    try:
        sys.stdout.writelines((_json_lines if "json" in form else _table_lines)(columns, values, form))
    finally:
        # What is good is printed before an error is, and a pipe that was closed is found here and not at the exit.
        sys.stdout.flush()


def _table_lines(columns: dict[str, type], rows: Iterator[tuple[Any, ...]], form: str) -> Iterator[str]:
    template = "\t".join(_TEMPLATES[kind] for kind in columns.values())
    lines = chain(["\t".join(columns)], map(template.__mod__, rows))
    if form == "tsv":
        return (line + "\n" for line in lines)
    # `writerow` returns what `write` does: the line.
    write = csv.writer(SimpleNamespace(write=str), lineterminator="\n").writerow
    return (write(line.split("\t")) for line in lines)


def _json_lines(columns: dict[str, type], rows: Iterator[tuple[Any, ...]], form: str) -> Iterator[str]:
    """By a template: several times as fast as `json.dumps` of each row, and the numbers are those of a table."""
    names, kinds = list(columns), list(columns.values())
    text, oov = kinds.index(str), kinds.index(bool)
    templates = ["%s" if kind is bool else _TEMPLATES[kind] for kind in kinds]
    template = "{" + ", ".join(f'"{name}": {one}' for name, one in zip(names, templates, strict=True)) + "}"
    before, between, after, last = ("", "", "\n", "") if form == "jsonl" else ("[", ",\n", "", "]\n")
    for row in rows:
        values = list(row)
        values[text], values[oov] = to_json(values[text]), "true" if values[oov] else "false"
        yield before + template % tuple(values) + after
        before = between
    yield last
