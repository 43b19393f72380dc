"""`wordlm suggest`: the likeliest next words, once, line by line, or while someone types."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wordlm.cli_options import Command, json_option, one_blas_thread, to_json, warn
from wordlm.errors import OptionError, TextError

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel
    from wordlm.suggestions import Suggestion


@click.command(cls=Command, short_help="Suggest next words.")
@click.argument("model", metavar="DIR")
@click.argument("context", required=False)
@click.option("--prefix", default="", help="what is typed of the next word, in any case")
@click.option(
    "-k", "k", default=10, type=click.IntRange(1), metavar="INTEGER", show_default=True, help="how many words"
)
@click.option(
    "--vectors",
    help="word vectors to read unknown words by, or none [default: the packaged ones, if the model learned with them]",
)
@json_option
@click.option("--save", "path", metavar="FILE", help="where Ctrl-S saves what is typed; it is asked for otherwise")
def suggest(
    model: str,
    context: str | None,
    prefix: str,
    k: int,
    vectors: str | None,
    as_json: bool,
    path: str | None,
) -> None:
    """Suggest the words that may come next after CONTEXT, with the model in DIR.

    \b
    wordlm suggest models/book "It was a"
    wordlm suggest models/wiki "I grew up in" --prefix Por -k 3
    wordlm suggest models/book < contexts.txt
    wordlm suggest models/book

    Before each word stands its probability, as a share of all words of the model. CONTEXT is read in whole words;
    "" is the beginning of a paragraph.

    Without CONTEXT, each line of the standard input is one, and a blank line stands between their words. In a
    terminal you type a text there, with suggestions in view, and what you have typed is printed when you end.
    """
    one_blas_thread()
    from wordlm.loading import load

    if context is None and sys.stdin.isatty():
        given = {"prefix": prefix, "vectors": vectors, "as_json": as_json}
        if idle := [name for name, value in given.items() if value]:
            raise OptionError(f"`{idle[0]}` needs a context: give it, or lines of them on the standard input")
        _type(load(model), k, path or "")
        return
    if path is not None:
        raise OptionError("`path` is for a text that is typed: leave it out, or leave out the context")
    contexts = [context] if context is not None else list(_lines())
    answers = _ask(load(model), contexts, k, prefix, vectors or "auto")
    if as_json:
        _print_json(answers, is_list=context is None)
    else:
        _print(answers)


def _lines() -> Iterator[str]:
    # Bytes, as sys.stdin may let through what is not in its encoding.
    for line in sys.stdin.buffer:
        try:
            yield line.decode(sys.stdin.encoding).rstrip("\r\n").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise TextError(
                f"the standard input must be {error.encoding}, but has the byte 0x{line[error.start]:02x}; convert it"
            ) from error


def _ask(lm: LanguageModel, contexts: list[str], k: int, prefix: str, vectors: str) -> Iterator[list[Suggestion]]:
    """The suggestions of each context, from one suggester and one reading of the vectors."""
    from wordlm.reading import with_words
    from wordlm.suggestions import Suggester

    prompts = list(map(lm.read_prompt, contexts))
    engine, extra = with_words(lm, chain.from_iterable(prompt.unknown for prompt in prompts), vectors)
    suggester = Suggester(engine, lm.tokenizer, lm.vocabulary, extra)
    for prompt in prompts:
        found = suggester.suggest([prompt.text], k=k, prefix=prefix)
        unknown = [word for word in prompt.unknown if word not in extra]
        if unknown:
            warn([f"the model does not know {', '.join(unknown)}: read as <unk>"])
        if not found:
            warn([f"the model knows no word that begins with {prefix!r}"])
        yield found


def _print(answers: Iterable[list[Suggestion]]) -> None:
    for number, found in enumerate(answers):
        if number:
            click.echo()
        for suggestion in found:
            click.echo(f"{suggestion.probability:.4g}\t{suggestion.word}")


def _print_json(answers: Iterable[list[Suggestion]], is_list: bool) -> None:
    """The suggestions, or a list of those of each line, which is written line by line."""
    opening = "[" if is_list else ""
    for found in answers:
        content = to_json([dataclasses.asdict(suggestion) for suggestion in found])
        click.echo(opening + content, nl=False)
        opening = ",\n"
    click.echo(("]" if opening != "[" else "[]") if is_list else "")


def _type(lm: LanguageModel, k: int, path: str) -> None:
    from wordlm.suggestions import Suggester
    from wordlm.typing_line import TypingLine
    from wordlm.typing_screen import type_text

    if path and Path(path).exists():
        raise OptionError(f"`path` must be a new file, but {path} is there already; give another name")
    line = TypingLine(Suggester(lm.engine, lm.tokenizer, lm.vocabulary), lm.tokenizer, lm.vocabulary, k=k, path=path)
    try:
        type_text(line)
    finally:
        # Whatever happens: nothing that was typed is lost.
        if line.text:
            click.echo(line.text)
