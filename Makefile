# SPDX-FileCopyrightText: The Foedus authors
# SPDX-License-Identifier: Apache-2.0
#
# Five verbs: demo, test, check, bench, docs. Each makes .venv if it is missing and installs what it needs.
# Another Python than `python3`, for a new .venv: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PINS := pyproject.toml constraints.txt

.PHONY: demo test check bench docs

demo: $(VENV)/.has-base  ## Train on the embedded digits and leave curves, metrics and a checkpoint in runs/demo.
	$(BIN)/foedus demo

test: $(VENV)/.has-dev  ## Run every test on two processes.
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.has-dev  ## Format, lint, types, layers, spelling, suppressions.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/typos
	$(BIN)/python tools/suppressions.py

bench: $(VENV)/.has-base  ## Measure the compiler and, where there are data, rounds of training beside those of peers.
	$(BIN)/python benchmarks/compiler.py
	$(BIN)/python benchmarks/compare.py

docs: $(VENV)/.has-docs  ## Build the documentation into site/.
	$(BIN)/mkdocs build --strict

# Each file below says that something was installed after pyproject.toml and constraints.txt last changed.

$(VENV)/.has-base: $(PINS) | $(BIN)/python
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.has-dev: $(PINS) | $(BIN)/python
	$(PIP_INSTALL) -e '.[dev]'
	touch $@ $(VENV)/.has-base

$(VENV)/.has-docs: $(PINS) | $(BIN)/python
	$(PIP_INSTALL) -e '.[docs]'
	touch $@ $(VENV)/.has-base

# A half-made environment is not kept: it would hide from the next call what went wrong in this one.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Foedus needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }
