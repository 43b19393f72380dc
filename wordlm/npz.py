"""Plain arrays of whole numbers in one file, read without believing it.

The file is NumPy's .npz, not compressed: a zip of .npy files, which `numpy.load` opens too.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from wordlm.errors import BundleError


def damaged_arrays(path: str | os.PathLike[str], why: str) -> BundleError:
    """The error of a file of arrays that is not as it was written.

    Example:
        >>> print(damaged_arrays("ngram.npz", "it is empty"))
        ngram.npz is damaged: it is empty; copy it again from where it came, or make it again
    """
    return BundleError(f"{path} is damaged: {why}; copy it again from where it came, or make it again")


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to a file. The same arrays give the same bytes.

    Args:
        path: of the file, which is replaced.
        arrays: (n,) each, uint8, uint16 or uint32.

    Raises:
        BundleError: the file cannot be written.
    """
    try:
        with open(path, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror or error}; give another path") from error


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays that `write_arrays` has written, as views of the file's bytes, which cannot be written to.

    Nothing is unpacked, and no array is made that is larger than the file.

    Args:
        path: of the file.

    Returns:
        The arrays by their names, in the file's order.

    Raises:
        BundleError: the file cannot be read, is damaged, or holds something else.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/numbers.npz"
        >>> write_arrays(path, {"ids": np.arange(3, dtype=np.uint8)})
        >>> read_arrays(path)
        {'ids': array([0, 1, 2], dtype=uint8)}
    """
    if not Path(path).is_file():
        raise damaged_arrays(path, "it is not a file")
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise damaged_arrays(path, f"{entry.filename[:40]!r} is compressed, and must not be")
                arrays[entry.filename.removesuffix(".npy")] = _parse(archive.read(entry))
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}; check its permissions") from error
    except (BundleError, MemoryError):
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds on damaged bytes
        raise damaged_arrays(path, f"it is not a whole .npz file ({type(error).__name__}: {error})") from error
    return arrays


def _parse(data: bytes) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        ValueError: it is another one than `write_arrays` writes.
    """
    file = BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version of the format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind != "u" or dtype.itemsize > 4 or not dtype.isnative or len(shape) != 1:
        raise ValueError(f"an array must be a row of whole numbers, but is {dtype} of shape {shape}")
    # NumPy would make an array of the size that the file declares, before it looks whether that is there.
    if len(data) - file.tell() != shape[0] * dtype.itemsize:
        raise ValueError(f"an array does not have the {shape[0]} numbers that it declares")
    return np.frombuffer(data, dtype, offset=file.tell())
