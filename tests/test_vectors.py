"""Word vectors: every format against the same matrix, damage, policies, coverage, training."""

import bz2
import doctest
import gzip
import hashlib
import json
import lzma
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import wordlm.vectors
from wordlm.errors import OptionError, VectorError
from wordlm.vectors import convert, load_vectors, nearest, save_vectors, train_vectors, vectors_from_words
from wordlm.vocab import SPECIALS, Vocabulary

WORDS = ["the", ".", "new york", "naïve", "'s", "whale", "--", "nan"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype(np.float32)
LINES = [f"{word} {' '.join(map(repr, row.tolist()))}" for word, row in zip(WORDS, MATRIX, strict=True)]
GLOVE = "\n".join(LINES) + "\n"
WORD2VEC = f"{len(WORDS)} 5\n{GLOVE}"
BINARY = f"{len(WORDS)} 5\n".encode() + b"".join(
    word.replace(" ", "_").encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, MATRIX, strict=True)
)


def vocabulary(*words):
    return Vocabulary([*SPECIALS, *words])


@pytest.fixture
def load(tmp_path):
    """Writes content to a file and loads the vectors of some words from it."""

    def load(content, *words, name="vectors.txt", counts=None, **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_vectors(path, vocabulary(*words), counts, **options)

    return load


def zipped(data):
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.txt", data)
    return out.getvalue()


def test_examples():
    results = doctest.testmod(wordlm.vectors)
    assert results.failed == 0
    assert results.attempted > 8


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        WORD2VEC,
        GLOVE.replace("\n", " \n"),  # as word2vec and fastText end their rows
        GLOVE.replace("\n", "\r\n"),
        "\ufeff" + GLOVE,
        WORD2VEC.replace("\n", " \r\n"),
    ],
)
def test_text_formats_give_the_same_matrix(load, content):
    vectors = load(content, *WORDS)
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX)
    assert vectors.found[3:].all()
    assert vectors.coverage == wordlm.vectors.Coverage(1.0, 1.0, [])
    assert vectors.warnings == []
    assert vectors.matrix.dtype == np.float32
    assert not vectors.matrix[0].any()


@pytest.mark.parametrize("ends", [b"\n", b""])
def test_word2vec_binary(load, ends):
    rows = zip(WORDS, MATRIX, strict=True)
    content = b"8 5\n" + b"".join(w.replace(" ", "_").encode() + b" " + row.tobytes() + ends for w, row in rows)
    vectors = load(content, "new_york", "nan", "the")
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[2, 7, 0]])
    assert vectors.warnings == []


def test_word2vec_binary_longer_than_a_block(load):
    """Rows that lie across the blocks of the file, with bytes in the numbers that look like blanks and line ends."""
    matrix = np.random.default_rng(1).integers(0, 2**23, size=(2000, 300), dtype=np.int32).view(np.float32)
    words = [f"w{i}" for i in range(2000)]
    content = b"2000 300\n" + b"".join(w.encode() + b" " + r.tobytes() for w, r in zip(words, matrix, strict=True))
    np.testing.assert_array_equal(load(content, *words).matrix[3:], matrix)


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress, zipped]
)
@pytest.mark.parametrize("content", [WORD2VEC.encode(), BINARY])
def test_compressed_whatever_the_name(load, compress, content):
    data = compress(content)
    vectors = load(data, "the", "nan")
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[0, 7]])
    assert vectors.sha256 == hashlib.sha256(data).hexdigest()


def test_real_glove_file(shared_data):
    path = shared_data / "vectors" / "glove.6B.100d.top2604.txt"
    vectors = load_vectors(path, vocabulary("The", "of", "part", "Qxqx"))
    rows = {
        line.split()[0]: np.array(line.split()[1:], dtype=np.float32)
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    np.testing.assert_array_equal(vectors.matrix[3:6], [rows["the"], rows["of"], rows["part"]])
    assert vectors.found.tolist() == [False, False, False, True, True, True, False]
    assert vectors.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_package():
    vectors = load_vectors("glove-6b-50d", vocabulary("Paris", "n't", "the", "’s", "don’t"))
    assert vectors.found[3:].tolist() == [True, True, True, True, False]
    np.testing.assert_allclose(vectors.matrix[5, :4], [0.418, 0.24968, -0.41242, 0.1217], rtol=1e-6)
    assert vectors.name == "glove-6b-50d"
    assert len(vectors.sha256) == 64
    assert vectors.matrix.base is None  # no view of the memory map


def test_gensim_reads_the_same(tmp_path, load):
    """Files that gensim wrote, and gensim's reading of ours."""
    from gensim.models import KeyedVectors

    kv = KeyedVectors(5)
    kv.add_vectors(["new_york" if w == "new york" else w for w in WORDS], MATRIX)
    for binary in (True, False):
        kv.save_word2vec_format(str(tmp_path / "w2v"), binary=binary)
        vectors = load_vectors(tmp_path / "w2v", vocabulary("whale", "naïve"))
        np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[5, 3]])
    (tmp_path / "ours").write_bytes(BINARY)
    np.testing.assert_array_equal(KeyedVectors.load_word2vec_format(tmp_path / "ours", binary=True)["nan"], MATRIX[7])


def test_pickle_only_if_trusted(tmp_path):
    from gensim.models import KeyedVectors, Word2Vec

    path = tmp_path / "vectors.kv"
    kv = KeyedVectors(5)
    kv.add_vectors(WORDS, MATRIX)
    kv.save(str(path))
    with pytest.raises(VectorError, match=r"pickle.*--trust-pickle"):
        load_vectors(path, vocabulary("the"))
    for do in (nearest, convert):
        with pytest.raises(VectorError, match="--trust-pickle"):
            do(path, str(tmp_path / "out"))
    np.testing.assert_array_equal(load_vectors(path, vocabulary("the"), trust_pickle=True).matrix[3], MATRIX[0])
    assert nearest(path, "the", k=1, trust_pickle=True)

    model = Word2Vec([["a", "b"]], vector_size=5, min_count=1, workers=1)
    model.save(str(path))
    np.testing.assert_array_equal(load_vectors(path, vocabulary("a"), trust_pickle=True).matrix[3], model.wv["a"])


def test_pickle_that_is_something_else(tmp_path):
    import pickle

    (tmp_path / "x.kv").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(VectorError, match="does not hold gensim's word vectors"):
        load_vectors(tmp_path / "x.kv", vocabulary("a"), trust_pickle=True)


def test_fasttext_bin_and_subwords():
    from gensim.models.fasttext import load_facebook_vectors
    from gensim.test.utils import datapath

    path = datapath("crime-and-punishment.bin")
    reference = load_facebook_vectors(path)
    words = [*reference.index_to_key[:5], "landladyship", "x"]
    assert "landladyship" not in reference.key_to_index
    vectors = load_vectors(path, vocabulary(*words), missing="subword")
    np.testing.assert_array_equal(vectors.matrix[3:8], reference.vectors[:5])
    np.testing.assert_array_equal(vectors.matrix[8], reference.get_vector("landladyship"))
    assert vectors.found[3:].tolist() == [True] * 5 + [False] * 2
    assert vectors.matrix[9].any()
    assert nearest(path, "landladyship", k=1)[0][1] > 0.5

    text = load_vectors(datapath("crime-and-punishment.vec"), vocabulary(*words))
    np.testing.assert_allclose(text.matrix[3:8], reference.vectors[:5], atol=1e-4)


def test_damaged_fasttext_bin(load):
    with pytest.raises(VectorError, match=r"fastText \.bin, but damaged"):
        load(b"\xba\x16\x4f\x2f" + bytes(20), "the")


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Whale", "whale"),
        ("WHALE", "whale"),
        ("’s", "'s"),
        ("’S", "'s"),
        ("—", "--"),
        ("New York", "new york"),
        ("Wale", None),
    ],
)
def test_spellings(load, word, found):
    vectors = load(GLOVE, word)
    assert vectors.found[3] == (found is not None)
    if found:
        np.testing.assert_array_equal(vectors.matrix[3], MATRIX[WORDS.index(found)])


@given(st.permutations(["Don’T", "don’t", "Don'T", "don't"]), st.integers(1, 4))
def test_best_spelling_wins_in_any_order_of_the_file(tmp_path_factory, order, n):
    ranks = {"Don’T": 0, "don’t": 1, "Don'T": 2, "don't": 3}
    path = tmp_path_factory.mktemp("v") / "v.txt"
    path.write_text("".join(f"{w} {ranks[w]} 7\n" for w in order[:n]), encoding="utf-8")
    vectors = load_vectors(path, vocabulary("Don’T", "don't"))
    assert vectors.matrix[3, 0] == min(ranks[w] for w in order[:n])
    assert vectors.found[4] == ("don't" in order[:n])


def test_several_rows_share_a_word(load):
    vectors = load(GLOVE, "The", "the", "THE")
    np.testing.assert_array_equal(vectors.matrix[3:], MATRIX[[0, 0, 0]])


def test_words_with_spaces_and_numbers(load):
    rows = [". . . 0.1 0.2 0.3", "route 66 1 2 3", "7 4 5 6", "at a@b.c 7 8 9", "end 1 1 1"]
    vectors = load("\n".join(rows) + "\n", ". . .", "route 66", "7", "at a@b.c", "end")
    np.testing.assert_allclose(vectors.matrix[3:], [[0.1, 0.2, 0.3], [1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]])


DAMAGED = {
    "short row": (
        GLOVE.replace(LINES[4], LINES[4].rsplit(" ", 2)[0]),
        r"line 5: the row has 3 numbers, but must have 5",
    ),
    "long row": (GLOVE.replace(LINES[4], LINES[4] + " 0.12345"), r"line 5: the row has more than 5 numbers"),
    "cut in a row": (GLOVE[:-30], r"line 8: the file is cut short"),
    "no number": (GLOVE.replace(LINES[5], "whale 1 2 x 4 5"), r"line 6: could not convert .*'x'"),
    "nan": (GLOVE.replace(LINES[5], "whale 1 2 nan 4 5"), r"line 6: .*'whale'.*not finite"),
    "inf": (GLOVE.replace(LINES[5], "whale 1 2 -inf 4 5"), r"line 6: .*not finite"),
    "too large": (GLOVE.replace(LINES[5], "whale 1 2 1e39 4 5"), r"line 6: .*not finite"),
    "nan, binary": (BINARY.replace(MATRIX[5].tobytes(), np.full(5, np.nan, "f4").tobytes()), r"row 6: .*not finite"),
    "fewer rows than the header says": (WORD2VEC.replace("8 5", "9 5"), r"promises 9 rows, but it has 8"),
    "header alone": ("9 5\n", r"promises 9 rows, but it has 0"),
    "cut binary": (BINARY[:-9], r"promises 8 rows, but it ends in row 8"),
    "shifted binary": (BINARY[:30] + BINARY[31:], r"row \d: this is not a word|cut short"),
    "prose": ("It was the best of times,\nit was the worst of times.\n" * 50, "not a file of word vectors"),
    "empty": ("", "is empty"),
    "blank": ("\n \n", "is empty"),
    "rubbish": (bytes(range(256)) * 2000, "not a file of word vectors"),
    "no line ends": ("x" * 10_000_000, "not a file of word vectors"),
    "cut gzip": (gzip.compress(GLOVE.encode() * 2000)[:-2000], "damaged"),
    "cut bzip2": (bz2.compress(GLOVE.encode() * 2000)[:-200], "damaged"),
    "bare matrix": (b"\x93NUMPY" + bytes(300), "not a file of word vectors"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_clear_line(load, content, message):
    with pytest.raises(VectorError, match=message) as caught:
        load(content, *WORDS, "new_york")
    assert "vectors.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_really_truncated_file(shared_data):
    path = shared_data / "messy" / "glove.6B.100d.truncated_mid_row.txt"
    with pytest.raises(VectorError, match=r"truncated_mid_row\.txt, line 154: the file is cut short"):
        load_vectors(path, vocabulary("the"))


def test_missing_path_folder_and_archive(tmp_path, load):
    with pytest.raises(VectorError, match=r"no vectors 'glove-6b-100d': give glove-6b-50d"):
        load_vectors("glove-6b-100d", vocabulary("the"))
    with pytest.raises(VectorError, match=r"folder without vectors\.npy"):
        load_vectors(tmp_path, vocabulary("the"))
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", GLOVE)
        archive.writestr("b.txt", GLOVE)
    with pytest.raises(VectorError, match=r"holds 2 files \(a\.txt, b\.txt\)"):
        load_vectors(tmp_path / "two.zip", vocabulary("the"))


@given(st.binary(max_size=400), st.sampled_from([b"", b"2 3\n", b"a 1 2\n", BINARY[:40], GLOVE.encode()[:200]]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, before):
    path = tmp_path_factory.mktemp("v") / "v"
    path.write_bytes(before + data)
    try:
        vectors = load_vectors(path, vocabulary("a", "the"))
    except VectorError:
        return
    assert np.isfinite(vectors.matrix).all()


def test_harmless_faults_are_warnings(load):
    twice = load(GLOVE + "the 9 9 9 9 9\n", "the", "The")
    np.testing.assert_array_equal(twice.matrix[3], MATRIX[0])
    assert len(twice.warnings) == 1
    assert "1 words of the vocabulary stand there again, 'the'" in twice.warnings[0]
    (warning,) = load(GLOVE.removesuffix("\n"), "the").warnings
    assert "line 8: the last line has no end" in warning
    (warning,) = load(WORD2VEC.replace("8 5", "7 5"), "the").warnings
    assert "8 rows, 1 more than its header says" in warning
    (warning,) = load(BINARY.replace(b"8 5", b"7 5"), "the").warnings
    assert "goes on after the 7 rows" in warning


def test_zero_policy_and_special_tokens(load):
    content = GLOVE + "<unk> 1 2 3 4 5\n<pad> 6 6 6 6 6\n"
    vectors = load(content, "the", "Qxqx", "Zyzy", missing="zero")
    assert vectors.matrix.any(axis=1).tolist() == [False, False, False, True, False, False]
    vectors = load(content, "the", "Qxqx")
    assert vectors.matrix[1].tolist() == [1, 2, 3, 4, 5]
    assert not vectors.matrix[0].any()
    assert vectors.matrix[2].any()
    assert vectors.coverage.types == 0.5  # of the two words, whatever the special tokens have


def test_mean_policy(load):
    vectors = load(GLOVE, "Qxqx", *WORDS, missing="mean")
    for row in (1, 2, 3):
        np.testing.assert_allclose(vectors.matrix[row], MATRIX.mean(axis=0), rtol=1e-5)


def test_random_policy_keeps_the_scale_and_is_the_words_own():
    rng = np.random.default_rng(0)
    scale = np.linspace(0.1, 2, 50)
    matrix = 0.3 + scale * rng.standard_normal((500, 50))
    known, unknown = [f"k{i}" for i in range(500)], [f"u{i}" for i in range(2000)]
    vectors = vectors_from_words(known, matrix, vocabulary(*known, *unknown))
    found, made = vectors.matrix[vectors.found], vectors.matrix[503:]
    # 2,000 draws: the standard error of a mean is std / 45, of a standard deviation std / 63; six of them are allowed.
    assert (np.abs(made.mean(axis=0) - found.mean(axis=0)) < 6 * scale / 45).all()
    np.testing.assert_allclose(made.std(axis=0), found.std(axis=0), rtol=6 / 63)
    norms = np.linalg.norm(made, axis=1).mean() / np.linalg.norm(found, axis=1).mean()
    assert abs(norms - 1) < 0.02
    assert len(np.unique(made[:, 0])) == 2000

    again = vectors_from_words(known, matrix, vocabulary(*known, *unknown[::-1]))
    np.testing.assert_array_equal(again.matrix[503:], made[::-1])
    other = vectors_from_words(known, matrix, vocabulary(*known, *unknown), seed=1)
    assert not np.isclose(other.matrix[503:], made).all(axis=1).any()


def test_random_policy_without_any_found_word(load):
    vectors = load(GLOVE, *(f"u{i}" for i in range(500)))
    assert not vectors.found.any()
    assert 0.8 < np.linalg.norm(vectors.matrix[3:], axis=1).mean() < 1.1


def test_policies_are_checked(load):
    with pytest.raises(OptionError, match="must be one of random, mean, zero, subword, but is 'none'"):
        load(GLOVE, "the", missing="none")
    with pytest.raises(OptionError, match=r"subword needs a fastText \.bin"):
        load(GLOVE, "the", missing="subword")


def test_coverage(load):
    words = ["the", *(f"u{i}" for i in range(12)), "Whale"]
    counts = np.array([0, 1000, 1000, 60, *range(1, 13), 2])
    vectors = load(GLOVE, *words, counts=counts)
    assert vectors.coverage.types == 2 / 14
    assert vectors.coverage.tokens == 62 / 140
    assert vectors.coverage.missing == [(f"u{i}", i + 1) for i in range(11, 1, -1)]
    (warning,) = vectors.warnings
    assert "only 44% of the text's words" in warning
    assert "--vectors corpus" in warning
    assert "--vectors FILE" in warning
    with pytest.raises(ValueError, match=r"`counts` must have shape"):
        load(GLOVE, *words, counts=counts[3:])
    assert load(GLOVE).coverage == wordlm.vectors.Coverage(1.0, 1.0, [])  # nothing to cover


def test_wikitext_vocabulary_is_covered(shared_data):
    with open(shared_data / "wikitext-2" / "train.txt", encoding="utf-8") as file:
        types = dict.fromkeys(word for line in file for word in line.split())
    types.pop("<unk>")
    vectors = load_vectors("glove-6b-50d", vocabulary(*types))
    assert vectors.found.sum() >= 32_168
    assert len(types) == 33_276


@pytest.mark.parametrize("content", [GLOVE, WORD2VEC, GLOVE + GLOVE])
def test_convert(tmp_path, load, content):
    reference = load(content, *WORDS, "Qxqx")
    assert convert(tmp_path / "vectors.txt", tmp_path / "folder") == []
    vectors = load_vectors(tmp_path / "folder", vocabulary(*WORDS, "Qxqx"))
    np.testing.assert_array_equal(vectors.matrix, reference.matrix)
    assert nearest(tmp_path / "folder", "the") == nearest(tmp_path / "vectors.txt", "the")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "vectors.txt"]
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["metadata.json", "vectors.npy", "words.txt"]
    assert isinstance(np.load(tmp_path / "folder" / "vectors.npy", mmap_mode="r", allow_pickle=False), np.memmap)
    metadata = json.loads((tmp_path / "folder" / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["words"] == content.count("\n") - content.startswith("8 5")
    assert metadata["source_sha256"] == hashlib.sha256(content.encode()).hexdigest()


def test_convert_overwrites_only_what_it_may(tmp_path, load):
    load(GLOVE, "the")
    source, out = tmp_path / "vectors.txt", tmp_path / "out"
    convert(source, out)
    with pytest.raises(VectorError, match="exists: give another folder, or --overwrite"):
        convert(source, out)
    save_vectors(out, ["the"], np.zeros((1, 2)), overwrite=True)
    assert load_vectors(out, vocabulary("the")).matrix.shape == (4, 2)
    source.write_text("a 1 2\nb 1 2\nc x 2\nd 1 2\n", encoding="utf-8")
    with pytest.raises(VectorError, match="line 3"):
        convert(source, out, overwrite=True)
    assert load_vectors(out, vocabulary("the")).matrix.shape == (4, 2)  # still the old one
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "vectors.txt"]
    (tmp_path / "mine").mkdir()
    with pytest.raises(VectorError, match="not a folder of vectors"):
        convert(source, tmp_path / "mine", overwrite=True)


def test_damaged_folder(tmp_path):
    out = tmp_path / "out"
    save_vectors(out, WORDS, MATRIX)
    (out / "words.txt").write_text("the\n.\n", encoding="utf-8")
    with pytest.raises(VectorError, match="8 vectors, but not as many words"):
        load_vectors(out, vocabulary("the"))
    (out / "vectors.npy").write_bytes((out / "vectors.npy").read_bytes()[:-4])
    with pytest.raises(VectorError, match="damaged"):
        load_vectors(out, vocabulary("the"))
    np.save(out / "vectors.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(VectorError, match="damaged"):
        load_vectors(out, vocabulary("the"))


def test_nearest_is_the_cosine(load, tmp_path):
    load(GLOVE, "the")
    result = nearest(tmp_path / "vectors.txt", "Whale", k=3)
    unit = MATRIX / np.linalg.norm(MATRIX, axis=1, keepdims=True)
    cosines = {w: float(c) for w, c in zip(WORDS, unit @ unit[5], strict=True) if w != "whale"}
    assert [w for w, _ in result] == sorted(cosines, key=cosines.get, reverse=True)[:3]
    np.testing.assert_allclose([c for _, c in result], sorted(cosines.values(), reverse=True)[:3], rtol=1e-5)
    assert len(nearest(tmp_path / "vectors.txt", "the", k=100)) == len(WORDS) - 1
    with pytest.raises(VectorError, match="no vector for 'Qxqx'"):
        nearest(tmp_path / "vectors.txt", "Qxqx")
    with pytest.raises(OptionError, match="`k` must be at least 1"):
        nearest(tmp_path / "vectors.txt", "the", k=0)


TWO_TOPICS = [["cat", "dog", "fur", "paw", "tail"], ["sun", "moon", "star", "sky", "light"]]


def sentences(n=400):
    rng = np.random.default_rng(0)
    return [rng.permutation(TWO_TOPICS[i % 2]).tolist() for i in range(n)] + [["once"]]


def test_training_learns_and_reports():
    seen = []
    words, matrix = train_vectors(sentences(), dim=8, epochs=60, progress=lambda *done: seen.append(done))
    assert seen == [(i + 1, 60) for i in range(60)]
    assert sorted(words) == sorted(TWO_TOPICS[0] + TWO_TOPICS[1])
    assert matrix.shape == (10, 8)
    unit = dict(zip(words, matrix / np.linalg.norm(matrix, axis=1, keepdims=True), strict=True))
    assert unit["cat"] @ unit["dog"] > unit["cat"] @ unit["moon"] + 0.2
    vectors = vectors_from_words(words, matrix, vocabulary("Cat", "once"), np.array([0, 0, 0, 3, 1]))
    assert vectors.coverage.tokens == 0.75
    assert (vectors.name, vectors.sha256) == ("corpus", None)
    np.testing.assert_array_equal(vectors.matrix[3], matrix[words.index("cat")])


def test_training_again_gives_the_same():
    """In another process too, where Python hashes strings otherwise."""
    code = (
        "import sys, hashlib; sys.path.insert(0, 'tests'); from test_vectors import *;"
        "words, matrix = train_vectors(sentences(60), dim=4, seed=3);"
        "print(words, hashlib.sha256(matrix.tobytes()).hexdigest())"
    )
    root = wordlm.vectors.Path(__file__).parents[1]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={**wordlm.vectors.os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    words, matrix = train_vectors(sentences(60), dim=4, seed=3)
    assert outputs == [f"{words} {hashlib.sha256(matrix.tobytes()).hexdigest()}\n"] * 2
    assert not np.array_equal(matrix, train_vectors(sentences(60), dim=4, seed=4)[1])


def test_long_sentences_are_not_cut():
    words, _ = train_vectors([["a"] * 10_000 + ["b"] * 10_000], dim=2, epochs=1)
    assert sorted(words) == ["a", "b"]
    assert [len(piece) for piece in wordlm.vectors._Pieces([["a"] * 25_000, []])] == [10_000, 10_000, 5_000]


def test_training_on_too_little():
    for text in ([], [[]], [["a", "b"]]):
        with pytest.raises(VectorError, match="too small to train vectors on"):
            train_vectors(text)
    with pytest.raises(VectorError, match="gone through once per epoch"):
        train_vectors(iter([["a", "a"]]))


def test_import_needs_neither_gensim_nor_pyarrow():
    code = "import sys, wordlm.vectors; print(*sorted({'gensim', 'pyarrow', 'keras', 'zstandard'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
