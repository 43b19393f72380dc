"""The folder of a saved model: the names of its files, and whether a folder is one, or may become one.

| file          | holds                                                                          |
|---------------|--------------------------------------------------------------------------------|
| config.json   | format_version, the model's config ("model"), the tokenizer's config ("text")  |
| vocab.txt     | a token a line, line number = id                                               |
| model.keras   | the Sequential, as Keras saves it, without an optimizer                        |
| ngram.npz     | a Kneser-Ney model of the training text; only where it was asked for           |
| metadata.json | provenance, the sha256 of the files above, and the mixture that was tuned      |
| checkpoint/   | only while training                                                            |
"""

from __future__ import annotations

import os
from pathlib import Path

from wordlm.checkpoint import has_checkpoint
from wordlm.errors import BundleError
from wordlm.weights import damaged

CONFIG, VOCABULARY, MODEL, METADATA = FILES = ("config.json", "vocab.txt", "model.keras", "metadata.json")
NGRAM = "ngram.npz"
CHECKPOINT = "checkpoint"


def checkpoint_folder(path: str | os.PathLike[str]) -> Path:
    """Where a training that writes to `path` keeps what it needs to go on.

    Example:
        >>> checkpoint_folder("models/book").as_posix()
        'models/book/checkpoint'
    """
    return Path(path) / CHECKPOINT


def check_target(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Checks that a model may be saved at `path`; a training asks before it begins, not after.

    A path that is not there, an empty folder, and one with nothing but a checkpoint are free. A saved model is
    replaced with `overwrite` only, any other file or folder never.

    Raises:
        BundleError: the path is taken.

    Example:
        >>> check_target(__file__)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: ...model_folder.py is a file: a model is saved as a folder, give another path
    """
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise BundleError(f"{path} is a file: a model is saved as a folder, give another path")
    if os.path.ismount(path):  # It cannot be renamed, which is what makes the writing atomic.
        raise BundleError(f"{path} is a mount point, which a model cannot replace: give a folder inside it")
    entries = _list(path)
    if not entries or (entries == {CHECKPOINT} and checkpoint_folder(path).is_dir()):
        return
    strangers = sorted(entries - {*FILES, NGRAM, CHECKPOINT})
    if strangers or not entries >= {CONFIG, MODEL}:
        what = f"{path} is not a saved model, or not that alone: it holds {(strangers or sorted(entries))[0]!r}"
        raise BundleError(f"{what}, which is never deleted; give another path, or clear it yourself")
    if not overwrite:
        raise BundleError(f"{path} holds a saved model already: give --overwrite to replace it, or another path")


def missing_files(folder: Path) -> list[str]:
    """Which of a saved model's files a folder lacks, of those that each one has.

    Raises:
        BundleError: it is no saved model at all, or one without config.json; the message says what it is instead.

    Example:
        >>> missing_files(Path("nowhere"))
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: there is no model at nowhere: give the folder that `wordlm train --out` has made
    """
    if not os.path.lexists(folder):
        raise BundleError(f"there is no model at {folder}: give the folder that `wordlm train --out` has made")
    if not os.path.isdir(folder):
        raise BundleError(f"{folder} is not a folder: a saved model is a folder with {', '.join(FILES)}")
    entries = _list(folder)
    missing = [name for name in FILES if name not in entries]
    if missing == list(FILES) and CHECKPOINT in entries:
        what = f"{folder} holds a training that has not finished"
        if has_checkpoint(folder / CHECKPOINT):
            raise BundleError(f"{what}: go on with `wordlm train --resume {folder}`")
        raise BundleError(f"{what}, and left nothing to go on with: train again with `--out {folder}`")
    if {CONFIG, MODEL} <= set(missing):
        what = f"{folder} is not a saved model: it has no {', '.join(missing)}"
        raise BundleError(f"{what}; give the folder that `wordlm train --out` has made")
    if CONFIG in missing:
        raise damaged(folder / CONFIG, "it is missing")
    return missing


def _list(folder: str | os.PathLike[str]) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise BundleError(f"cannot read the folder {folder}: {error.strerror}; check its permissions") from error
