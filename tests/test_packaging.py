"""The wheel: what is in it, and that it runs from there."""

import configparser
import email
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import wordlm

ROOT = Path(__file__).parents[1]
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "wordlm", "tests", "benchmarks", "cli.py")


def can_build() -> bool:
    """Whether a wheel can be built without fetching anything; setuptools from 70.1 on does it alone."""
    if not all(map(importlib.util.find_spec, ("build", "setuptools"))):
        return False
    import setuptools

    version = tuple(int(part) for part in setuptools.__version__.split(".")[:2])
    return version >= (70, 1) or importlib.util.find_spec("wheel") is not None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built out of a copy, so that the working tree stays as it is."""
    if not can_build():
        pytest.skip("needs build and setuptools: pip install build 'setuptools>=77'")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name)
    command = ["-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", folder, source]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    about = f"wordlm-{wordlm.__version__}.dist-info/"
    assert wheel.name == f"wordlm-{wordlm.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {f"wordlm/{path.name}" for path in (ROOT / "wordlm").glob("*.py")}
    assert len(modules) > 20
    assert {name for name in names if not name.startswith(about)} == modules | {"wordlm/py.typed"}
    assert any(name.endswith("/LICENSE") for name in names)


@pytest.mark.slow
def test_metadata_and_entry_point(wheel):
    about = f"wordlm-{wordlm.__version__}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(about + "METADATA"))
        entry_points = configparser.ConfigParser()
        entry_points.read_string(archive.read(about + "entry_points.txt").decode())
    assert metadata["Name"] == "wordlm"
    assert metadata["Version"] == wordlm.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    required = {line.split(">")[0].split(";")[0].strip() for line in metadata.get_all("Requires-Dist")}
    assert {"keras", "tensorflow", "numpy", "h5py", "gensim", "click", "rich", "regex"} <= required
    assert dict(entry_points["console_scripts"]) == {"wordlm": "wordlm.cli:main"}


@pytest.mark.slow
def test_the_wheel_runs_outside_the_tree(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    bundle = ROOT / "tests" / "data" / "bundle_v1"
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import wordlm; print(wordlm.__file__)\n"
        f"from wordlm.cli import main; main(['generate', {str(bundle)!r}, '--seed', '1'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == str(tmp_path / "wordlm" / "__init__.py")
    assert "".join(rest).strip()
