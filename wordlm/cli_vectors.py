"""`wordlm vectors`: what looks into files of word vectors, converts them, trains new ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from wordlm.cli_options import Group, given, json_option, options_of, set_kind, text_options, to_json, warn
from wordlm.config import DataConfig, TrainConfig


@click.group(cls=Group, short_help="Word vectors: coverage, neighbours, conversion, training.")
def vectors() -> None:
    """Look into files of word vectors, convert them, train new ones.

    \b
    wordlm vectors nearest whale
    wordlm vectors coverage book.txt
    """


@vectors.command(short_help="How much of a text a vector file covers.")
@click.argument("texts", nargs=-1, required=True)
@options_of(DataConfig, only=["vectors", "vocab_size", "min_count", "trust_pickle"])
@text_options
@json_option
def coverage(texts: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Say how much of TEXTS the vectors cover, by word and by token, and which frequent words they lack.

    \b
    wordlm vectors coverage book.txt
    wordlm vectors coverage book.txt --vectors glove.840B.300d.txt
    """
    from wordlm.preparation import cover

    set_kind(options)
    found = cover(texts, **given(options))
    if as_json:
        click.echo(to_json({"vectors": found.name} | dataclasses.asdict(found.coverage)))
        return
    click.echo(f"{found.name}: {found.coverage.types:.1%} of the words, {found.coverage.tokens:.1%} of the tokens")
    for word, count in found.coverage.missing:
        click.echo(f"{count:8,}  {word}")
    warn(found.warnings)


@vectors.command(short_help="Neighbours of a word.")
@click.argument("word")
@options_of(DataConfig, only=["vectors", "trust_pickle"])
@click.option("-k", default=10, type=click.IntRange(1), show_default=True, help="how many")
@json_option
def nearest(word: str, k: int, as_json: bool, **options: Any) -> None:
    """The words whose vectors are nearest to that of WORD, by cosine.

    \b
    wordlm vectors nearest whale
    """
    from wordlm.vectors import nearest as find

    config = DataConfig(**given(options))
    found = find(config.vectors, word, k, trust_pickle=config.trust_pickle)
    if as_json:
        click.echo(to_json([{"word": w, "cosine": c} for w, c in found]))
        return
    for neighbour, cosine in found:
        click.echo(f"{cosine:.3f}  {neighbour}")


@vectors.command(short_help="To a form that opens at once.")
@click.argument("source", metavar="FILE")
@click.argument("out", metavar="DIR")
@options_of(DataConfig, only=["trust_pickle"])
@click.option("--overwrite", is_flag=True, help="replace the folder DIR")
@json_option
def convert(source: str, out: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Convert a FILE of vectors to the folder DIR, which --vectors maps into memory instead of parsing it.

    \b
    wordlm vectors convert glove.6B.100d.txt vectors/glove-100d
    """
    from wordlm.vectors import convert as write

    warnings = write(source, out, trust_pickle=DataConfig(**given(options)).trust_pickle, overwrite=overwrite)
    click.echo(to_json({"vectors": out, "warnings": warnings}) if as_json else out)
    warn([] if as_json else warnings)


@vectors.command("train", short_help="Vectors from a text.")
@click.argument("texts", nargs=-1, required=True)
@click.option("--out", required=True, help="folder of the new vectors")
@options_of(DataConfig, only=["embedding_dim"])
@click.option("--min-count", type=int, help="rarer words get no vector [default: 2]")
@click.option("--epochs", type=int, help="passes over the text [default: 5]")
@options_of(TrainConfig, only=["seed"])
@text_options
@click.option("--overwrite", is_flag=True, help="replace the folder at --out")
@json_option
def train_vectors(texts: tuple[str, ...], out: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Train vectors on TEXTS (gensim's Word2Vec, skip-gram) and save them to a folder for --vectors.

    \b
    wordlm vectors train library/ --out vectors/library --embedding-dim 100
    """
    from wordlm.preparation import make_vectors

    set_kind(options)
    count = make_vectors(texts, out, overwrite=overwrite, **given(options))
    click.echo(to_json({"vectors": out, "words": count}) if as_json else f"{out}: {count:,} words")
