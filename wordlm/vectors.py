"""Word vectors out of a file, and trained on a text.

This is the only module that knows gensim, for what it alone can do: fastText's .bin, its own .kv, and training.
"""

from __future__ import annotations

import heapq
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.embedding import Vectors, choose_rows, spellings
from wordlm.errors import OptionError, VectorError
from wordlm.vector_files import VectorFile, open_table, read_head
from wordlm.vector_folders import PACKAGED, open_folder, open_package, write_folder
from wordlm.vector_formats import open_text_or_binary
from wordlm.vocab import Vocabulary


def load_vectors(
    spec: str | os.PathLike[str],
    vocabulary: Vocabulary,
    counts: np.ndarray | None = None,
    *,
    missing: str = "random",
    seed: int = 0,
    trust_pickle: bool = False,
) -> Vectors:
    """The vectors of a vocabulary out of a file, which is read in one pass.

    A word is looked up as it stands, then in lower case, then with typewriter quotes and dashes; where the file has
    several of these, the first in this order holds.

    Args:
        spec: "glove-6b-50d" (the installed package), or the path of GloVe or word2vec text, word2vec binary, fastText
            `.vec` or `.bin`, a gensim `.kv`, or a folder that `convert` made. Text and word2vec binary may be
            compressed (gzip, bzip2, xz, zstandard, a zip of one file).
        vocabulary: V tokens.
        counts: (V,) how often each token stands in the training text; left out, every word counts once.
        missing: the vector of a word that has none: "random" (normal, with the mean and standard deviation of the
            found vectors in each dimension, always the same for a seed and a word), "mean" (of the found vectors),
            "zero", or "subword" (fastText `.bin` only). `<unk>` and `<eos>` are such words if the file does not
            have them; with "zero" they are zero in any case.
        seed: of the random vectors.
        trust_pickle: open a gensim `.kv`, which can run any code that its maker put in.

    Returns:
        Vectors, with a (V, D) matrix.

    Raises:
        VectorError: there is no such file, it is damaged, or it holds no vectors.
        OptionError: an unknown policy.

    Example:
        >>> from wordlm.vocab import SPECIALS
        >>> vocabulary = Vocabulary([*SPECIALS, "The", "whale", "Qxqx"])
        >>> vectors = load_vectors("glove-6b-50d", vocabulary, np.array([0, 0, 0, 6, 3, 1]))
        >>> vectors.matrix.shape, vectors.found.tolist()
        ((6, 50), [False, False, False, True, True, False])
        >>> vectors.coverage
        Coverage(types=0.6666666666666666, tokens=0.9, missing=[('Qxqx', 1)])
    """
    source = open_vectors(spec, trust_pickle)
    return choose_rows(source, vocabulary, counts, missing, seed)


def train_vectors(
    sentences: Iterable[list[str]],
    dim: int = 100,
    *,
    epochs: int = 5,
    seed: int = 0,
    min_count: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[str], np.ndarray]:
    """Skip-gram vectors (gensim's Word2Vec) of the words of a text; the same seed gives the same vectors again.

    Args:
        sentences: lists of tokens, that can be gone through more than once (a list, not a generator).
        dim: D, numbers in a vector.
        epochs: passes over the text.
        seed: of the first vectors and of the negative samples.
        min_count: words rarer than this get no vector.
        progress: called with (epochs done, epochs) after each epoch.

    Returns:
        n words by falling frequency, and their (n, D) float32 matrix.

    Raises:
        VectorError: no word stands in the text `min_count` times.

    Example:
        >>> words, matrix = train_vectors([["a", "b", "a"], ["b", "a", "c"]], dim=4)
        >>> words, matrix.shape
        (['a', 'b'], (2, 4))
    """
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    class Progress(CallbackAny2Vec):
        done = 0

        def on_epoch_end(self, model: Any) -> None:
            self.done += 1
            if progress:
                progress(self.done, epochs)

    if iter(sentences) is sentences:
        raise VectorError(
            "`sentences` must be something that can be gone through once per epoch, such as a list, but is an iterator"
        )
    model = Word2Vec(
        vector_size=dim, min_count=min_count, sg=1, seed=seed, epochs=epochs,
        # Several threads, or Python's own hash, would give other vectors at each run.
        workers=1, hashfxn=lambda word: zlib.crc32(word.encode("utf-8", "surrogatepass")),
    )  # fmt: skip
    pieces = _Pieces(sentences)
    model.build_vocab(pieces)
    if not model.wv.index_to_key:
        raise VectorError(
            f"the text is too small to train vectors on: no word stands in it {min_count} times; give a longer text, "
            f"or use --vectors {PACKAGED}"
        )
    model.train(pieces, total_examples=model.corpus_count, epochs=epochs, callbacks=[Progress()])
    return list(model.wv.index_to_key), np.asarray(model.wv.vectors, dtype=np.float32)


def nearest(
    spec: str | os.PathLike[str], word: str, k: int = 10, *, trust_pickle: bool = False
) -> list[tuple[str, float]]:
    """The k words of a vector file whose vectors have the largest cosine with that of a word, without the word.

    Args:
        spec, trust_pickle: as in `load_vectors`.
        word: looked up as there; fastText `.bin` makes the vector of a word that it does not have.
        k: how many.

    Returns:
        (word, cosine) pairs, nearest first.

    Raises:
        VectorError: as in `load_vectors`, and if the word has no vector.
        OptionError: `k` below 1.

    Example:
        >>> [word for word, cosine in nearest("glove-6b-50d", "Paris", k=3)]
        ['prohertrib', 'france', 'brussels']
    """
    if k < 1:
        raise OptionError(f"`k` must be at least 1, but is {k}")
    source = open_vectors(spec, trust_pickle)
    forms = spellings(word)
    candidates: dict[bytes, np.ndarray] = {}
    for words, block in source.batches(forms):
        for form, vector in zip(words, block, strict=True):
            candidates.setdefault(form, vector)
    own = next((form for form in forms if form in candidates), None)
    target = candidates[own] if own is not None else source.subword(word) if source.subword else None
    length = 0.0 if target is None else float(np.linalg.norm(target))
    if target is None or not length:
        raise VectorError(f"{source.name} has no vector for {word!r}: look for another word, or in another file")
    best: list[tuple[float, bytes]] = []
    for words, block in source.batches():
        lengths = np.linalg.norm(block, axis=1)
        cosines = (block @ target) / (np.maximum(lengths, 1e-30) * length)
        top = [i for i in np.argsort(-cosines, kind="stable")[: k + 1].tolist() if words[i] != own]
        best = heapq.nlargest(k, best + [(float(cosines[i]), words[i]) for i in top], key=lambda pair: pair[0])
    return [(other.decode("utf-8", "replace"), cosine) for cosine, other in best]


def convert(
    spec: str | os.PathLike[str], out: str | os.PathLike[str], *, trust_pickle: bool = False, overwrite: bool = False
) -> list[str]:
    """Writes a vector file as a folder that is memory-mapped: opened at once, and read only where a word is needed.

    The folder holds `vectors.npy` ((n, D) float32), `words.txt` (a word a line, line number = row) and
    `metadata.json`; `load_vectors` takes it as a spec. It appears whole or not at all.

    Args:
        spec, trust_pickle: as in `load_vectors`.
        out: the folder to write.
        overwrite: replace a folder of vectors that is there.

    Returns:
        Warnings, one line each.

    Raises:
        VectorError: as in `load_vectors`, and if `out` exists.

    Example:
        >>> convert("vectors.txt", "vectors")    # doctest: +SKIP
        []
    """
    source = open_vectors(spec, trust_pickle)
    metadata = {"source": source.name, "source_sha256": source.sha256()}
    write_folder(Path(out), source, metadata, overwrite)
    return source.warnings


def save_vectors(
    out: str | os.PathLike[str],
    words: Iterable[str],
    matrix: np.ndarray,
    *,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes words and their (n, D) matrix as `convert` does.

    Args:
        out: the folder to write.
        words: n words.
        matrix: (n, D).
        metadata: what `metadata.json` should say besides the counts: where the vectors come from.
        overwrite: replace a folder of vectors that is there.

    Raises:
        VectorError: `out` exists, or cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_vectors(folder + "/mine", ["a", "b"], np.array([[1, 0], [1, 1]]))
        ...     nearest(folder + "/mine", "a")
        [('b', 0.7071067690849304)]
    """
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    source = open_table("words", None, lambda: encoded, np.asarray(matrix))
    write_folder(Path(out), source, metadata or {}, overwrite)


def open_vectors(spec: str | os.PathLike[str], trust_pickle: bool = False) -> VectorFile:
    """Finds out what a spec names: the package by its name, a file by its first bytes.

    Args:
        spec, trust_pickle: as in `load_vectors`.

    Raises:
        VectorError: as in `load_vectors`.

    Example:
        >>> open_vectors("glove-6b-50d").dim
        50
    """
    name = os.fspath(spec)
    if name == PACKAGED:
        return open_package()
    path = Path(name).expanduser()
    if path.is_dir():
        return open_folder(path, name)
    if not path.exists():
        raise VectorError(f"there are no vectors {name!r}: give {PACKAGED}, or the path of a file of vectors")
    head = read_head(path, name)
    if head.startswith(b"\xba\x16\x4f\x2f"):
        return _open_fasttext(path, name)
    if head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _open_pickle(path, name, trust_pickle)
    return open_text_or_binary(path, name, head)


class _Pieces:
    """Sentences in pieces of at most 10,000 tokens: Word2Vec drops what goes beyond."""

    def __init__(self, sentences: Iterable[list[str]]) -> None:
        self.sentences = sentences

    def __iter__(self) -> Iterator[list[str]]:
        for sentence in self.sentences:
            for start in range(0, len(sentence), 10_000):
                yield sentence[start : start + 10_000]


def _open_fasttext(path: Path, name: str) -> VectorFile:
    from gensim.models.fasttext import load_facebook_vectors

    try:
        keyed = load_facebook_vectors(os.fspath(path))
    except Exception as error:  # of any kind: gensim unpacks the file as it comes
        raise VectorError(
            f"{name} is a fastText .bin, but damaged or of a kind that gensim cannot read: {error}"
        ) from error
    return _from_gensim(keyed, path, name)


def _open_pickle(path: Path, name: str, trust_pickle: bool) -> VectorFile:
    if not trust_pickle:
        raise VectorError(
            f"{name} is a pickle, as gensim's .kv files are, and opening one runs any code that its maker put in: pass "
            "--trust-pickle if you trust it, or give the vectors in another format"
        )
    from gensim.utils import SaveLoad

    try:
        keyed = SaveLoad.load(os.fspath(path))
        return _from_gensim(getattr(keyed, "wv", keyed), path, name)
    except Exception as error:  # a pickle can raise anything
        raise VectorError(f"{name} does not hold gensim's word vectors, or is damaged: {error}") from error


def _from_gensim(keyed: Any, path: Path, name: str) -> VectorFile:
    """gensim's KeyedVectors, or fastText ones."""
    source = open_table(
        name, path, lambda: (word.encode("utf-8", "replace") for word in keyed.index_to_key), keyed.vectors
    )

    def subword(word: str) -> np.ndarray | None:
        vector = keyed.get_vector(word)
        return vector if vector.any() else None  # zero: not one piece of the word is long enough

    if getattr(keyed, "bucket", 0):
        source.subword = subword
    return source
