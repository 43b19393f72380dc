"""The shape of the package: who imports whom, what loads when, and how long a file may be."""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wordlm

ROOT = Path(__file__).parents[1]
SOURCES = {path.stem: path for path in sorted((ROOT / "wordlm").glob("*.py")) if path.stem != "__init__"}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}

# A module may import those of lower levels, and those before it in its own.
LEVELS = [
    "errors config reports interrupt memory",
    "atomic charset prose files pairs text wordforms detokenizer tokenizer vocab prompts writer sampling drawing cells "
    "layout measures output state trace engine cache npz trie smoothing ngram vector_files vector_formats "
    "vector_folders",
    "constraints rules draft restrictions selection novelty embedding vectors corpus rare_words batches model "
    "fast_tensorflow softmax schedule planning learning_curve position weights checkpoint model_folder completion "
    "keystrokes error_rate nbest",
    "passages typed_words bundle learner examiner keras_stack keras_engine mixture additions mixed_engine",
    "training search generation scoring evaluation suggestions sentence_scores rescoring weight_tuning minimal_pairs "
    "open_vocabulary",
    "reading mixing questions writing language_model loading progress preparation",
    "pipeline",
    "cli_options typing_line typing_screen",
    "cli_generate cli_vectors cli_score cli_evaluate cli_suggest cli_rescore cli_compare",
    "cli",
]
ORDER = " ".join(LEVELS).split()

# What comes from outside comes in by one door.
DOORS = {
    "gensim": {"vectors"},
    "pyarrow": {"vector_folders"},
    "h5py": {"weights"},
    "click": {name for name in SOURCES if name.startswith("cli")},
    "rich": {"progress"},
    # The others only ask which devices there are.
    "tensorflow": {"fast_tensorflow", "learner", "model"},
    "charset_normalizer": {"charset"},
    "regex": {"charset", "prose", "wordforms", "detokenizer", "tokenizer"},
}
LONGEST = 330


def imports(node: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Names of the modules that a tree imports, without those for type hints alone; and whether in a function."""
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import):
        yield from ((name.name, inside) for name in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        if node.module == "wordlm":
            # Either a module of the package, or a name of the package itself.
            yield from ((f"wordlm.{n.name}" if n.name in SOURCES else "wordlm", inside) for n in node.names)
        else:
            yield node.module, inside
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children = node.orelse
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inside = True
    for child in children:
        yield from imports(child, inside)


def imported_siblings(name: str) -> set[str]:
    return {module.split(".")[1] for module, _ in imports(TREES[name]) if module.startswith("wordlm.")}


def users_of(package: str) -> dict[str, set[bool]]:
    """The modules that import a package, and whether they do so in functions."""
    users: dict[str, set[bool]] = {}
    for name, tree in TREES.items():
        for module, inside in imports(tree):
            if module.split(".")[0] == package:
                users.setdefault(name, set()).add(inside)
    return users


def test_imports_are_found_wherever_they_stand():
    tree = ast.parse(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "class C:\n    def f(self):\n        if self:\n            from wordlm.config import option\n"
        "from wordlm import config, __version__\ntry:\n    import c.d\nexcept ImportError: pass"
    )
    assert sorted(imports(tree)) == [
        ("b", False), ("c.d", False), ("typing", False), ("wordlm", False), ("wordlm.config", False),
        ("wordlm.config", True),
    ]  # fmt: skip


def test_every_module_has_its_level():
    assert sorted(ORDER) == sorted(SOURCES), "a module is missing in LEVELS above, or is there no more"


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_imports_from_below(name):
    lower = set(ORDER[: ORDER.index(name)])
    assert imported_siblings(name) <= lower


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_keeps_its_private_names(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wordlm"):
            private = [n.name for n in node.names if n.name.startswith("_") and not n.name.startswith("__")]
            assert private == [], f"from {node.module}"


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_has_a_test_file(name):
    assert f"test_{name}.py" in {path.name for path in (ROOT / "tests").iterdir()}


@pytest.mark.parametrize("name", SOURCES)
def test_a_module_says_what_it_is_and_is_not_too_long(name):
    assert ast.get_docstring(TREES[name])
    lines = SOURCES[name].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST


@pytest.mark.parametrize("name", SOURCES)
def test_no_asserts_in_the_library(name):
    lines = [node.lineno for node in ast.walk(TREES[name]) if isinstance(node, ast.Assert)]
    assert lines == [], "a fault is raised, so that `python -O` finds it too"


@pytest.mark.parametrize("package", DOORS)
def test_one_door_for_each_thing_from_outside(package):
    assert set(users_of(package)) <= DOORS[package]


def test_tensorflow_is_imported_at_the_top_of_one_file():
    users = users_of("tensorflow")
    assert users.pop("fast_tensorflow") == {False}
    assert all(inside == {True} for inside in users.values())


@pytest.mark.parametrize("package", ["gensim", "pyarrow", "charset_normalizer"])
def test_heavy_packages_are_imported_on_use(package):
    users = users_of(package)
    assert users
    assert all(inside == {True} for inside in users.values())


@pytest.mark.parametrize("name", wordlm.__all__)
def test_public_names_resolve(name):
    value = getattr(wordlm, name)
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert value.__doc__
    assert name in dir(wordlm)


def test_public_names_are_sorted_and_no_others_resolve():
    assert list(wordlm.__all__) == sorted(set(wordlm.__all__))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = wordlm.nothing


def modules(code: str) -> set[str]:
    """The modules, by their full names, that code has loaded in a fresh Python by its end."""
    # What a Cython module makes up for itself has no origin; what starts with Python (.pth files) is not counted.
    code = (
        "import sys; before = set(sys.modules)\n" + code + "\nimport json\n"
        "print(json.dumps([name for name in set(sys.modules) - before if getattr(sys.modules[name], '__spec__', 0)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded(code: str) -> set[str]:
    """The packages among them."""
    return {name.partition(".")[0] for name in modules(code)}


def calling(*arguments: str) -> str:
    """The code of a call of the command line that ends well."""
    return (
        f"from wordlm.cli import main\ntry:\n    main({list(arguments)})\n"
        "except SystemExit as end:\n    assert not end.code"
    )


HEAVY = {"numpy", "keras", "tensorflow", "jax", "torch", "gensim", "rich", "h5py", "pyarrow", "scipy", "pandas"}


def test_import_loads_nothing_heavy():
    assert loaded("import wordlm") & (HEAVY | {"click", "regex"}) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["generate", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    assert loaded(calling(*arguments)) & HEAVY == set()


BUNDLE = "tests/data/bundle_v1"  # in the repository, as format 1 was once saved


def test_generating_in_python_loads_numpy_h5py_and_regex_alone():
    code = f"import wordlm; assert isinstance(wordlm.load({BUNDLE!r}).generate(seed=1), str)"
    assert loaded(code) - set(sys.stdlib_module_names) == {"wordlm", "numpy", "h5py", "regex"}


@pytest.mark.parametrize(
    ("options", "asked_for"),
    [
        ([], set()),
        (["-n", "3", "--json", "--ban", "cat", "--typical", "0.9"], set()),
        (["--cache", "10"], {"cache"}),
        (["--against", "README.md"], {"novelty", "text"}),
        (["--include", "cat"], {"search"}),
        (["--end-with", "cat"], {"search"}),
        (["--beams", "2"], {"search"}),
    ],
)
def test_generating_loads_these_packages_and_of_the_parts_only_what_is_asked_for(options, asked_for):
    names = modules(calling("generate", BUNDLE, "--seed", "1", *options))
    packages = {name.partition(".")[0] for name in names}
    assert packages - set(sys.stdlib_module_names) == {"wordlm", "click", "numpy", "h5py", "regex"}
    assert asked_for == {
        part for part in ("cache", "novelty", "search", "text", "training") if f"wordlm.{part}" in names
    }
