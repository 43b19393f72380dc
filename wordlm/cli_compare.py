"""`wordlm compare`: in how many minimal pairs the model finds the good sentence likelier, by group."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from wordlm.cli_options import Command, counting, json_option, number_of, one_blas_thread, options_of, to_json, warn
from wordlm.config import TextConfig
from wordlm.errors import TextError

if TYPE_CHECKING:
    from wordlm.minimal_pairs import Comparison, GroupResult
    from wordlm.pairs import Pair


@click.command(cls=Command, short_help="Test a model on pairs of sentences, one good, one bad.")
@click.argument("model", metavar="DIR")
@click.argument("pairs", nargs=-1, required=True, metavar="PAIRS...")
@click.option(
    "--columns", metavar="GROUP,GOOD,BAD", help="what the three columns are called in the header, or the keys in JSON"
)
@click.option("--include-unknown", is_flag=True, help="count pairs with words that the model does not know too")
@click.option(
    "--vectors",
    metavar="FILE",
    help="the word vectors of the training, to read unknown words by that both sentences have",
)
@options_of(TextConfig, only=["encoding"])
@json_option
def compare(
    model: str,
    pairs: tuple[str, ...],
    columns: str | None,
    include_unknown: bool,
    vectors: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Test the model in DIR on minimal pairs: sentences of which one is grammatical and the other is not.

    A pair is a success where the whole good sentence, its end included, has the greater probability: chance is
    50 %. A tie is no success. The interval is Wilson's, of 95 %.

    \b
    wordlm compare models/wiki pairs.tsv
    wordlm compare models/wiki pairs.tsv.gz --columns test,grammatical,ungrammatical
    wordlm compare models/wiki "blimp/*.jsonl" --columns UID,sentence_good,sentence_bad --json

    A line of PAIRS is a group, a good sentence and a bad one, apart by tabs; with a header, these may be columns
    among others. Of .jsonl files a line is an object with the keys group, good and bad. - is the standard input.

    The sentences are split as the model's own text was: a model of pretokenized text wants their tokens apart by
    blanks. A pair with a word that the model does not know is left out; the most frequent ones are told on stderr,
    or in the JSON.
    """
    one_blas_thread()
    from wordlm.loading import load
    from wordlm.pairs import read_pairs

    lm = load(model)
    faults: list[TextError] = []
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    read = _until_fault(read_pairs(pairs, names, encoding), faults)
    with counting("comparing, pairs:") as progress:
        found = lm.compare(read, include_unknown=include_unknown, vectors=vectors, progress=progress)
    done = found.pairs + found.left_out
    if faults and not done:
        raise faults[0]
    if as_json:
        content = dataclasses.asdict(found)
        content["unknown"] = [{"word": word, "pairs": count} for word, count in found.unknown]
        click.echo(to_json(content))
    else:
        _print(found)
    if not found.pairs:
        warn(["no pair counts: give --include-unknown, or sentences that are split as the model's text was"])
    if faults:
        raise TextError(f"{faults[0]}; the results are those of the {number_of(done, 'pair')} before it")


def _until_fault(pairs: Iterable[Pair], faults: list[TextError]) -> Iterator[Pair]:
    """The pairs before the first line that is none, which is no reason to lose their results."""
    try:
        yield from pairs
    except TextError as error:
        faults.append(error)


def _print(found: Comparison) -> None:
    rows = [("group", "accuracy", "95 % interval", "pairs", "left out")]
    rows += [_row(_shown(group.group), group) for group in found.groups]
    rows += [_row("all pairs", found), ("mean of the groups", _percent(found.mean_accuracy), "", "", "")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *figures in rows:
        cells = [f"{name:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True))]
        click.echo("  ".join(cells).rstrip())
    if found.unknown:
        (word, count), *others = found.unknown
        first = f"{word} (in {number_of(count, 'pair')})"
        words = ", ".join([first, *(f"{word} ({count:,})" for word, count in others)])
        what = f"{number_of(found.left_out, 'pair')} left out" if found.left_out else "all pairs count all the same"
        warn([f"the model does not know {_shown(words)}: {what}"])
    if found.ties:
        warn([f"in {number_of(found.ties, 'pair')} both sentences are equally likely, which is no success"])


def _shown(text: str) -> str:
    """On one line, without what a terminal may take for a command."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def _row(name: str, found: GroupResult | Comparison) -> tuple[str, ...]:
    interval = f"{_percent(found.low)} - {_percent(found.high)}" if found.pairs else ""
    return name, _percent(found.accuracy), interval, f"{found.pairs:,}", f"{found.left_out:,}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
