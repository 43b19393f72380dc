"""`wordlm rescore`: n-best lists in a better order, and the weights that make it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from wordlm.cli_options import (
    Command,
    counting,
    given,
    is_terminal,
    json_option,
    number_of,
    one_blas_thread,
    options_of,
    to_json,
    vectors_option,
    warn,
)
from wordlm.config import TextConfig
from wordlm.errors import OptionError, TextError

if TYPE_CHECKING:
    from wordlm.nbest import Hypothesis
    from wordlm.rescoring import RescoredHypothesis, Weights
    from wordlm.weight_tuning import Tuning

# A greater share of unknown words is likely a matter of capitals or marks, and is told.
_MANY = 0.2


@click.command(cls=Command, short_help="Put the n-best lists of a recognizer or translator in a better order.")
@click.argument("model", metavar="DIR")
@click.argument("nbest", metavar="NBEST")
@click.option("--weight", type=float, help="of the model's log-probability, 0 or more [default: 1.0]")
@click.option(
    "--word-penalty", type=float, help="taken from the total for each word; below 0 it is a bonus [default: 0.0]"
)
@click.option("--unk-penalty", type=float, help="taken for each word that the model does not know [default: 0.0]")
@click.option("--tune", metavar="REFERENCES", help="find these three: those with the fewest word errors")
@vectors_option
@options_of(TextConfig, only=["encoding"])
@json_option
def rescore(
    model: str, nbest: str, tune: str | None, vectors: str | None, encoding: str | None, as_json: bool, **options: Any
) -> None:
    """Put each list of hypotheses in NBEST in the order of their totals, the best first, with the model in DIR.

    \b
    total = score + weight * logprob - word penalty * words - unk penalty * unknown words

    \b
    wordlm rescore models/wiki nbest.txt --weight 0.6
    wordlm rescore models/wiki valid.nbest --tune valid.txt > /dev/null
    wordlm rescore models/wiki test.jsonl.gz --weight 0.6 --word-penalty -1.2 --json

    A line of NBEST is `id ||| hypothesis ||| score`, or a JSON object with these keys. Further fields before the
    score, or further keys, are kept. The score is a logarithm, greater is better; lines of the same id are a list,
    and stand together. - is the standard input.

    Lines come out as they went in, and end with the model's log-probability (natural logarithm, the end of the
    sentence counted) and the total; in JSON these are the keys logprob and total, with --json also words and
    unknown, and they replace keys of these names.

    Words are those of the model: hypotheses are split as its text was, and of a model of pretokenized text want
    their tokens apart by blanks. --weight 1 takes the scores for natural logarithms; other scores want another
    weight, which --tune finds.

    REFERENCES has what was said, a line for each list, or lines `id ||| reference`. Word errors are told on
    stderr, or in the JSON: by the scores alone, with the weights found, and of the best hypotheses there are.
    Weights fit the lists that they are tuned on: judge them on others.
    """
    one_blas_thread()
    from wordlm.error_rate import read_references
    from wordlm.loading import load
    from wordlm.nbest import read_nbest
    from wordlm.rescoring import Weights, rank
    from wordlm.weight_tuning import tune as tune_weights

    options = given(options)
    if tune is not None and options:
        raise OptionError(f"`{next(iter(options))}` is one of the weights that `tune` finds; leave one of them out")
    if tune == nbest == "-":
        raise OptionError("the standard input can be read once: give a file for NBEST or for `tune`")
    weights = Weights(**options)
    references = None if tune is None else read_references(tune, encoding)
    lm = load(model)
    # On a terminal, the lines themselves show how far it is.
    is_counted = references is not None or not is_terminal(sys.stdout)
    with counting("rescoring, hypotheses:") if is_counted else nullcontext(lambda count: None) as progress:
        read = _counted(read_nbest(nbest, encoding), progress)
        if references is None:
            _print(lm.rescore(read, **dataclasses.asdict(weights), vectors=vectors), weights, None, as_json)
            return
        # By the scores alone, where equal ones stay in the order of the file.
        rescored = list(lm.rescore(read, weight=0.0, vectors=vectors))
    try:
        tuning = tune_weights(rescored, references)
    except TextError as error:
        raise TextError(f"{'stdin' if tune == '-' else tune}: {error}") from None
    _print(chain.from_iterable(rank(rescored, tuning.weights)), tuning.weights, tuning, as_json)


def _counted(hypotheses: Iterable[Hypothesis], progress: Callable[[int], None]) -> Iterator[Hypothesis]:
    for count, hypothesis in enumerate(hypotheses, 1):
        progress(count)
        yield hypothesis


def _print(hypotheses: Iterable[RescoredHypothesis], weights: Weights, tuning: Tuning | None, as_json: bool) -> None:
    """The hypotheses, each as soon as it is there, and what else is to be told."""
    if tuning and not as_json:
        _tell(tuning)
    words = unknown = 0
    last = None
    start = to_json({"weights": dataclasses.asdict(weights)} | _figures(tuning))[:-1] + ', "lists": ['
    try:
        for one in hypotheses:
            words, unknown = words + one.words, unknown + one.unknown
            if as_json:
                opening = start + "\n[" if last is None else ",\n " if one.id == last else "],\n["
                click.echo(opening + to_json(_content(one)), nl=False)
                last = one.id
            else:
                click.echo(_line(one))
    finally:  # a document that a fault ends is whole
        if last is not None:
            click.echo("]]}")
    if unknown > _MANY * words:
        warn(
            [
                f"the model does not know {unknown / words:.0%} of the words ({unknown:,} of {words:,}); "
                "are they split, and their capitals, as its text was?"
            ]
        )


def _line(one: RescoredHypothesis) -> str:
    """In the form that it was read in."""
    if isinstance(one.source, dict):
        return to_json(one.source | {"logprob": one.logprob, "total": one.total})
    return " ||| ".join([*(one.source or ()), f"{one.logprob:.8g}", f"{one.total:.8g}"])


def _content(one: RescoredHypothesis) -> dict[str, Any]:
    if isinstance(one.source, dict):
        content = dict(one.source)
    else:
        content = {"id": one.id, "hypothesis": one.text, "score": one.score}
        if fields := (one.source or ())[2:-1]:
            content["fields"] = fields
    return content | {name: getattr(one, name) for name in ("logprob", "words", "unknown", "total")}


def _figures(tuning: Tuning | None) -> dict[str, Any]:
    if not tuning:
        return {}
    errors = {"before": tuning.errors_before, "after": tuning.errors, "oracle": tuning.oracle}
    rates = {name: tuning.rate(count) for name, count in errors.items()}
    return {"tuning": {"lists": tuning.lists, "words": tuning.words, "errors": errors, "word_error_rate": rates}}


def _tell(tuning: Tuning) -> None:
    found = tuning.weights
    click.echo(
        f"tuned on {number_of(tuning.lists, 'list')}, {number_of(tuning.words, 'word')}: "
        f"--weight {found.weight:g} --word-penalty {found.word_penalty:g} --unk-penalty {found.unk_penalty:g}\n"
        f"word error rate: {tuning.rate(tuning.errors_before):.2%} by the scores alone, "
        f"{tuning.rate(tuning.errors):.2%} with these weights, {tuning.rate(tuning.oracle):.2%} at best",
        err=True,
    )
