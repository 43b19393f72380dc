"""The rows of a vocabulary: spellings, policies for missing words, coverage."""

import doctest
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vector_samples import GLOVE, MATRIX, WORDS, load_content, vocabulary

from wordlm import config, embedding
from wordlm.embedding import Coverage, vectors_from_words
from wordlm.errors import OptionError
from wordlm.vectors import load_vectors


@pytest.fixture
def load(tmp_path):
    return partial(load_content, tmp_path)


def test_examples():
    results = doctest.testmod(embedding)
    assert results.failed == 0
    assert results.attempted > 3


def test_the_config_offers_the_same_policies():
    assert config.DataConfig.__dataclass_fields__["missing"].metadata["choices"] == embedding.MISSING_POLICIES


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
    assert load(GLOVE).coverage == Coverage(1.0, 1.0, [])  # nothing to cover


def test_wikitext_vocabulary_is_covered(shared_data):
    with open(shared_data / "wikitext-2" / "train.txt", encoding="utf-8") as file:
        types = dict.fromkeys(word for line in file for word in line.split())
    types.pop("<unk>")
    vectors = load_vectors("glove-6b-50d", vocabulary(*types))
    assert vectors.found.sum() >= 32_168
    assert len(types) == 33_276
