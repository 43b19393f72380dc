"""The command line: arguments in, calls of the library, results on stdout, messages on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from wordlm import __version__
from wordlm.cli_compare import compare
from wordlm.cli_evaluate import evaluate
from wordlm.cli_generate import generate
from wordlm.cli_options import Group, given, json_option, options_of, set_kind, text_options, to_json
from wordlm.cli_rescore import rescore
from wordlm.cli_score import score
from wordlm.cli_suggest import suggest
from wordlm.cli_vectors import vectors
from wordlm.config import PRESETS, DataConfig, ModelConfig, TrainConfig
from wordlm.errors import OptionError

if TYPE_CHECKING:
    from wordlm.language_model import LanguageModel


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wordlm")
def main() -> None:
    """Turn a text file into a word-level language model; train it, question it, ship it.

    VERB --help says more about each verb.

    \b
    wordlm train book.txt --out models/book
    wordlm generate models/book --prompt "It was a dark" -n 3
    """


@main.command(short_help="Train a model on texts.")
@click.argument("texts", nargs=-1)
@click.option("--out", help="folder of the new model")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="set of options; the defaults below are those of small [default: what fits --minutes, else small]",
)
@click.option("--valid", multiple=True, help="text to validate on; left out: the end of TEXTS is held out")
@click.option("--test", multiple=True, help="text for a final figure")
@click.option("--overwrite", is_flag=True, help="replace the model that is at --out")
@click.option("--with-ngram", is_flag=True, help="save a Kneser-Ney model of the text too, to mix and to compare with")
@click.option("--resume", "resume_path", metavar="DIR", help="go on with an interrupted training")
@options_of(DataConfig)
@text_options
@options_of(ModelConfig, but=["vocab_size", "embedding_dim", "trainable_embedding", "masking"])
@options_of(TrainConfig)
@click.option("--quiet", is_flag=True, help="no progress")
@json_option
def train(
    texts: tuple[str, ...],
    out: str | None,
    preset: str | None,
    valid: tuple[str, ...],
    test: tuple[str, ...],
    overwrite: bool,
    with_ngram: bool,
    resume_path: str | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model on TEXTS: files, folders, glob patterns, or - for the standard input.

    Files may be compressed (.gz .bz2 .xz .zst), and .jsonl or .csv with --field. The end of the text is held
    out for validation. Ctrl-C once stops after the step and saves; --resume goes on from there.

    \b
    wordlm train book.txt --out models/book
    wordlm train verses.txt --lines --minutes 5 --out models/verses
    wordlm train train.txt --valid valid.txt --pretokenized --vocab-size 0 --out models/wiki
    wordlm train --resume models/book
    """
    from wordlm.progress import Display

    set_kind(options)
    display = Display(quiet)
    try:
        if resume_path:
            others = {"TEXTS": texts, "--out": out, "--preset": preset, "--valid": valid, "--test": test}
            others |= {"--overwrite": overwrite or None, "--with-ngram": with_ngram or None}
            others |= {f"--{options['kind']}": options["kind"]}
            others |= {f"--{name.replace('_', '-')}": value for name, value in options.items() if name != "kind"}
            wrong = [name for name, value in others.items() if value is not None and value != ()]
            wrong = [name for name in wrong if name not in ("--epochs", "--minutes")]
            if wrong:
                raise OptionError(
                    "--resume takes the texts and options of the training it goes on with, and only --epochs or "
                    f"--minutes beside it: leave out {', '.join(wrong)}"
                )
            from wordlm.pipeline import resume

            lm = resume(resume_path, listener=display, epochs=options["epochs"], minutes=options["minutes"])
        else:
            if not texts or not out:
                raise click.UsageError("give at least one text, and --out DIR for the model (or --resume DIR)")
            from wordlm.pipeline import train

            lm = train(
                texts,
                out,
                preset=preset,
                valid=valid or None,
                test=test or None,
                overwrite=overwrite,
                with_ngram=with_ngram,
                listener=display,
                **given(options),
            )
    finally:
        display.close()
    vectors = lm.metadata["vectors"]
    coverage = vectors and {name: vectors["coverage"][name] for name in ("types", "tokens")}
    figures = {"model": str(lm.path)} | {name: lm.metadata[name] for name in FIGURES} | {"coverage": coverage}
    if as_json:
        click.echo(to_json(figures))
        return
    parts = [f"validation perplexity {_number(figures['valid_perplexity'])}"]
    if figures["test_perplexity"] is not None:
        parts.append(f"test perplexity {_number(figures['test_perplexity'])}")
    parts += [_epochs(lm), f"{figures['seconds']:.0f} s", f"{figures['tokens_per_second']:,.0f} tokens/s"]
    click.echo(f"{lm.path}: {', '.join(parts)}")


FIGURES = (
    "vocab_size", "parameters", "train_tokens", "valid_tokens", "valid_perplexity", "test_perplexity", "epochs",
    "seconds", "tokens_per_second",
)  # fmt: skip


@main.command(short_help="Say what a model is.")
@click.argument("model", metavar="DIR")
@json_option
def info(model: str, as_json: bool) -> None:
    """Say what the model in DIR is, what it was trained on, and how well it does.

    \b
    wordlm info models/book
    wordlm info models/book --json
    """
    from wordlm.loading import load

    lm = load(model)
    if as_json:
        content = {"model": str(lm.path), "config": lm.config.to_dict(), "text": lm.tokenizer.config.to_dict()}
        click.echo(to_json(content | {"metadata": lm.metadata}))
        return
    for name, value in _facts(lm):
        click.echo(f"{name:<12} {value}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.1f}"


def _epochs(lm: LanguageModel) -> str:
    count = lm.metadata["epochs"]
    state = " (training is not finished: --resume goes on)" if lm.metadata.get("interrupted") else ""
    return f"{count} epoch{'' if count == 1 else 's'}{state}"


def _facts(lm: LanguageModel) -> Iterator[tuple[str, str]]:
    from wordlm.checkpoint import has_checkpoint
    from wordlm.model_folder import checkpoint_folder

    config, data = lm.config, lm.metadata
    size = f"{config.units} units, " + (f"windows of {config.context}" if config.context else "streams")
    both = "bidirectional " if config.bidirectional else ""
    yield "model", str(lm.path)
    if has_checkpoint(checkpoint_folder(lm.path)):
        which = "" if data.get("interrupted") else "of a newer model "
        yield "training", f"{which}not finished; go on with: wordlm train --resume {shlex.quote(str(lm.path))}"
    elif data.get("interrupted"):
        yield "training", "was not finished"
    yield "network", f"{config.layers} {both}{config.cell} of {size}, {data.get('parameters', 0):,} parameters"
    yield "vocabulary", f"{len(lm.vocabulary):,} words"
    yield "text", lm.tokenizer.config.kind + (", lower case" if lm.tokenizer.config.lowercase else "")
    if data.get("train_tokens"):
        yield "trained on", f"{data['train_tokens']:,} tokens, {_epochs(lm)}, {data['seconds']:.0f} s"
    vectors = data.get("vectors")
    yield "vectors", f"{vectors['name']}, {vectors['coverage']['tokens']:.1%} of the text" if vectors else "its own"
    for part in ("valid", "test"):
        if data.get(f"{part}_perplexity"):
            yield part, f"perplexity {_number(data[f'{part}_perplexity'])} on {data[f'{part}_tokens']:,} tokens"
    yield "created", str(data.get("created"))
    yield "versions", ", ".join(f"{name} {version}" for name, version in data["versions"].items())


for command in (generate, suggest, evaluate, score, compare, rescore, vectors):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
