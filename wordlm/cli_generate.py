"""`wordlm generate`: new texts, in the way and with the words that the options ask for."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import click

from wordlm.cli_options import (
    Command,
    Many,
    counting,
    given,
    is_terminal,
    json_option,
    one_blas_thread,
    options_of,
    reading_options,
    set_kind,
    to_json,
    warn,
)
from wordlm.config import FILE_FIELDS, SamplingConfig
from wordlm.errors import OptionError, WordlmError

if TYPE_CHECKING:
    from wordlm.generation import GeneratedText

_SECTIONS = {
    "max_words": "Where a text ends",
    "start_with": "What it holds",
    "temperature": "How its words are chosen",
    "against": "What it does not copy",
}
# From so many texts on, threads pay.
_BATCH = 8


@click.command(cls=Command, sections=_SECTIONS, short_help="Make new texts.")
@click.argument("model", metavar="DIR")
@click.option("--prompt", default="", help="what the texts go on from, mid-sentence")
@click.option("-n", "n", default=1, type=click.IntRange(1), metavar="INTEGER", show_default=True, help="how many texts")
@options_of(SamplingConfig, only=["seed"])
@click.option(
    "--probabilities", is_flag=True, help="a line for each word: its probability before any filter, a tab, it"
)
@json_option
@options_of(SamplingConfig, but=["seed", "max_copy"])
@click.option(
    "--against", cls=Many, metavar="TEXT...", help="files or folders that no text copies a long run of words from"
)
@options_of(SamplingConfig, only=["max_copy"])
@reading_options
def generate(
    model: str,
    prompt: str,
    n: int,
    against: tuple[str, ...],
    probabilities: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Make new texts with the model in DIR.

    A text ends with its paragraph, or after --sentences or --max-words.

    \b
    wordlm generate models/book
    wordlm generate models/book --prompt "It was a dark" -n 5 --sentences 1 --seed 7
    wordlm generate models/book --include storm lighthouse --end-with "night ." --ban very
    wordlm generate models/book -n 100 --top-p 0.95 --against book.txt
    wordlm generate models/book --beams 8 -n 3 --no-repeat-ngram 3

    The chances of the next word go through the bans, --repetition-penalty, --temperature, --top-k, --top-p,
    --min-p and --typical, in this order; each sees what those before it have left.

    Options that take several words take all up to the next option, if they stand behind DIR; a phrase needs
    quotes: --ban very "of course".

    Texts with words to include or to end with are searched for, which takes seconds; --beams takes less.

    The longest run of words that a text has copied from --against is told on stderr, or in the JSON.
    """
    if n < _BATCH:
        one_blas_thread()
    from wordlm.loading import load

    idle = [] if against else [name for name in ("max_copy", "lines", "pretokenized", *FILE_FIELDS) if options[name]]
    if idle:
        raise OptionError(f"`{idle[0]}` is about texts to compare with: give them, with `against`, or leave it out")
    set_kind(options)
    reading = given({name: options.pop(name) for name in ("kind", *FILE_FIELDS)})
    options = given(options)
    config = SamplingConfig(**options)
    lm = load(model)
    unknown = lm.read_prompt(prompt).unknown
    if unknown:
        warn([f"the model does not know {', '.join(unknown)}: read as <unk>"])
    rules = lm.rules(config)
    if rules.strangers:
        warn([f"the model does not know {', '.join(rules.strangers)}: nothing to ban or to stop at"])
    index = None
    if against:
        with counting("words read, to differ from:") as progress:
            index = lm.copy_index(against, config.max_copy, progress=progress, **reading)
    if n == 1 and not (as_json or probabilities or index or rules.is_searched):
        _print_pieces(lm.stream(prompt, **options))
        return
    texts = _watched(lm.generate_many(prompt, n, against=index, **options), n)
    if as_json:
        _print_json(texts, with_copies=index is not None)
    elif probabilities:
        _print_words(texts)
    else:
        _print(texts, bool(config.sentences))


def _watched(texts: Iterator[GeneratedText], n: int) -> Iterator[GeneratedText]:
    """The texts; where someone looks on, it is said which one is being made, as those that are searched take time."""
    is_watched, told = is_terminal(sys.stderr), -math.inf
    try:
        for number in count(1):
            if is_watched and time.monotonic() > told + 0.3:
                told = time.monotonic()
                click.echo(f"\rmaking text {number:,} of {n:,}", err=True, nl=False)
            text = next(texts, None)
            if text is None:
                return
            _clear(is_watched)
            yield text
    finally:
        _clear(is_watched)


def _clear(is_watched: bool) -> None:
    if is_watched:
        click.echo("\r\x1b[K", err=True, nl=False)


def _print_pieces(pieces: Iterable[str]) -> None:
    begun = False
    try:
        for piece in pieces:
            click.echo(piece, nl=False)
            begun = True
    except WordlmError:
        if begun:
            click.echo()  # so that the error has a line of its own
        raise
    click.echo()


def _print(texts: Iterable[GeneratedText], can_have_lines: bool) -> None:
    for number, text in enumerate(texts):
        if number and can_have_lines:
            click.echo()
        click.echo(text.text)
        if text.longest_copy is not None:
            click.echo(f"longest run of copied words: {text.longest_copy}", err=True)


def _print_words(texts: Iterable[GeneratedText]) -> None:
    for number, text in enumerate(texts):
        if number:
            click.echo()
        for word in text.words:
            click.echo(f"{word.probability:.4g}\t{word.word}")


def _print_json(texts: Iterable[GeneratedText], with_copies: bool) -> None:
    """A list, item by item, so that a hundred thousand texts need not be held."""
    opening = "["
    for text in texts:
        content = dataclasses.asdict(text)
        if not with_copies:
            del content["longest_copy"]
        click.echo(opening + to_json(content), nl=False)
        opening = ",\n"
    click.echo("]")
