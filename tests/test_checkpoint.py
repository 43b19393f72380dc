import os
import random

import numpy as np
import pytest

from wordlm import checkpoint as module
from wordlm.checkpoint import has_checkpoint, read_checkpoint, read_info, write_checkpoint
from wordlm.errors import TrainingError

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "seed": np.array([1, 2], np.uint32), "one": np.float32(3)}
INFO = {"position": {"step": 3, "loss": 0.1}, "name": "Ä"}


def test_round_trip(tmp_path):
    folder = tmp_path / "model" / "checkpoint"
    assert not has_checkpoint(folder)
    write_checkpoint(folder, ARRAYS, INFO)
    assert has_checkpoint(folder)
    arrays, info = read_checkpoint(folder)
    assert info == INFO == read_info(folder)
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def test_there_is_none(tmp_path):
    for read in (read_checkpoint, read_info):
        with pytest.raises(TrainingError, match="nothing to resume"):
            read(tmp_path / "checkpoint")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["savez", "fsync", "replace"])
def test_a_crash_leaves_the_checkpoint_before_it(tmp_path, monkeypatch, where, error):
    write_checkpoint(tmp_path, ARRAYS, INFO)

    def crash(*args, **named):
        if where == "savez":
            args[0].write(b"half")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(np if where == "savez" else os, where, crash)
        with pytest.raises(type(error)):
            write_checkpoint(tmp_path, {}, {})
    assert read_info(tmp_path) == INFO
    assert [path.name for path in tmp_path.iterdir()] == [module._FILE]


def test_damage_is_one_clear_line_or_does_no_harm(tmp_path):
    write_checkpoint(tmp_path, ARRAYS, INFO)
    path = tmp_path / module._FILE
    whole, rng = path.read_bytes(), random.Random(0)
    damaged = [whole[: len(whole) * i // 20] for i in range(20)]
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3])):
            changed[rng.randrange(len(whole))] = rng.randrange(256)
        damaged.append(bytes(changed))
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            read_checkpoint(tmp_path)
        except TrainingError as error:
            refused += "is damaged" in str(error)
    assert refused > 150
