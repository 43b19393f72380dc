"""A folder, or a file, that appears whole or not at all, whatever fails and whenever."""

import doctest
import os
from pathlib import Path

import pytest

from wordlm import atomic
from wordlm.atomic import atomic_folder, replace_file


def fill(folder, content):
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text(content)
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def replace(target, keep=None, error=None):
    with atomic_folder(target, keep) as new:
        fill(new, "new")
        if error:
            raise error
        (new / "more").write_text("more")


def test_examples():
    results = doctest.testmod(atomic)
    assert results.failed == 0
    assert results.attempted > 0


def test_a_new_folder_in_new_folders(tmp_path):
    replace(tmp_path / "a" / "b")
    assert contents(tmp_path) == {"a/b/file": "new", "a/b/more": "more"}


def test_the_old_folder_goes(tmp_path):
    fill(fill(tmp_path / "a", "old") / "deeper", "old")
    replace(tmp_path / "a")
    assert contents(tmp_path) == {"a/file": "new", "a/more": "more"}


def test_nothing_is_seen_before_the_end(tmp_path):
    target = fill(tmp_path / "a", "old")
    with atomic_folder(target) as new:
        fill(new, "new")
        assert new.parent == target.parent
        assert new.name.startswith(".a.")
        assert contents(target) == {"file": "old"}
    assert contents(target) == {"file": "new"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("mine")])
@pytest.mark.parametrize("there", [False, True])
def test_a_block_that_fails_changes_nothing(tmp_path, error, there):
    if there:
        fill(tmp_path / "a", "old")
    with pytest.raises(type(error)):
        replace(tmp_path / "a", error=error)
    assert contents(tmp_path) == ({"a/file": "old"} if there else {})
    assert [path.name for path in tmp_path.iterdir()] == ["a"] * there


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_rename_that_fails_loses_nothing(tmp_path, monkeypatch, error, after, call):
    """Interrupted before or after each of the three: out of the way, into place, and what is kept back again."""
    target = fill(tmp_path / "a", "old")
    fill(target / "kept", "kept")
    rename, calls = os.rename, []

    def failing(source, destination):
        calls.append(Path(source).name)
        if after:
            rename(source, destination)
        if len(calls) == call:
            raise error
        if not after:
            rename(source, destination)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(type(error)):
        replace(target, keep="kept")
    monkeypatch.undo()
    found = contents(tmp_path)
    assert "kept" in found.values()  # wherever it lies
    if call < 3:
        whole_old = {"a/file": "old", "a/kept/file": "kept"}
        whole_new = {"a/file": "new", "a/more": "more", "a/kept/file": "kept"}
        assert found == (whole_new if call == 2 and after else whole_old)


def test_what_is_kept_moves_over(tmp_path):
    target = fill(tmp_path / "a", "old")
    fill(target / "kept", "kept")
    replace(target, keep="kept")
    assert contents(tmp_path) == {"a/file": "new", "a/more": "more", "a/kept/file": "kept"}
    replace(target, keep="absent")
    assert contents(tmp_path) == {"a/file": "new", "a/more": "more"}
    replace(tmp_path / "b", keep="kept")
    assert contents(tmp_path / "b") == {"file": "new", "more": "more"}


@pytest.mark.parametrize("there", [True, False])
def test_a_file_is_replaced(tmp_path, there):
    if there:
        (tmp_path / "file").write_text("old, and longer")
    replace_file(tmp_path / "file", b"new")
    assert contents(tmp_path) == {"file": "new"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_file_that_cannot_be_replaced_stays(tmp_path, monkeypatch, error, call):
    def fail(*_, **__):
        raise error

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr("builtins.open" if call == "open" else f"os.{call}", fail)
    with pytest.raises(error):
        replace_file(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert contents(tmp_path) == {"file": "old"}
