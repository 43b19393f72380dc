"""The weights out of a model.keras, against h5py's own reading; what a made file may try is in test_bundle.py."""

import doctest
import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from wordlm import weights
from wordlm.config import ModelConfig
from wordlm.errors import BundleError
from wordlm.layout import weight_shapes
from wordlm.weights import HDF5, find_weights, open_file, read_weights

V1 = Path(__file__).parent / "data" / "bundle_v1" / "model.keras"
CONFIG = ModelConfig.from_dict(json.loads(V1.with_name("config.json").read_text(encoding="utf-8"))["model"])
SHA256 = hashlib.sha256(V1.read_bytes()).hexdigest()


def test_examples():
    results = doctest.testmod(weights)
    assert results.attempted > 0
    assert results.failed == 0


def test_weights_are_those_that_h5py_finds():
    found = read_weights(V1, CONFIG, SHA256)
    assert {name: array.shape for name, array in found.items()} == weight_shapes(CONFIG)
    arrays = []
    with zipfile.ZipFile(V1) as archive, h5py.File(io.BytesIO(archive.read(HDF5))) as store:
        store.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    arrays = [array for array in arrays if array.dtype == np.float32]
    assert len(arrays) == len(found)
    for name, array in found.items():
        assert any(np.array_equal(array, other) for other in arrays), name
        assert (array.dtype, array.flags.c_contiguous, array.flags.aligned) == (np.float32, True, True)


def test_the_hdf5_file_lies_where_it_is_found():
    with open_file(V1) as file:
        start, size = find_weights(V1, file, CONFIG)
    with zipfile.ZipFile(V1) as archive:
        assert V1.read_bytes()[start : start + size] == archive.read(HDF5)


@pytest.mark.parametrize(
    ("config", "sha256", "message"),
    [
        (CONFIG, "0" * 64, "its sha256"),
        (CONFIG.replace(units=CONFIG.units + 1), SHA256, "must be float32"),
        (CONFIG.replace(layers=2), SHA256, "it has no weights|fewer than"),
    ],
)
def test_weights_of_another_model_are_refused(config, sha256, message):
    with pytest.raises(BundleError, match=message) as caught:
        read_weights(V1, config, sha256)
    assert str(V1) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_cut_is_noticed(tmp_path):
    whole = V1.read_bytes()
    path = Path(shutil.copy(V1, tmp_path))
    for size in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(BundleError, match="damaged"):
            read_weights(path, CONFIG, hashlib.sha256(whole[:size]).hexdigest())
