"""`wordlm evaluate`: the figures of a model on texts, as a table or as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from wordlm.cli_options import (
    Command,
    Many,
    counting,
    given,
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

if TYPE_CHECKING:
    from wordlm.evaluation import Evaluation

_SECTIONS = {"mix": "With an n-gram model and a cache", "lines": "How the texts are read"}
# The cache is not measured by itself: the network counts in it as one more context that is alike.
_PARTS = {"lstm": "network alone", "kneser_ney": "Kneser-Ney alone", "cache": "cache on the network"}
_BASELINES = {
    "kneser_ney": ("Kneser-Ney", "yardstick: counts of up to five words in a row"),
    "unigram": ("unigram", "yardstick: counts of words, whatever came before"),
}


@click.command(cls=Command, sections=_SECTIONS, short_help="How well a model foretells texts.")
@click.argument("model", metavar="DIR")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@reset_option
@click.option(
    "--train",
    cls=Many,
    metavar="TEXT...",
    help="what the model was trained on: for the yardsticks, where the model has no n-grams of its own",
)
@vectors_option
@json_option
@mix_option
@click.option(
    "--tune", cls=Many, metavar="TEXT...", help="first find the shares of the mixture on these, and keep them in DIR"
)
@reading_options
def evaluate(
    model: str,
    texts: tuple[str, ...],
    reset: str,
    train: tuple[str, ...],
    vectors: str | None,
    as_json: bool,
    mix: bool,
    tune: tuple[str, ...],
    **options: Any,
) -> None:
    """Say how well the model in DIR foretells the texts, word by word.

    \b
    wordlm evaluate models/book other-book.txt
    wordlm evaluate models/book other-book.txt --train book.txt
    wordlm evaluate models/wiki test.txt --train train.txt --tune valid.txt
    wordlm evaluate models/verses verses/*.txt --reset sentence --json

    A token is a word, a mark, or the end of a paragraph. Perplexities of two models compare only on the same
    tokens and vocabulary; beside the model stand yardsticks of the same words, if there are n-grams: the bundle's
    own, or those of --train.

    --mix takes the shares that --tune has found once. Tune on a text that is not the one to evaluate.

    --encoding, --field and --keep-boilerplate hold for the text of --train too, which is otherwise read as it was in
    training. Options that take several words take all up to the next option: put them behind the texts.
    """
    one_blas_thread()
    from wordlm.loading import load

    set_kind(options)
    options = given(options)
    lm = load(model)
    ngram = None
    if train:
        with counting("counting the words of --train:") as progress:
            ngram = lm.fit_ngram(train, progress=progress, **training_options(options))
    if tune:
        with counting("tuning the mixture, words:") as progress:
            lm.tune_mixture(tune, train=ngram, progress=progress, **options)
    with counting("evaluating, words:") as progress:
        found = lm.evaluate(
            texts,
            reset=reset,
            mix=mix or bool(tune),
            vectors=vectors,
            train=ngram,
            progress=progress,
            **options,
        )
    if as_json:
        click.echo(to_json(_finite(dataclasses.asdict(found))))
        return
    rows = list(_rows(found))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, gloss in rows:
        click.echo(f"{name:{widths[0]}}  {value:>{widths[1]}}  {gloss}".rstrip())


def _rows(found: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Name, value and gloss of each line of the table."""
    yield "perplexity", _number(found.perplexity), "as unsure as among so many equally likely words"
    yield "  without unknown words", _number(found.perplexity_without_oov), "of the tokens that the model knows"
    if found.parts and found.mixture:
        for part, perplexity in found.parts.items():
            if perplexity is not None:
                yield f"  {_PARTS[part]}", _number(perplexity), f"{found.mixture[part]:.1%} of the mixture"
    for baseline, (name, gloss) in _BASELINES.items():
        perplexity = found.baselines[baseline]
        if perplexity is not None:
            yield f"  {name}", _number(perplexity), gloss
    yield "bits a word", f"{found.bits_per_word:.3f}", "mean surprisal"
    yield "bits a character", f"{found.bits_per_character:.3f}", "spaces and line ends counted"
    yield "tokens", f"{found.tokens:,}", "words, marks and ends of paragraphs"
    yield "unknown words", f"{found.oov_rate:.1%}", "of the tokens, not in the model's vocabulary"
    yield "right at first guess", f"{found.top1:.1%}", "the likeliest word was the next one"
    yield "among the first 3", f"{found.top3:.1%}", ""
    yield "among the first 5", f"{found.top5:.1%}", ""
    if found.keystroke_savings is not None:
        yield "keys saved", f"{found.keystroke_savings:.1%}", "typing with three suggestions in view"
    yield "calibration error", f"{found.calibration_error:.1%}", "how far its probabilities are from its hits"


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 1e6 else f"{value:.3g}"


def _finite(value: Any) -> Any:
    """The figures with None for an infinite one, which JSON cannot write."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
