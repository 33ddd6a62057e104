# `make demo` and `make test` are all that a clean clone needs; PYTHON names a Python from 3.11 on.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPEC := densenet_cifar
SETTINGS := --set depth=40

# Build environments, too, get the tested versions.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-full lint clean

demo: $(VENV)/installed
	@mkdir -p demo
	$(BIN)/archc compile $(SPEC) $(SETTINGS) --force -o demo/model.py
	$(BIN)/archc summary $(SPEC) $(SETTINGS)
	$(BIN)/archc viz $(SPEC) $(SETTINGS) -o demo/$(SPEC).svg
	$(BIN)/archc train $(SPEC) $(SETTINGS) --data digits --epochs 10 --force --out demo/digits
	@echo
	@echo 'demo/ has the compiled net, its picture, and what the training left.'

# A few files at a time; more would fight for memory.
AT_ONCE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(AT_ONCE)

# What thousands of emitted files leave behind in a process makes slow what comes after them.
DRAWN := tests/test_generated.py tests/test_format.py

test-full: $(VENV)/installed-dev
	ARCHC_EXAMPLES=10000 $(BIN)/python -m pytest --full $(DRAWN)
	$(BIN)/python -m pytest --full $(DRAWN:%=--ignore=%)

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build demo dist archc/syntax/arch.table

# The stamps: an environment is made once, and mended when what it depends on changes.
PACKAGING := pyproject.toml constraints.txt hatch_build.py grammar/arch.lark

$(VENV)/installed: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[train,viz]'
	@touch $@

$(VENV)/installed-dev: $(PACKAGING) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
