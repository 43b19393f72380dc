"""What training needs to go on where it stopped: every variable, the position, and what the caller adds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.errors import TrainingError

_FILE = "state.npz"
_INFO = "__info__"


def write_checkpoint(folder: str | Path, arrays: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Writes one file, whole or not at all: a crash in the middle leaves the checkpoint before it.

    Args:
        folder: the checkpoint's folder; made if it is missing.
        arrays: by name, or what makes one when it is its turn, as a `keras.Variable` does.
        info: whatever JSON can hold.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{_FILE}.{os.getpid()}.tmp"
    note = np.frombuffer(json.dumps(info).encode("utf-8"), np.uint8)
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **{_INFO: note}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / _FILE)
    finally:
        temporary.unlink(missing_ok=True)


def has_checkpoint(folder: str | Path) -> bool:
    """Whether there is a checkpoint in this folder."""
    return (Path(folder) / _FILE).is_file()


def read_checkpoint(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the info that `write_checkpoint` was given.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged.
    """
    return _read(folder, lambda saved: {name: saved[name] for name in saved.files if name != _INFO})


def read_info(folder: str | Path) -> dict[str, Any]:
    """The info alone, without reading the arrays.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged.
    """
    return _read(folder, lambda saved: {})[1]


def _read(folder: str | Path, take: Callable[[Any], dict[str, np.ndarray]]) -> tuple[dict[str, np.ndarray], Any]:
    path = Path(folder) / _FILE
    if not path.is_file():
        raise TrainingError(
            f"there is nothing to resume in {Path(folder).parent}: it has no checkpoint (a finished model has none)"
        )
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
            return take(saved), json.loads(saved[_INFO].tobytes().decode("utf-8"))
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise TrainingError(f"the checkpoint {path} is damaged ({error}): train again from the text") from error
