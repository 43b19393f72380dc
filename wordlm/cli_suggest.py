"""`wordlm suggest`: the likeliest next words, once, line by line, or while someone types."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wordlm.cli_options import Command, is_terminal, json_option, one_blas_thread, to_json, warn
from wordlm.errors import OptionError, TextError

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel
    from wordlm.suggestions import Find, Suggestion

# As many unknown words as a warning names.
_TOLD = 10


@click.command(cls=Command, short_help="Suggest next words.")
@click.argument("model", metavar="DIR")
@click.argument("context", required=False)
@click.option("--prefix", default="", help="what is typed of the next word, in any case")
@click.option(
    "-k",
    "k",
    default=10,
    type=click.IntRange(1),
    metavar="INTEGER",
    show_default=True,
    help="how many words; nine at most where you type",
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

    Without CONTEXT, or with -, each line of the standard input is one: its words are printed before the next line
    is read, and a blank line ends them. In a terminal, without CONTEXT, you type a text, with suggestions in view,
    and what you have typed is printed when you end.
    """
    one_blas_thread()
    from wordlm.loading import load

    if context is None and is_terminal(sys.stdin):
        if idle := [name for name, value in {"prefix": prefix, "as_json": as_json}.items() if value]:
            raise OptionError(f"`{idle[0]}` needs a context: give it, or lines of them on the standard input")
        _type(load(model), k, vectors, path or "")
        return
    if path is not None:
        raise OptionError("`path` is for a text that is typed: leave it out, or leave out the context")
    are_lines = context in (None, "-")
    answers = _ask(load(model), _lines() if are_lines else [("", context)], k, prefix, vectors)
    if as_json:
        _print_json(answers, are_lines)
    else:
        _print(answers, are_lines)


def _lines() -> Iterator[tuple[str, str]]:
    """The lines of the standard input, each as soon as it is there, and where they stand."""
    if sys.stdin is None:
        raise OptionError("there is no standard input: give a context, or lines of them there")
    # Bytes, as sys.stdin may let through what is not in its encoding.
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield f"line {number}: ", line.decode(sys.stdin.encoding).rstrip("\r\n").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise TextError(
                f"the standard input must be {error.encoding}, but line {number} has the byte "
                f"0x{line[error.start]:02x}; convert it"
            ) from error


def _ask(
    lm: LanguageModel, contexts: Iterable[tuple[str, str]], k: int, prefix: str, vectors: str | None
) -> Iterator[list[Suggestion]]:
    """The suggestions of each context, from one suggester; before it stands how warnings of it begin."""
    from wordlm.suggestions import Suggester

    find = _finder(lm, vectors)
    suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary, find)
    for where, context in contexts:
        prompt = lm.read_prompt(context)
        found = suggester.suggest([prompt.text], k=k, prefix=prefix)
        known = find(prompt.unknown)[1] if find and prompt.unknown else {}
        unknown = [word for word in prompt.unknown if word not in known]
        if unknown:
            more = f" and {len(unknown) - _TOLD:,} more" if len(unknown) > _TOLD else ""
            warn([f"{where}the model does not know {', '.join(unknown[:_TOLD])}{more}: read as <unk>"])
        if not found:
            warn([f"{where}the model knows no word that begins with {prefix!r}"])
        yield found


def _finder(lm: LanguageModel, vectors: str | None) -> Find | None:
    """What finds the vectors of unknown words."""
    from wordlm.open_vocabulary import InputWords
    from wordlm.reading import chosen_vectors

    chosen = chosen_vectors(lm, vectors or "auto")
    return InputWords(lm.engine, chosen, lm.metadata).find if chosen else None


def _print(answers: Iterable[list[Suggestion]], are_lines: bool) -> None:
    for found in answers:
        rows = [f"{suggestion.probability:.4g}\t{suggestion.word}\n" for suggestion in found]
        click.echo("".join(rows) + ("\n" if are_lines else ""), nl=False)


def _print_json(answers: Iterable[list[Suggestion]], are_lines: bool) -> None:
    """The suggestions, or a list of those of each line, which is written line by line."""
    contents = (to_json([dataclasses.asdict(suggestion) for suggestion in found]) for found in answers)
    if not are_lines:
        click.echo(next(contents))
        return
    opening = "["
    try:
        for content in contents:
            click.echo(opening + content, nl=False)
            opening = ",\n"
    finally:
        # What is good is a whole document, even where an error follows.
        if opening != "[":
            click.echo("]")
    if opening == "[":
        click.echo("[]")


def _type(lm: LanguageModel, k: int, vectors: str | None, path: str) -> None:
    from wordlm.suggestions import Suggester
    from wordlm.typing_line import TypingLine
    from wordlm.typing_screen import late_signals, type_text

    if path and Path(path).exists():
        raise OptionError(f"`path` must be a new file, but {path} is there already; give another name")
    find = _finder(lm, vectors)
    if find and vectors:
        find([])  # what is wrong with them is told now
    suggester = Suggester(lm.engine, lm.tokenizer, lm.vocabulary, find)
    line = TypingLine(suggester, lm.tokenizer, lm.vocabulary, k=k, path=path)
    with late_signals() as ended:
        try:
            type_text(line, ended)
        finally:
            # Whatever happens: nothing that was typed is lost. With the window, the standard output may be closed.
            if line.finished:
                with suppress(*([OSError] if ended else [])):
                    click.echo(line.finished)
