"""Options of the command line out of the configs, and errors of the library in the command line's words."""

from __future__ import annotations

import codecs
import dataclasses
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import click

from wordlm.config import FILE_FIELDS, PRESETS, TextConfig
from wordlm.errors import OptionError, WordlmError


class Many(click.Option):
    """An option of a `Command` that takes all words up to the next option: `--ban very really`."""

    def __init__(self, *declarations: Any, **settings: Any) -> None:
        super().__init__(*declarations, **(settings | {"multiple": True}))


class Command(click.Command):
    """Shows what the user can mend as one line, with the exit status 1.

    Args:
        sections: headings in the help, each by the name of the option that it stands before.
    """

    def __init__(self, *args: Any, sections: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        parts: dict[str, list[tuple[str, str]]] = {(heading := "Options"): []}
        for param in self.get_params(ctx):
            record = isinstance(param, click.Option) and param.get_help_record(ctx)
            heading = self.sections.get(str(param.name), heading)
            if record:
                parts.setdefault("Options" if "--help" in param.opts else heading, []).append(record)
        for heading, records in parts.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._spread(ctx, args))

    def _spread(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--ban a b` as `--ban a --ban b`; not before the arguments of the command, which would be swallowed."""
        params = self.get_params(ctx)
        options = {name: param for param in params for name in (*param.opts, *param.secondary_opts) if name[0] == "-"}
        result: list[str] = []
        many = early = waiting = None  # names of options
        arguments = 0
        for position, arg in enumerate(args):
            name = arg.partition("=")[0]
            if waiting:
                if isinstance(options[waiting], Many) and name in options:
                    raise click.BadOptionUsage(waiting, f"Option {waiting!r} requires an argument.", ctx)
                waiting = None
            elif arg == "--":
                return result + args[position:]
            elif arg.startswith("-") and len(arg) > 1:
                many = name if isinstance(options.get(name), Many) else None
                if many and not arguments:
                    many, early = None, many
                waiting = name if name == arg and not getattr(options.get(name), "is_flag", True) else None
            elif many:
                result.append(many)
            else:
                arguments += 1
            result.append(arg)
        places = [param for param in params if isinstance(param, click.Argument)]
        if early and -1 not in [place.nargs for place in places] and arguments > len(places):
            before = " ".join(place.human_readable_name for place in places)
            raise click.UsageError(f"{early} takes several words only behind {before}: {before} {early} WORD...", ctx)
        return result

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WordlmError as error:
            raise click.ClickException(self._in_options(" ".join(str(error).split()))) from error
        except BrokenPipeError:
            raise  # click ends quietly
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from error
        except UnicodeEncodeError as error:
            wrong = f"{error.encoding}, the encoding of the output, has no {error.object[error.start]!a}"
            raise click.ClickException(f"{wrong}; set PYTHONIOENCODING=utf-8") from error

    def _in_options(self, text: str) -> str:
        """The library's `top_p` is --top-p here."""
        options = {param.name: param.opts[0] for param in self.params if isinstance(param, click.Option)}
        return re.sub(r"`(\w+)`", lambda found: options.get(found[1], found[0]), text)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as they are used, rather than by the alphabet


def options_of(config: type, *, only: Iterable[str] = (), but: Iterable[str] = ()) -> Callable[[Any], Any]:
    """A decorator: one option for each field of a config; left out, an option is None and the preset decides.

    The defaults that the help shows are those of the preset small.
    """

    def decorate(command: Any) -> Any:
        for f in reversed(dataclasses.fields(config)):
            if (only and f.name not in only) or f.name in but:
                continue
            name, kind = "--" + f.name.replace("_", "-"), str(f.type).removesuffix(" | None")
            value = PRESETS["small"].get(f.name, f.default)
            default = (name if value else None) if kind == "bool" else value
            shown = "" if default is None or default == "" else f" [default: {default}]"
            settings: dict[str, Any] = {"default": None, "help": f.metadata["help"] + shown}
            if kind == "tuple[str, ...]":
                settings = {"default": (), "cls": Many, "metavar": "WORD...", "help": f.metadata["help"]}
                decorate_one = click.option(name, f.name, **settings)
            elif kind == "bool":
                negative = f"--{name[5:]}" if name.startswith("--no-") else f"--no-{name[2:]}"
                # What is on by default needs a way to turn it off; the rest is a plain flag.
                declaration = f"{name}/{negative}" if value else name
                decorate_one = click.option(declaration, f.name, is_flag=True, **settings)
            elif f.metadata["choices"]:
                decorate_one = click.option(name, f.name, type=click.Choice(f.metadata["choices"]), **settings)
            else:
                kinds = {"int": int, "float": float, "str": str}
                decorate_one = click.option(name, f.name, type=kinds[kind], **settings)
            command = decorate_one(command)
        return command

    return decorate


def text_options(command: Any) -> Any:
    """The options of every verb that reads a text to learn its words."""
    return kind_options(options_of(TextConfig, but=["kind"])(command))


def kind_options(command: Any) -> Any:
    """`--lines` and `--pretokenized`, which `set_kind` reads."""
    command = click.option(
        "--pretokenized", is_flag=True, help="each line holds tokens apart by white space (WikiText, PTB)"
    )(command)
    return click.option("--lines", is_flag=True, help="each line is one example: headlines, verses, tweets")(command)


# As scoring.py has them, which needs NumPy.
RESETS = ("sentence", "document", "never")

reset_option = click.option(
    "--reset",
    type=click.Choice(RESETS),
    default="document",
    show_default=True,
    help="where the model forgets what it has read: after each paragraph (sentence), after each file or record, never",
)
mix_option = click.option(
    "--mix", is_flag=True, help="the network, the n-gram model and a cache of the text's words, mixed"
)


vectors_option = click.option(
    "--vectors",
    metavar="FILE",
    help="the word vectors of the training, to read words by that the model does not know (as predictions they stay "
    "<unk>); auto: glove-6b-50d, if it was that",
)


def reading_options(command: Any) -> Any:
    """The options of every verb that reads a text in the words of a model, whose case is the model's."""
    return kind_options(options_of(TextConfig, only=FILE_FIELDS)(command))


def training_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `reading_options` that hold for a training text, which is of the kind that it was in training."""
    return {name: value for name, value in options.items() if name in FILE_FIELDS}


json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")


def set_kind(options: dict[str, Any]) -> None:
    """`--lines` and `--pretokenized` as the field `kind`."""
    lines, pretokenized = options.pop("lines"), options.pop("pretokenized")
    if lines and pretokenized:
        raise OptionError("--lines and --pretokenized are two kinds of text: give one of them")
    options["kind"] = "lines" if lines else "pretokenized" if pretokenized else None


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the user gave; the others are left to the configs."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def to_json(content: Any) -> str:
    """JSON for the standard output, in ASCII where that has another encoding than UTF-8."""
    if codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name == "utf-8":
        text = json.dumps(content, ensure_ascii=False)
        try:
            text.encode()
            return text
        except UnicodeEncodeError:  # half of a surrogate pair
            pass
    return json.dumps(content)


def number_of(count: int, noun: str) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def warn(warnings: Iterable[str]) -> None:
    """Warnings on the standard error, a line each."""
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)


def one_blas_thread() -> None:
    """Lets the matrix products of NumPy run on one thread, unless the user has said otherwise.

    Few texts at a time are matrix-vector products: more threads gain little there, and wait long for each other where
    the processor has other work. What is worth sharing, the output layer shares among threads of its own. It counts
    only before NumPy is loaded.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether someone may look on; a stream that was closed before the start is None."""
    return stream is not None and stream.isatty()


@contextmanager
def counting(label: str) -> Iterator[Callable[[int], None]]:
    """Shows a growing number on the standard error, where that is a terminal, and takes it away in the end.

    Args:
        label: what is counted, "words read" for example.

    Returns:
        What is to be told the number.
    """
    is_watched, told = is_terminal(sys.stderr), -math.inf

    def progress(count: int) -> None:
        nonlocal told
        if is_watched and time.monotonic() > told + 0.3:
            told = time.monotonic()
            click.echo(f"\r{label} {count:,}", err=True, nl=False)

    try:
        yield progress
    finally:
        if is_watched:
            click.echo("\r\x1b[K", err=True, nl=False)
