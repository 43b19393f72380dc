"""Which folders are free, which hold a model, and what is said of the others."""

import os

import pytest

from wordlm.checkpoint import write_checkpoint
from wordlm.errors import BundleError
from wordlm.model_folder import FILES, check_target, checkpoint_folder, missing_files


@pytest.fixture
def make(tmp_path):
    """Makes a folder with empty files and folders (with / at their end) of these names."""

    def make(*names):
        folder = tmp_path / "model"
        folder.mkdir()
        for name in names:
            if name.endswith("/"):
                (folder / name).mkdir()
            else:
                (folder / name).touch()
        return folder

    return make


@pytest.mark.parametrize("names", [(), ("checkpoint/",)])
def test_free(make, tmp_path, names):
    check_target(tmp_path / "nowhere")
    check_target(make(*names))


@pytest.mark.parametrize("more", [(), ("ngram.npz",), ("checkpoint/",), ("ngram.npz", "checkpoint/")])
def test_a_model_is_replaced_when_told_to(make, more):
    folder = make(*FILES, *more)
    with pytest.raises(BundleError, match="holds a saved model already: give --overwrite to replace it"):
        check_target(folder)
    check_target(folder, overwrite=True)


@pytest.mark.parametrize(
    ("names", "stranger"),
    [
        (("notes.txt",), "notes.txt"),
        ((*FILES, "thesis.txt"), "thesis.txt"),
        ((*FILES, "ngram.npz", "ngram.bin"), "ngram.bin"),
        (("ngram.npz",), "ngram.npz"),
        (("config.json",), "config.json"),
        (("checkpoint",), "checkpoint"),
        (("checkpoint/", "vocab.txt"), "checkpoint"),
    ],
)
def test_anything_else_is_never_replaced(make, names, stranger):
    folder = make(*names)
    for overwrite in (False, True):
        with pytest.raises(BundleError, match=f"it holds '{stranger}', which is never deleted"):
            check_target(folder, overwrite)


def test_files_and_mount_points(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is a file: a model is saved as a folder"):
        check_target(tmp_path / "file", overwrite=True)
    with pytest.raises(BundleError, match="is a mount point"):
        check_target("/", overwrite=True)


@pytest.mark.parametrize("missing", [(), ("vocab.txt",), ("model.keras", "metadata.json")])
def test_missing_files(make, missing):
    folder = make("ngram.npz", *(name for name in FILES if name not in missing))
    assert missing_files(folder) == list(missing)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is not a saved model: it has no config.json, vocab.txt, model.keras, metadata.json; give"),
        (("ngram.npz",), "is not a saved model: it has no config.json"),
        (("metadata.json", "vocab.txt"), "is not a saved model: it has no config.json, model.keras; give"),
        (("model.keras",), "config.json is damaged: it is missing"),
        (("checkpoint/",), "has not finished, and left nothing to go on with: train again"),
    ],
)
def test_no_model(make, names, message):
    with pytest.raises(BundleError, match=message):
        missing_files(make(*names))


def test_a_training_that_can_go_on(tmp_path):
    write_checkpoint(checkpoint_folder(tmp_path / "model"), {}, {})
    with pytest.raises(BundleError, match=r"has not finished: go on with `wordlm train --resume .*model`"):
        missing_files(tmp_path / "model")
    check_target(tmp_path / "model")


def test_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="there is no model at"):
        missing_files(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"is not a folder: a saved model is a folder with config.json"):
        missing_files(tmp_path / "file")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not hold for root")
def test_no_permission(make):
    folder = make(*FILES)
    folder.chmod(0)
    with pytest.raises(BundleError, match="cannot read the folder"):
        missing_files(folder)
    folder.chmod(0o700)
