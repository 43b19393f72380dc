"""The weights out of a model.keras without Keras: a zip, an HDF5 file in it, float32 arrays in that.

The file may come from anywhere, so nothing in it is believed: only the arrays that the model's config asks for
are read, and only where they lie plainly in the file itself, in the size that the config says.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from wordlm.config import ModelConfig
from wordlm.errors import BundleError
from wordlm.layout import weight_shapes

HDF5 = "model.weights.h5"
MEMBERS = {"config.json", "metadata.json", HDF5}


def damaged(path: Path, why: str) -> BundleError:
    """The error of a file that is not as it was saved.

    Example:
        >>> print(damaged(Path("model.keras"), "it is empty"))
        model.keras is damaged: it is empty; copy the model again from where it came, or train it again
    """
    return BundleError(f"{path} is damaged: {why}; copy the model again from where it came, or train it again")


def open_file(path: Path) -> BinaryIO:
    """A file, open for reading bytes; never a pipe or a device, which could block for ever.

    Raises:
        BundleError: it is not a file, or may not be read.

    Example:
        >>> open_file(Path("."))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: . is damaged: it is not a file; copy the model again from where it came, or ...
    """
    if not path.is_file():
        raise damaged(path, "it is not a file")
    try:
        return open(path, "rb")
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def find_weights(path: Path, file: BinaryIO, config: ModelConfig) -> tuple[int, int]:
    """Checks the zip of an open model.keras, and finds the HDF5 file in it.

    Args:
        path: its name, for the messages.
        file: the file, open for reading bytes.
        config: says how large the weights are.

    Returns:
        The HDF5 file's first byte and its size in bytes.

    Raises:
        BundleError: not a whole zip, not as Keras writes it, or of another size than the config asks for.

    Example:
        >>> find_weights(Path("model.keras"), io.BytesIO(b"no zip"), ModelConfig())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: model.keras is damaged: it is not a whole zip archive (BadZipFile); copy ...
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            count = len(archive.infolist())
        # Nothing is ever extracted, so that names that lead elsewhere do no harm here; another tool may extract.
        strangers = sorted(set(entries) - MEMBERS)
        if strangers or count > len(entries):
            what = repr(strangers[0]) if strangers else "a name twice"
            raise BundleError(f"{path} holds {what}: refused, Keras saves {', '.join(sorted(MEMBERS))} and no more")
        for name in sorted(MEMBERS - set(entries)):
            raise damaged(path, f"it holds no {name}")
        entry = entries[HDF5]
        file.seek(entry.header_offset)
        magic, name_size, extra_size = struct.unpack("<4s22xHH", file.read(30))
        if magic != b"PK\x03\x04":
            raise zipfile.BadZipFile
    except BundleError:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise damaged(path, f"it is not a whole zip archive ({type(error).__name__})") from error
    start, size = entry.header_offset + 30 + name_size + extra_size, entry.file_size
    needed = 4 * sum(map(math.prod, weight_shapes(config).values()))
    if size > 2 * needed + (1 << 20):
        raise BundleError(
            f"{path} declares {size:,} bytes of weights, but its config needs {needed:,}: refused, too large"
        )
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != size or entry.flag_bits & 1:
        raise BundleError(f"{path} is compressed or encrypted inside: refused, Keras stores weights plainly")
    if size < needed or start + size > file.seek(0, io.SEEK_END):
        raise damaged(path, f"its weights are cut off, or fewer than the {needed:,} bytes that its config needs")
    return start, size


def read_weights(path: Path, config: ModelConfig, sha256: str) -> dict[str, np.ndarray]:
    """The weights that a config asks for, under the names of `layout.weight_shapes`.

    Args:
        path: a model.keras.
        config: the shape of the network.
        sha256: of the whole file, in hex.

    Returns:
        float32 arrays, in memory and contiguous.

    Raises:
        BundleError: the file is damaged, not the one that was saved, or holds something else.

    Example:
        >>> read_weights(Path(__file__), ModelConfig(), "")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        wordlm.errors.BundleError: ...weights.py is damaged: its sha256 is not the one in metadata.json; copy ...
    """
    import h5py

    with open_file(path) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise damaged(path, "its sha256 is not the one in metadata.json")
        start, size = find_weights(path, file, config)
        try:
            with h5py.File(_Window(file, start, size), "r") as store:
                return {
                    name: _array(path, store, _place(config, name), shape)
                    for name, shape in weight_shapes(config).items()
                }
        except (BundleError, MemoryError):
            raise
        except Exception as error:  # the HDF5 library raises many kinds on damaged bytes
            raise damaged(path, f"its HDF5 file cannot be read ({type(error).__name__})") from error


class _Window(io.RawIOBase):
    """A part of an open file as a file: the HDF5 file is read where it lies in the zip, not copied out of it."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        self._file.seek(self._start + self._position)
        count = self._file.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return count


def _place(config: ModelConfig, name: str) -> str:
    """Where Keras puts a weight in its HDF5 file.

    Keras counts the layers of each class within the model (lstm, lstm_1, ...) and numbers a layer's variables;
    the layers' names play no part.
    """
    layer, *direction, part = name.split("/") if "/" in name else (name, "kernel")
    index = ("kernel", "bias").index(part) if layer in ("dense", "output") else 0
    if not layer.startswith("recurrent_"):
        folder = {"output": "dense_1" if config.dense else "dense"}.get(layer, layer)
        return f"layers/{folder}/vars/{index}"
    kind = "bidirectional" if direction else {"lstm": "lstm", "gru": "gru", "rnn": "simple_rnn"}[config.cell]
    number = int(layer.removeprefix("recurrent_")) - 1
    inner = f"/{direction[0]}_layer" if direction else ""
    index = ("kernel", "recurrent_kernel", "bias").index(part)
    return f"layers/{kind}{f'_{number}' if number else ''}{inner}/cell/vars/{index}"


def _array(path: Path, store: Any, place: str, shape: tuple[int, ...]) -> np.ndarray:
    """One array out of the HDF5 file itself: no link, no other file, no filter, no fill value."""
    import h5py

    node = store
    for part in place.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise damaged(path, f"it has no weights {place}")
        if not isinstance(link, h5py.HardLink):
            raise BundleError(f"{path}: {place} is a link to somewhere else: refused, weights must be in the file")
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise damaged(path, f"{place} is not an array")
    layout = node.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() == h5py.h5d.VIRTUAL:
        raise BundleError(f"{path}: {place} is kept in another file: refused, weights must be in the file")
    if node.shape != shape or node.dtype != np.dtype("<f4"):
        found = f"{node.dtype} {node.shape}"
        raise BundleError(f"{path}: {place} must be float32 {shape}, but is {found}: it is not of this config.json")
    if layout.get_layout() != h5py.h5d.CONTIGUOUS or node.id.get_storage_size() != 4 * math.prod(shape):
        raise BundleError(f"{path}: {place} is compressed or empty: refused, Keras stores weights plainly")
    array = np.empty(shape, np.float32)
    node.read_direct(array)
    return array
