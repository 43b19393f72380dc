"""`wordlm generate`: new texts, in the way and with the words that the options ask for."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from wordlm.cli_options import Command, Many, given, json_option, options_of, set_kind, text_options, warn
from wordlm.config import SamplingConfig, TextConfig

if TYPE_CHECKING:
    from wordlm.generation import GeneratedText
    from wordlm.language_model import LanguageModel
    from wordlm.novelty import CopyIndex

_TEXT_OPTIONS = tuple(field.name for field in dataclasses.fields(TextConfig))


@click.command(cls=Command, short_help="Make new texts.")
@click.argument("model", metavar="DIR")
@click.option("--prompt", default="", help="what the texts go on from, mid-sentence")
@click.option("-n", "n", default=1, type=click.IntRange(1), show_default=True, help="how many texts")
@options_of(SamplingConfig)
@click.option(
    "--against",
    cls=Many,
    metavar="TEXT...",
    help="texts, such as those that the model was trained on, of which no more than --max-copy words in a row may "
    "be copied; the longest run that was is told",
)
@click.option("--probabilities", is_flag=True, help="a line a word, with its probability before any filter")
@text_options
@json_option
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

    What changes the chances of words acts in this order: the bans, --repetition-penalty, --temperature, --top-k,
    --top-p, --min-p, --typical; each one sees what those before it have left. Options that take several words take
    them behind DIR: --ban very really. The options of reading (--lines to --keep-boilerplate) are those of
    --against; left out, the model's own hold.

    \b
    wordlm generate models/book
    wordlm generate models/book --prompt "It was a dark" -n 5 --sentences 1 --seed 7
    wordlm generate models/book --include storm lighthouse --end-with "night ." --ban very
    wordlm generate models/book -n 100 --top-p 0.95 --against book.txt
    wordlm generate models/book --beams 8 -n 3 --probabilities
    """
    from wordlm.language_model import load

    lm = load(model)
    set_kind(options)
    reading = {name: options.pop(name) for name in _TEXT_OPTIONS}
    options = given(options)
    config = SamplingConfig(**options)  # before anything is said about the prompt
    unknown = lm.read_prompt(prompt).unknown
    if unknown:
        warn([f"the model does not know {', '.join(unknown)}: read as <unk>"])
    strangers = lm.rules(config).strangers
    if strangers:
        warn([f"the model does not know {', '.join(strangers)}: it never says it"])
    index = _index(lm, against, config, given(reading)) if against else None
    if n == 1 and not (as_json or probabilities or index):
        for piece in lm.stream(prompt, against=index, **options):
            click.echo(piece, nl=False)
            sys.stdout.flush()
        click.echo()
        return
    texts = lm.generate_many(prompt, n, against=index, **options)
    if as_json:
        _print_json(texts, with_copies=index is not None)
    elif probabilities:
        _print_words(texts)
    else:
        _print(texts, bool(config.sentences))


def _index(lm: LanguageModel, against: tuple[str, ...], config: SamplingConfig, reading: dict[str, Any]) -> CopyIndex:
    """The words to differ from. It is said how far their reading is, where it takes seconds and someone looks on."""
    is_watched = sys.stderr.isatty()

    def progress(words: int) -> None:
        click.echo(f"\rreading {words:,} words to differ from", err=True, nl=False)

    index = lm.copy_index(against, config.max_copy, progress=progress if is_watched else None, **reading)
    if is_watched:
        click.echo("\r\x1b[K", err=True, nl=False)
    return index


def _print(texts: Iterable[GeneratedText], can_have_lines: bool) -> None:
    for number, text in enumerate(texts):
        if number and can_have_lines:
            click.echo()
        click.echo(text.text)
        if text.longest_copy is not None:
            click.echo(f"copied words in a row, at most: {text.longest_copy}", err=True)


def _print_words(texts: Iterable[GeneratedText]) -> None:
    for number, text in enumerate(texts):
        if number:
            click.echo()
        for word in text.words:
            click.echo(f"{word.probability:.6f}\t{word.word}")


def _print_json(texts: Iterable[GeneratedText], with_copies: bool) -> None:
    """A list, item by item, so that a hundred thousand texts need not be held."""
    opening = "["
    for text in texts:
        content = dataclasses.asdict(text)
        if not with_copies:
            del content["longest_copy"]
        click.echo(opening + json.dumps(content, ensure_ascii=False), nl=False)
        opening = ",\n"
    click.echo("]")
