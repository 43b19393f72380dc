"""A folder, or a file, that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_folder(target: Path, keep: str | None = None) -> Iterator[Path]:
    """A new, hidden folder beside `target` to write into; where the block ends well, it takes the place of `target`.

    Its files are brought to the disk first. What was at `target` is removed last; if anything fails, or is
    interrupted, before the new folder stands there, the old one does.

    Args:
        target: the folder to make or replace; its parents are made too. A link is not followed.
        keep: name of a file or folder in the old folder that moves over into the new one.

    Raises:
        OSError: the disk refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_folder(Path(folder, "book")) as new:
        ...         _ = (new / "notes.txt").write_text("all of it")
        ...     os.listdir(folder), os.listdir(folder + "/book")
        (['book'], ['notes.txt'])
    """
    new, old = (target.with_name(f".{target.name}.{secrets.token_hex(4)}.{role}") for role in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        yield new
        for path in new.iterdir():
            if path.is_file():
                with open(path, "r+b") as file:
                    os.fsync(file.fileno())
        _sync_folder(new)
        if target.exists():
            os.rename(target, old)
        os.rename(new, target)
        _sync_folder(target.parent)
    finally:
        if old.exists() and not target.exists():
            os.rename(old, target)
        if keep and (old / keep).exists():
            os.rename(old / keep, target / keep)
        shutil.rmtree(new, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """Gives a file new content, whole or not at all; the old one stays where anything fails.

    Args:
        path: of the file, in a folder that is there. A link is not followed.
        content: all its bytes.

    Raises:
        OSError: the disk refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     replace_file(Path(folder, "notes.txt"), b"all of it")
        ...     os.listdir(folder)
        ['notes.txt']
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with open(new, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        _sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Brings a folder's entries to the disk, where the system can (Windows cannot)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
