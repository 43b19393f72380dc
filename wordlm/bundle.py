"""The saved model: a folder, complete by itself, written whole or not at all.

Loading runs no code from the folder: the configs are checked, and of the other files only plain arrays are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import wordlm
from wordlm.atomic import atomic_folder, replace_file
from wordlm.config import ModelConfig, TextConfig
from wordlm.errors import BundleError, OptionError
from wordlm.layout import weight_shapes
from wordlm.model_folder import CHECKPOINT, CONFIG, METADATA, MODEL, NGRAM, VOCABULARY, check_target, missing_files
from wordlm.vocab import Vocabulary
from wordlm.weights import damaged, find_weights, open_file, read_weights

if TYPE_CHECKING:
    import keras

    from wordlm.ngram import KneserNey

FORMAT_VERSION = 1
# The most bytes that a file may have, so that a made one cannot fill the memory; weights.py and npz.py see to theirs.
LIMITS = {CONFIG: 1 << 20, VOCABULARY: 1 << 28, METADATA: 1 << 26}


@dataclass(frozen=True)
class Bundle:
    """A saved model, opened: its folder, configs, words, and provenance as metadata.json has it."""

    path: Path
    config: ModelConfig
    text: TextConfig
    vocabulary: Vocabulary
    metadata: dict[str, Any]

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The float32 weights under the names of `layout.weight_shapes`, read at the first use.

        Raises:
            BundleError: model.keras is damaged, or holds something else than these weights.
        """
        return read_weights(self.path / MODEL, self.config, self.metadata["sha256"][MODEL])

    @property
    def has_ngram(self) -> bool:
        """Whether a Kneser-Ney model was saved with it."""
        return NGRAM in self.metadata["sha256"]

    @cached_property
    def ngram(self) -> KneserNey:
        """The Kneser-Ney model of the training text, read at the first use.

        Raises:
            BundleError: there is none, or ngram.npz is damaged, or of another model.
        """
        from wordlm.ngram import KneserNey

        path, size = self.path / NGRAM, self.config.vocab_size
        if not self.has_ngram:
            have = f"{self.path} has no n-gram model"
            raise BundleError(
                f"{have}: train it with `wordlm train --with-ngram`, or give its text with `--train TEXT`"
            )
        with open_file(path) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.metadata["sha256"][NGRAM]:
                raise damaged(path, "its sha256 is not the one in metadata.json")
        ngram = KneserNey.load(path)
        if ngram.vocab_size != size:
            raise damaged(path, f"it knows {ngram.vocab_size} words, but config.json says {size}")
        return ngram


def save_bundle(
    path: str | os.PathLike[str],
    model: keras.Sequential,
    config: ModelConfig,
    text: TextConfig,
    vocabulary: Vocabulary,
    metadata: dict[str, Any],
    overwrite: bool = False,
    unfinished: bool = False,
    ngram: Path | None = None,
) -> None:
    """Saves a trained model, whole or not at all.

    Everything is written to a hidden folder beside `path`, brought to the disk, read back, and then renamed.
    What was at `path`, an older bundle or the checkpoint of the training that ends here, is removed last.

    Args:
        path: the folder to make.
        model: as `model.build_model(config)` makes it. It may be compiled: the optimizer is not saved.
        config: the shape of the network.
        text: how its text was read.
        vocabulary: `config.vocab_size` words.
        metadata: provenance: what JSON knows, NumPy numbers and arrays, paths; a number that is not finite
            becomes null. "created", "versions" and "sha256" are filled in here.
        overwrite: replace a bundle that is there.
        unfinished: keep the checkpoint that is there, so that training can go on.
        ngram: file of a Kneser-Ney model of the training text, of the same vocabulary, as `KneserNey.save` writes it.

    Raises:
        BundleError: the path is taken, the disk refuses, or the parts do not fit together.

    Example:
        >>> import tempfile
        >>> from wordlm.model import build_model
        >>> config = ModelConfig(vocab_size=4, embedding_dim=2, units=3, dense=0)
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "word"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_bundle(folder + "/tiny", build_model(config), config, TextConfig(), vocabulary, {"seed": 1})
        ...     bundle = load_bundle(folder + "/tiny")
        ...     bundle.vocabulary.tokens[3], bundle.metadata["seed"], bundle.weights["output/kernel"].shape
        ('word', 1, (3, 4))
    """
    check_target(path, overwrite)
    if len(vocabulary) != config.vocab_size:
        raise BundleError(f"the vocabulary has {len(vocabulary)} words, but the model {config.vocab_size}")
    content = {"format_version": FORMAT_VERSION, "model": config.to_dict(), "text": text.to_dict()}
    metadata = _plain(metadata) | {"created": datetime.now(UTC).isoformat(timespec="seconds"), "versions": _versions()}
    # A link is followed, so that it still leads to the model afterwards.
    target = Path(os.path.realpath(path))
    try:
        with atomic_folder(target, keep=CHECKPOINT if unfinished else None) as new:
            (new / CONFIG).write_bytes(_to_json(content))
            (new / VOCABULARY).write_bytes(vocabulary.to_text().encode())
            _save_model(new / MODEL, model, config)
            if ngram:
                shutil.copyfile(ngram, new / NGRAM)
            metadata["sha256"] = {file.name: _sha256(file) for file in sorted(new.iterdir())}
            (new / METADATA).write_bytes(_to_json(metadata))
            checked = load_bundle(new).weights
            del checked  # so that not both are in memory
            if ngram:
                _ = load_bundle(new).ngram
    except OSError as error:
        raise BundleError(f"cannot save the model at {path}: {error.strerror or error}; free the way") from error


def load_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Opens a saved model. Neither Keras nor anything in the folder is run.

    The sha256 of the small files and the structure of model.keras are checked here; its sha256 when
    `Bundle.weights` reads it (40 MB: 0.03 s with a processor's SHA instructions, some 0.1 s without).

    Args:
        path: a folder that `save_bundle` has made.

    Returns:
        The bundle, its weights not yet read.

    Raises:
        BundleError: there is no bundle, training has not finished it, it is damaged, or its format is newer.

    Example:
        >>> load_bundle("nowhere")
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: there is no model at nowhere: give the folder that `wordlm train --out` has made
    """
    folder = Path(path)
    missing = missing_files(folder)
    content = _read_json(folder / CONFIG)
    # A newer format may have other files, and says so better than a missing or changed one.
    _check_version(folder / CONFIG, content)
    for name in missing:
        raise damaged(folder / name, "it is missing")
    metadata = _read_json(folder / METADATA)
    hashes = metadata.get("sha256")
    for name in (CONFIG, VOCABULARY, MODEL):
        if not isinstance(hashes, dict) or not isinstance(hashes.get(name), str):
            raise damaged(folder / METADATA, f"it has no sha256 of {name}")
    for name in (CONFIG, VOCABULARY):
        if hashlib.sha256(_read(folder / name)).hexdigest() != hashes[name]:
            raise damaged(folder / name, "its sha256 is not the one in metadata.json")
    config, text = _parse_config(folder / CONFIG, content)
    vocabulary = _parse_vocabulary(folder / VOCABULARY, config)
    with open_file(folder / MODEL) as file:
        find_weights(folder / MODEL, file, config)
    return Bundle(folder, config, text, vocabulary, metadata)


def update_metadata(path: str | os.PathLike[str], changes: dict[str, Any]) -> None:
    """Adds to what a saved model's metadata.json says, or changes it; the file is replaced whole or not at all.

    Args:
        path: the folder, with a model that loads.
        changes: new values by their keys; what JSON knows, as in `save_bundle`.

    Raises:
        BundleError: there is no such model, or the disk refuses.
    """
    bundle = load_bundle(path)
    try:
        replace_file(bundle.path / METADATA, _to_json(_plain(bundle.metadata | changes)))
    except OSError as error:
        have = f"cannot write {bundle.path / METADATA}: {error.strerror or error}"
        raise BundleError(f"{have}; check its permissions") from error


def _save_model(path: Path, model: keras.Sequential, config: ModelConfig) -> None:
    """Saves a twin: it has no optimizer, which would triple the file, and it is what the config says."""
    from wordlm.model import build_model, get_weights, set_weights

    weights = get_weights(model)
    if {name: array.shape for name, array in weights.items()} != weight_shapes(config):
        raise BundleError(f"the model is not what its config says, build it with build_model({config})")
    twin = build_model(config)
    set_weights(twin, weights)
    del weights  # saving needs memory of its own
    twin.save(path)


def _versions() -> dict[str, str]:
    """What runs in this process, of what can change a model's numbers."""
    names = ("keras", "tensorflow", "jax", "torch", "numpy", "h5py", "gensim")
    versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in names}
    loaded = {name: version for name, version in versions.items() if version}
    return {"wordlm": wordlm.__version__, "python": sys.version.split()[0], **loaded}


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON knows it: NumPy's numbers and arrays, paths and tuples turned, nan and infinity to None."""
    text = json.dumps(metadata, default=lambda value: value.tolist() if hasattr(value, "tolist") else os.fspath(value))
    return json.loads(text, parse_constant=lambda name: None)


def _to_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> bytes:
    """A small file whole."""
    with open_file(path) as file:
        data = file.read(LIMITS[path.name] + 1)
    if len(data) > LIMITS[path.name]:
        raise damaged(path, f"it has more than {LIMITS[path.name]:,} bytes, the most that a saved model may have there")
    return data


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path).decode())
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise damaged(path, f"it must hold a JSON object, but holds a {type(content).__name__}")
    return content


def _check_version(path: Path, content: dict[str, Any]) -> None:
    version = content.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        rule = f"`format_version` must be a whole number from 1, but is {version!r:.80}"
        raise BundleError(f"{path} is not of a saved model: {rule}; give the folder that `wordlm train --out` has made")
    if version > FORMAT_VERSION:
        have = f"{path.parent} is of format {version}, but wordlm {wordlm.__version__} reads up to {FORMAT_VERSION}"
        raise BundleError(f"{have}: it needs a newer wordlm, `pip install --upgrade wordlm`")


def _parse_config(path: Path, content: dict[str, Any]) -> tuple[ModelConfig, TextConfig]:
    unknown = sorted(set(content) - {"format_version", "model", "text"})
    if unknown:
        raise BundleError(f"{path} has no use for {unknown[0]!r:.80}: its keys are format_version, model and text")
    for key in ("model", "text"):
        if not isinstance(content.get(key), dict):
            raise BundleError(f"{path}: {key!r} must be an object of options, but is {content.get(key)!r:.80}")
    try:
        return ModelConfig.from_dict(content["model"]), TextConfig.from_dict(content["text"])
    except OptionError as error:
        raise BundleError(f"{path}: {error}; a config is made by `wordlm train`, not by hand") from error


def _parse_vocabulary(path: Path, config: ModelConfig) -> Vocabulary:
    try:
        vocabulary = Vocabulary.from_text(_read(path).decode())
    except UnicodeDecodeError as error:
        raise damaged(path, f"it is not UTF-8 ({error})") from error
    except BundleError as error:
        raise BundleError(f"{path.parent}: {error}; copy the model again from where it came") from error
    if len(vocabulary) != config.vocab_size:
        sizes = f"{len(vocabulary)} words, but config.json says {config.vocab_size}"
        raise BundleError(f"{path} has {sizes}: they are not of one model, copy both from where they came")
    return vocabulary
