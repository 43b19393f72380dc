"""The saved folder: what is written, what is read back, and one clear line for every fault.

`python tests/test_bundle.py` writes tests/data/bundle_v1 again, and prints Keras' log-probabilities for it.
"""

import doctest
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import wordlm.bundle
import wordlm.weights
from wordlm.bundle import FORMAT_VERSION, load_bundle, save_bundle, update_metadata
from wordlm.checkpoint import write_checkpoint
from wordlm.config import ModelConfig, TextConfig
from wordlm.engine import Engine
from wordlm.errors import BundleError
from wordlm.layout import weight_shapes
from wordlm.model import build_model, get_weights, set_weights
from wordlm.model_folder import check_target, checkpoint_folder
from wordlm.ngram import KneserNey
from wordlm.vocab import Vocabulary

# Keras' saver, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

V1 = Path(__file__).parent / "data" / "bundle_v1"
WORDS = ["<pad>", "<unk>", "<eos>", "the", ".", "cat", "dog", "sat", "ran", "on", "mat", "é"]
CONFIG = ModelConfig(vocab_size=12, embedding_dim=3, units=4, dense=5, dropout=0.1)
TEXT = TextConfig(kind="lines", lowercase=True)
PROMPT = [2, 3, 5, 7]  # <eos> the cat sat
# Keras' natural logarithms of the probabilities that follow PROMPT in bundle_v1.
GOLDEN = [
    -1.7529475688934326, -2.638989210128784, -4.243688583374023, -2.9441335201263428, -1.674315333366394,
    -3.301088333129883, -4.151704788208008, -2.3057374954223633, -1.930806279182434, -3.873389720916748,
    -3.7477385997772217, -1.8375340700149536,
]  # fmt: skip


def tiny_model(config=CONFIG):
    """A model whose weights are sines, so that they need no random generator."""
    model = build_model(config)
    arrays = {}
    for number, (name, shape) in enumerate(weight_shapes(config).items()):
        arrays[name] = np.sin(1.7 * np.arange(np.prod(shape)) + number).reshape(shape).astype("float32")
    arrays["embedding"][0] = 0
    set_weights(model, arrays)
    return model


def save(path, model=None, config=CONFIG, metadata=None, overwrite=False, **more):
    save_bundle(path, model or tiny_model(config), config, TEXT, Vocabulary(WORDS), metadata or {}, overwrite, **more)
    return Path(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A bundle that no test may change."""
    return save(tmp_path_factory.mktemp("bundle") / "tiny", metadata={"seed": 7})


@pytest.fixture
def copy(saved, tmp_path):
    """A bundle to break."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def sign(folder):
    """Makes the hashes true again after a change: what someone who means harm would do."""
    metadata = json.loads((folder / "metadata.json").read_text())
    for name in metadata["sha256"]:
        metadata["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "metadata.json").write_text(json.dumps(metadata))


def members(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(folder, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / "model.keras", "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    sign(folder)


def change_config(folder, **changes):
    content = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(content))
    sign(folder)


def change_hdf5(folder, change):
    """Applies a function to the open HDF5 file in model.keras."""
    entries = members(folder)
    buffer = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(buffer, "r+") as store:
        change(store)
    write_members(folder, entries | {"model.weights.h5": buffer.getvalue()})


def read(folder):
    """Everything of a bundle, weights included."""
    bundle = load_bundle(folder)
    return bundle, bundle.weights


def same(bundle, weights, other, other_weights):
    """Whether two bundles speak alike."""
    return (
        (bundle.config, bundle.text, bundle.vocabulary.tokens) == (other.config, other.text, other.vocabulary.tokens)
        and weights.keys() == other_weights.keys()
        and all(np.array_equal(weights[name], other_weights[name]) for name in weights)
    )


# What is saved and read back


def test_round_trip(saved):
    bundle, weights = read(str(saved))
    assert (bundle.config, bundle.text, bundle.vocabulary.tokens) == (CONFIG, TEXT, WORDS)
    assert bundle.path == saved
    assert bundle.metadata["seed"] == 7
    assert sorted(os.listdir(saved)) == ["config.json", "metadata.json", "model.keras", "vocab.txt"]
    assert {name: array.shape for name, array in weights.items()} == weight_shapes(CONFIG)
    assert bundle.weights is weights  # read once


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "lstm", "layers": 3, "dense": 0},
        {"cell": "gru", "layers": 2, "masking": True, "context": 4, "recurrent_dropout": 0.1, "input_dropout": 0.1},
        {"cell": "rnn", "trainable_embedding": True},
        {"cell": "lstm", "layers": 2, "bidirectional": True, "context": 4},
        {"cell": "gru", "bidirectional": True, "context": 4, "dense": 0},
    ],
    ids=str,
)
def test_weights_are_keras_weights(tmp_path, options):
    config = CONFIG.replace(**options)
    build_model(config)  # Keras counts layers by class, and the count must not go on from model to model
    model = tiny_model(config)
    weights = load_bundle(save(tmp_path / "model", model, config)).weights
    expected = get_weights(model)
    assert list(weights) == list(weight_shapes(config))
    for name in weights:
        np.testing.assert_array_equal(weights[name], expected[name], err_msg=name)
        assert weights[name].dtype == np.float32
        assert weights[name].flags.c_contiguous
        assert weights[name].flags.aligned


@pytest.mark.parametrize("context", [0, 4])
def test_model_keras_opens_in_keras(tmp_path, context):
    import keras

    config = CONFIG.replace(context=context)
    save(tmp_path / "model", config=config)
    opened = keras.saving.load_model(tmp_path / "model" / "model.keras")
    ours = build_model(config)
    set_weights(ours, load_bundle(tmp_path / "model").weights)
    ids = np.array([[2, 3, 5, 7], [3, 9, 1, 11]])
    expected = np.asarray(tiny_model(config)(ids))
    np.testing.assert_allclose(np.asarray(opened(ids)), expected, atol=1e-7)
    np.testing.assert_allclose(np.asarray(ours(ids)), expected, atol=1e-7)


def test_optimizer_is_left_out(saved, tmp_path):
    model = tiny_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    save(tmp_path / "model", model)
    sizes = [(folder / "model.keras").stat().st_size for folder in (tmp_path / "model", saved)]
    assert abs(sizes[0] - sizes[1]) < 100
    assert model.compiled


def test_metadata(tmp_path):
    metadata = {
        "history": [{"epoch": np.int64(1), "loss": np.float32(2.5)}, {"epoch": 2, "loss": float("nan")}],
        "coverage": np.array([0.5, 0.25]),
        "file": tmp_path,
        "missing": (("é", 3),),
        "sha256": "an older one",
    }
    bundle = load_bundle(save(tmp_path / "model", metadata=metadata))
    assert bundle.metadata["history"] == [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": None}]
    assert bundle.metadata["coverage"] == [0.5, 0.25]
    assert bundle.metadata["file"] == str(tmp_path)
    assert bundle.metadata["missing"] == [["é", 3]]
    assert bundle.metadata["created"].startswith("20")
    assert bundle.metadata["versions"].keys() >= {"wordlm", "python", "keras", "numpy"}
    assert bundle.metadata["versions"]["numpy"] == np.__version__
    assert bundle.metadata["sha256"].keys() == {"config.json", "vocab.txt", "model.keras"}
    json.loads((tmp_path / "model" / "metadata.json").read_text(), parse_constant=pytest.fail)


def test_loading_needs_no_keras(saved):
    code = (
        "import sys; from wordlm.bundle import load_bundle; load_bundle(sys.argv[1]).weights; "
        "sys.exit(sorted({'keras', 'tensorflow', 'jax', 'gensim', 'pickle5'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code, saved], check=True)


def test_bundle_of_format_1():
    bundle, weights = read(V1)
    assert (bundle.config, bundle.text, bundle.vocabulary.tokens) == (CONFIG, TEXT, WORDS)
    engine = Engine(bundle.config, weights)
    logprobs, _ = engine.run(np.array([PROMPT]))
    np.testing.assert_allclose(np.asarray(logprobs)[0, -1], GOLDEN, atol=1e-5)


# The n-gram model beside it

TOKENS = [3, 5, 7, 4, 2, 3, 6, 8, 9, 3, 10, 4, 2]  # the cat sat . the dog ran on the mat .


@pytest.fixture(scope="module")
def with_ngram(tmp_path_factory):
    """A bundle with an n-gram model, which no test may change."""
    folder = tmp_path_factory.mktemp("ngram")
    return save(folder / "tiny", ngram=counted(folder, 12))


def counted(folder, size):
    """A file of the n-grams of `TOKENS`."""
    KneserNey.fit(TOKENS, size).save(folder / "counts.npz")
    return folder / "counts.npz"


def test_an_ngram_model_is_saved_and_read_back(with_ngram):
    assert sorted(os.listdir(with_ngram)) == ["config.json", "metadata.json", "model.keras", "ngram.npz", "vocab.txt"]
    bundle = load_bundle(with_ngram)
    assert bundle.metadata["sha256"].keys() == {"config.json", "vocab.txt", "model.keras", "ngram.npz"}
    assert bundle.has_ngram
    assert bundle.ngram is bundle.ngram  # read once
    expected = KneserNey.fit(TOKENS, 12).target_logprobs(TOKENS)
    np.testing.assert_array_equal(bundle.ngram.target_logprobs(TOKENS), expected)


@pytest.mark.parametrize("folder", [V1, "saved"])
def test_a_bundle_without_an_ngram_model_says_how_to_get_one(saved, folder):
    bundle = load_bundle(saved if folder == "saved" else folder)
    assert not bundle.has_ngram
    ways = r"train it with `wordlm train --with-ngram`, or give its text with `--train TEXT`"
    with pytest.raises(BundleError, match=f"has no n-gram model: {ways}"):
        _ = bundle.ngram


def test_an_ngram_model_is_replaced_with_the_rest(with_ngram, tmp_path):
    path = Path(shutil.copytree(with_ngram, tmp_path / "model"))
    with pytest.raises(BundleError, match="holds a saved model already"):
        check_target(path)
    save(path, overwrite=True)
    assert "ngram.npz" not in os.listdir(path)
    assert not load_bundle(path).has_ngram


def test_an_ngram_model_of_other_words_is_not_saved(tmp_path):
    with pytest.raises(BundleError, match=r"it knows 13 words, but config\.json says 12"):
        save(tmp_path / "model", ngram=counted(tmp_path, 13))
    assert os.listdir(tmp_path) == ["counts.npz"]


def of_other_words(folder):
    KneserNey.fit(TOKENS, 13).save(folder / "ngram.npz")
    sign(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: os.remove(folder / "ngram.npz"), "ngram.npz is damaged: it is not a file"),
        (lambda folder: KneserNey.fit([3, 2], 12).save(folder / "ngram.npz"), "ngram.npz is damaged: its sha256"),
        (of_other_words, "ngram.npz is damaged: it knows 13 words, but config.json says 12"),
        (lambda folder: [(folder / "ngram.npz").write_bytes(b"PK"), sign(folder)], "it is not a whole .npz file"),
    ],
)
def test_a_damaged_ngram_model_leaves_the_rest_in_use(with_ngram, tmp_path, change, message):
    folder = Path(shutil.copytree(with_ngram, tmp_path / "copy"))
    change(folder)
    bundle, _ = read(folder)
    with pytest.raises(BundleError, match=message) as caught:
        _ = bundle.ngram
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


# Its metadata, changed later


def test_metadata_can_be_added_and_changed(copy):
    before = load_bundle(copy).metadata
    update_metadata(copy, {"mixture": {"lstm": np.float32(0.5), "cache": float("nan")}, "seed": 8})
    after = load_bundle(copy).metadata
    assert after == before | {"mixture": {"lstm": 0.5, "cache": None}, "seed": 8}
    assert sorted(os.listdir(copy)) == ["config.json", "metadata.json", "model.keras", "vocab.txt"]
    read(copy)


def test_metadata_of_what_is_no_bundle_are_left_alone(copy, tmp_path):
    with pytest.raises(BundleError, match="there is no model at"):
        update_metadata(tmp_path / "nowhere", {"seed": 8})
    (copy / "vocab.txt").write_text("other words")
    before = (copy / "metadata.json").read_bytes()
    with pytest.raises(BundleError, match=r"vocab.txt is damaged"):
        update_metadata(copy, {"seed": 8})
    assert (copy / "metadata.json").read_bytes() == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_metadata_stay_where_they_cannot_be_replaced(copy, monkeypatch, error, call):
    def fail(*_):
        raise error

    before = (copy / "metadata.json").read_bytes()
    monkeypatch.setattr(os, call, fail)
    kind = BundleError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(kind) as caught:
        update_metadata(copy, {"seed": 8})
    if kind is BundleError:
        assert re.search(r"cannot write .*metadata.json: No space left on device; check", str(caught.value))
    monkeypatch.undo()
    assert (copy / "metadata.json").read_bytes() == before
    assert len(os.listdir(copy)) == 4


# Where it is saved


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_overwrite(tmp_path):
    path = save(tmp_path / "deep" / "er" / "model", metadata={"n": 1})
    with pytest.raises(BundleError, match="holds a saved model already: give --overwrite"):
        save(path)
    assert load_bundle(path).metadata["n"] == 1
    checkpoint_folder(path).mkdir()  # a training that was to replace it
    save(path, metadata={"n": 2}, overwrite=True)
    assert load_bundle(path).metadata["n"] == 2
    assert not checkpoint_folder(path).exists()
    assert leftovers(path.parent) == []


def test_checkpoint_gives_way(tmp_path):
    path = tmp_path / "model"
    checkpoint_folder(path).mkdir(parents=True)
    with pytest.raises(BundleError, match=r"has not finished, and left nothing to go on with: train again"):
        load_bundle(path)
    write_checkpoint(checkpoint_folder(path), {}, {})
    with pytest.raises(BundleError, match=r"has not finished: go on with `wordlm train --resume .*model`"):
        load_bundle(path)
    check_target(path)
    save(path)
    assert "checkpoint" not in os.listdir(path)


def test_empty_folder_is_free(tmp_path):
    (tmp_path / "model").mkdir()
    load_bundle(save(tmp_path / "model"))


def test_what_is_not_a_bundle_is_never_deleted(tmp_path, saved):
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "config.json").write_text("{}")
    mixed = Path(shutil.copytree(saved, tmp_path / "mixed"))
    (mixed / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("text")
    for path, message in [
        (notes, "it holds 'config.json', which is never deleted"),
        (mixed, "it holds 'thesis.txt', which is never deleted"),
        (tmp_path / "file", "is a file: a model is saved as a folder"),
        (Path("/"), "is a mount point"),
    ]:
        for overwrite in (False, True):
            with pytest.raises(BundleError, match=message):
                check_target(path, overwrite)
        if path != Path("/"):
            with pytest.raises(BundleError, match=message):
                save(path, overwrite=True)
    assert (mixed / "thesis.txt").read_text() == "years of work"
    assert (notes / "config.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_is_followed(tmp_path, saved):
    shutil.copytree(saved, tmp_path / "model-1")
    (tmp_path / "latest").symlink_to("model-1")
    save(tmp_path / "latest", metadata={"n": 2}, overwrite=True)
    assert (tmp_path / "latest").is_symlink()
    assert load_bundle(tmp_path / "model-1").metadata["n"] == 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 2])
def test_failed_saving_leaves_the_old_one(tmp_path, saved, monkeypatch, error, call):
    path = Path(shutil.copytree(saved, tmp_path / "model"))
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == call:
            raise error
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    kind = BundleError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(kind) as caught:
        save(path, overwrite=True)
    if kind is BundleError:
        assert "No space left on device" in str(caught.value)
    monkeypatch.undo()
    assert load_bundle(path).metadata["seed"] == 7
    assert leftovers(tmp_path) == []


def test_parts_that_do_not_fit_are_not_saved(tmp_path):
    with pytest.raises(BundleError, match="the vocabulary has 12 words, but the model 13"):
        save(tmp_path / "model", tiny_model(), CONFIG.replace(vocab_size=13))
    with pytest.raises(BundleError, match="the model is not what its config says"):
        save(tmp_path / "model", tiny_model(), CONFIG.replace(units=5))
    assert os.listdir(tmp_path) == []


# Faults, each with its line


def delete(name):
    return lambda folder: os.remove(folder / name)


def write(name, content, signed=False):
    def change(folder):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if signed:
            sign(folder)

    return change


def cut(name, share=0.5):
    return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * share))


def replace_by_folder(name):
    def change(folder):
        os.remove(folder / name)
        (folder / name).mkdir()

    return change


def config(**changes):
    return lambda folder: change_config(folder, **changes)


def hdf5(change):
    return lambda folder: change_hdf5(folder, change)


def zipped(change, compression=zipfile.ZIP_STORED):
    return lambda folder: write_members(folder, change(members(folder)), compression)


def array(**options):
    """Puts another dataset in the place of the output layer's bias, 12 float32 numbers."""

    def change(store):
        del store["layers/dense_1/vars/1"]
        store["layers/dense_1/vars"].create_dataset("1", **options)

    return hdf5(change)


def link(target):
    def change(store):
        del store["layers/dense_1/vars/1"]
        store["layers/dense_1/vars/1"] = target

    return hdf5(change)


def virtual(store):
    layout = h5py.VirtualLayout((12,), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (12,))
    del store["layers/dense_1/vars/1"]
    store["layers/dense_1/vars"].create_virtual_dataset("1", layout)


def whole_layer_elsewhere(store):
    del store["layers/embedding"]
    store["layers/embedding"] = h5py.ExternalLink("/etc/passwd", "/x")


def bomb(folder):
    """A gigabyte of zeros, compressed to a megabyte."""
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        with archive.open("model.weights.h5", "w") as file:
            for _ in range(64):
                file.write(bytes(1 << 20))
    sign(folder)


def name_twice(folder):
    entries = members(folder)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(folder / "model.keras", "a") as archive:
        archive.writestr("config.json", entries["config.json"])
    sign(folder)


def fifo(folder):
    os.remove(folder / "vocab.txt")
    os.mkfifo(folder / "vocab.txt")


def drop_hash(folder):
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["sha256"]["vocab.txt"]
    (folder / "metadata.json").write_text(json.dumps(metadata))


def other_model(folder):
    """A model.keras that is whole, but not the one that was saved."""
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["sha256"]["model.keras"] = "0" * 64
    (folder / "metadata.json").write_text(json.dumps(metadata))


def group(store):
    del store["layers/dense_1/vars/1"]
    store.create_group("layers/dense_1/vars/1")


FAULTS = {
    "nothing in it": (lambda folder: [os.remove(file) for file in folder.iterdir()], "is not a saved model: it has no"),
    "no config": (delete("config.json"), "config.json is damaged: it is missing"),
    "no vocabulary": (delete("vocab.txt"), "vocab.txt is damaged: it is missing"),
    "no model": (delete("model.keras"), "model.keras is damaged: it is missing"),
    "no metadata": (delete("metadata.json"), "metadata.json is damaged: it is missing"),
    "a folder for a file": (replace_by_folder("vocab.txt"), "vocab.txt is damaged: it is not a file"),
    "a pipe for a file": (fifo, "vocab.txt is damaged: it is not a file"),
    "config not JSON": (write("config.json", "{not json"), "config.json is damaged: it is not JSON"),
    "config not UTF-8": (write("config.json", b"\xff\xfe{}"), "config.json is damaged: it is not JSON"),
    "config too deep": (write("config.json", "[" * 200_000), "config.json is damaged: it is not JSON"),
    "config a list": (write("config.json", "[1]"), "must hold a JSON object, but holds a list"),
    "config huge": (write("config.json", b" " * (1 << 20) + b"{}"), "more than 1,048,576 bytes"),
    "config of another program": (write("config.json", '{"a": 1}'), "`format_version` must be a whole number from 1"),
    "version not a number": (config(format_version="1"), "`format_version` must be a whole number from 1, but is '1'"),
    "newer format": (config(format_version=2), "is of format 2, .* reads up to 1: it needs a newer wordlm"),
    "config edited": (write("config.json", '{"format_version": 1}'), "config.json is damaged: its sha256"),
    "config key": (config(extra=1), "has no use for 'extra': its keys are format_version, model and text"),
    "config without model": (config(model=None), "'model' must be an object of options, but is None"),
    "unknown option": (config(model={"heads": 8}), "config.json: ModelConfig has no option 'heads'"),
    "unknown text option": (config(text={"code": "x"}), "config.json: TextConfig has no option 'code'"),
    "option out of range": (config(model={"units": 0}), "config.json: `units` must be at least 1, but is 0"),
    "option of another type": (config(model={"units": "4"}), "`units` must be of type int, but is '4'"),
    "option unknown by name": (config(model={"cell": "xlstm"}), "`cell` must be one of lstm, gru, rnn"),
    "metadata not JSON": (cut("metadata.json"), "metadata.json is damaged: it is not JSON"),
    "metadata a number": (write("metadata.json", "1"), "must hold a JSON object, but holds a int"),
    "metadata without hash": (drop_hash, "metadata.json is damaged: it has no sha256 of vocab.txt"),
    "hashes a list": (write("metadata.json", '{"sha256": []}'), "it has no sha256 of config.json"),
    "vocabulary edited": (write("vocab.txt", "<pad>\n"), "vocab.txt is damaged: its sha256"),
    "vocabulary short": (write("vocab.txt", "<pad>\n<unk>\n<eos>\na\n", True), "has 4 words, but config.json says 12"),
    "vocabulary not UTF-8": (write("vocab.txt", b"<pad>\n\xff", True), "vocab.txt is damaged: it is not UTF-8"),
    "vocabulary without specials": (
        write("vocab.txt", "a\nb\nc\n", True),
        "vocab.txt is damaged: its first tokens must be",
    ),
    "vocabulary size": (config(model={"vocab_size": 13}), "has 12 words, but config.json says 13"),
    "model cut": (cut("model.keras"), "model.keras is damaged: it is not a whole zip archive"),
    "model empty": (cut("model.keras", 0), "model.keras is damaged: it is not a whole zip archive"),
    "model edited": (other_model, "model.keras is damaged: its sha256"),
    "zip without weights": (zipped(lambda e: e | {"model.weights.h5": b""}), "weights are cut off, or fewer"),
    "zip lacks weights": (zipped(lambda e: {"config.json": b"", "metadata.json": b""}), "holds no model.weights.h5"),
    "zip climbs": (zipped(lambda e: e | {"../../evil": b"x"}), r"holds '\.\./\.\./evil': refused"),
    "zip at root": (zipped(lambda e: e | {"/etc/evil": b"x"}), "holds '/etc/evil': refused"),
    "zip with code": (zipped(lambda e: e | {"assets/a.py": b"x"}), r"holds 'assets/a\.py': refused"),
    "zip names twice": (name_twice, "holds a name twice: refused"),
    "zip compressed": (zipped(lambda e: e, zipfile.ZIP_DEFLATED), "is compressed or encrypted inside: refused"),
    "zip bomb": (bomb, "declares 67,108,864 bytes of weights, but its config needs .*: refused, too large"),
    "config needs more": (config(model={"units": 10**9}), "fewer than the [0-9,]{20,} bytes that its config needs"),
    "not HDF5": (zipped(lambda e: e | {"model.weights.h5": bytes(20_000)}), "its HDF5 file cannot be read"),
    "HDF5 cut": (
        zipped(lambda e: e | {"model.weights.h5": e["model.weights.h5"][:20_000]}),
        "HDF5 file cannot be read",
    ),
    "other cell": (config(model={"cell": "gru"}), "model.keras is damaged: it has no weights layers/gru/cell/vars/0"),
    "other shape": (config(model={"units": 3}), r"must be float32 \(3, 12\), but is float32 \(3, 16\)"),
    "array missing": (hdf5(lambda s: s.__delitem__("layers/dense_1/vars/1")), "no weights layers/dense_1/vars/1"),
    "a group for an array": (hdf5(group), "model.keras is damaged: layers/dense_1/vars/1 is not an array"),
    "double precision": (array(data=np.zeros(12)), "must be float32 .12,., but is float64"),
    "big-endian": (array(data=np.zeros(12, ">f4")), "must be float32 .12,., but is >f4"),
    "strings": (array(data=["x"] * 12), "must be float32 .12,., but is object"),
    "huge shape": (array(shape=(1 << 40,), dtype="<f4", chunks=(1 << 10,)), "must be float32 .12,., but is float32"),
    "compressed": (array(data=np.zeros(12, "<f4"), compression="gzip"), "is compressed or empty: refused"),
    "never written": (array(shape=(12,), dtype="<f4"), "is compressed or empty: refused"),
    "other file": (
        array(shape=(12,), dtype="<f4", external=[("/etc/passwd", 0, 48)]),
        "is kept in another file: refused",
    ),
    "virtual": (hdf5(virtual), "is kept in another file: refused"),
    "external link": (link(h5py.ExternalLink("/etc/passwd", "/x")), "is a link to somewhere else: refused"),
    "soft link": (link(h5py.SoftLink("/layers/dense_1/vars/0")), "is a link to somewhere else: refused"),
    "external group": (hdf5(whole_layer_elsewhere), "is a link to somewhere else: refused"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(copy, fault):
    change, message = FAULTS[fault]
    change(copy)
    with pytest.raises(BundleError) as caught:
        read(copy)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    assert str(copy) in str(caught.value)


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("a text")
    for path, message in [
        (tmp_path / "nowhere", "there is no model at"),
        (tmp_path / "file", "is not a folder: a saved model is a folder with config.json"),
        (tmp_path / "file" / "below", "there is no model at"),
        (tmp_path / ("x" * 5000), "there is no model at"),
        (tmp_path, "is not a saved model: it has no config.json, vocab.txt, model.keras, metadata.json"),
    ]:
        with pytest.raises(BundleError, match=message):
            load_bundle(path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not hold for root")
def test_no_permission(copy):
    (copy / "vocab.txt").chmod(0)
    with pytest.raises(BundleError, match=r"cannot read .*vocab.txt: Permission denied; check its permissions"):
        load_bundle(copy)
    copy.chmod(0)
    with pytest.raises(BundleError, match="cannot read the folder"):
        load_bundle(copy)
    copy.chmod(0o700)


def damage(data, rng):
    """The bytes with some bits turned, a piece cut out, or an end cut off."""
    data = bytearray(data)
    kind = rng.choice(["bits", "bits", "cut", "hole", "noise"])
    place = rng.randrange(len(data))
    if kind == "bits":
        for _ in range(rng.choice([1, 1, 3, 20])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[place:]
    elif kind == "hole":
        del data[place : place + rng.randrange(1, 100)]
    else:
        data[place : place + 8] = rng.randbytes(8)
    return bytes(data)


def check_damage(copy, seeds, signed):
    """Damages one file after the other: a BundleError in one line, or the same model; nothing else, ever."""
    whole = read(copy)
    caught = 0
    for name in ("config.json", "vocab.txt", "metadata.json", "model.keras"):
        original, metadata = (copy / name).read_bytes(), (copy / "metadata.json").read_bytes()
        for seed in seeds:
            (copy / name).write_bytes(damage(original, random.Random(f"{name} {seed}")))
            if signed and name != "metadata.json":
                sign(copy)
            message = None
            try:
                bundle, weights = read(copy)
            except BundleError as error:
                message = str(error)
            if message:
                caught += 1
                assert "\n" not in message
            else:
                assert signed or same(bundle, weights, *whole), (name, seed)
            (copy / name).write_bytes(original)
            (copy / "metadata.json").write_bytes(metadata)
    return caught


def test_damage_is_noticed(copy):
    assert check_damage(copy, range(60), signed=False) > 180


def test_damage_with_true_hashes_is_survived(copy):
    assert check_damage(copy, range(60), signed=True) > 90


@pytest.mark.slow
@pytest.mark.parametrize("signed", [False, True])
def test_much_damage(copy, signed):
    check_damage(copy, range(60, 1000), signed)


@pytest.mark.parametrize("module", [wordlm.bundle, wordlm.weights])
def test_examples(module):
    failed, attempted = doctest.testmod(module)
    assert failed == 0
    assert attempted > 0


def test_format_version():
    assert FORMAT_VERSION == 1, "keep the old format's bundle in tests/data, and add one of the new format"


if __name__ == "__main__":
    save(V1, overwrite=True)
    print(np.log(np.asarray(tiny_model()(np.array([PROMPT])))[0, -1]).tolist())
