"""A file of arrays: what comes back, and one line for whatever else lies there."""

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm.errors import BundleError
from wordlm.npz import read_arrays, write_arrays

ARRAYS = {"ids": np.arange(5, dtype=np.uint16), "none": np.zeros(0, np.uint8), "large": np.array([1 << 31], np.uint32)}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "numbers.npz", ARRAYS)
    return tmp_path / "numbers.npz"


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version)
    return file.getvalue()


def test_round_trip(path):
    arrays = read_arrays(path)
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
        assert not arrays[name].flags.writeable
        assert arrays[name].flags.aligned
    with np.load(path, allow_pickle=False) as loaded:
        assert loaded["ids"].tolist() == [0, 1, 2, 3, 4]


def test_the_name_is_taken_as_it_is(tmp_path):
    write_arrays(tmp_path / "numbers", ARRAYS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["numbers"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy([1.5]), "must be a row of whole numbers, but is float64"),
        (npy(np.arange(3)), "must be a row of whole numbers, but is int64"),
        (npy(np.arange(3, dtype=np.uint64)), "must be a row of whole numbers, but is uint64"),
        (npy(np.arange(3, dtype=">u4")), "must be a row of whole numbers, but is >u4"),
        (npy(np.zeros((2, 2), np.uint8)), r"uint8 of shape \(2, 2\)"),
        (npy(np.uint8(3)), r"uint8 of shape \(\)"),
        (npy(np.array([{}], object)), "must be a row of whole numbers, but is object"),
        (npy(np.arange(3, dtype=np.uint8), (2, 0)), "another version of the format"),
        (npy(np.arange(3, dtype=np.uint8))[:-1], "does not have the 3 numbers that it declares"),
        (npy(np.arange(3, dtype=np.uint8)) + b"more", "does not have the 3 numbers that it declares"),
        (npy(np.zeros(3, np.uint8)).replace(b"(3,)", b"(9999999999999,)", 1), "ValueError"),
        (npy(np.zeros(3, np.uint8)).replace(b"(3,), }" + b" " * 9, b"(999999999999,), }", 1), "that it declares"),
        (npy(np.zeros(3, np.uint8)).replace(b"(3,), }", b"(-3,),}", 1), "that it declares"),
        (b"", "ValueError"),
        (b"\x93NUMPY", "ValueError"),
    ],
)
def test_an_array_of_another_kind(path, content, message):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ids.npy", content)
    with pytest.raises(BundleError, match=f"numbers.npz is damaged: .*{message}") as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpacked(path):
    np.savez_compressed(path, ids=np.zeros(1 << 20, np.uint8))
    with pytest.raises(BundleError, match=r"'ids.npy' is compressed, and must not be"):
        read_arrays(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all" * 100])
def test_no_zip(path, content):
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"is damaged: it is not a whole .npz file \(BadZipFile"):
        read_arrays(path)


def test_no_file(tmp_path):
    with pytest.raises(BundleError, match=r"nothing.npz is damaged: it is not a file"):
        read_arrays(tmp_path / "nothing.npz")
    with pytest.raises(BundleError, match=re.escape(str(tmp_path)) + " is damaged: it is not a file"):
        read_arrays(tmp_path)
    with pytest.raises(BundleError, match=r"cannot write .*ngram.npz: No such file or directory; give another path"):
        write_arrays(tmp_path / "nowhere" / "ngram.npz", ARRAYS)


@given(st.data())
@settings(deadline=None)
def test_any_bytes_are_the_arrays_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "numbers.npz"
    write_arrays(path, ARRAYS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        arrays = read_arrays(path)
    except BundleError:
        return
    for array in arrays.values():
        assert (array.ndim, array.dtype.kind) == (1, "u")
