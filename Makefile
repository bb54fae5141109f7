# Every target makes .venv by itself, with plain pip and the versions in constraints.txt.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
STAMPED := pyproject.toml constraints.txt
CODE := sdk plugins tui tests examples benchmarks docs

.DEFAULT_GOAL := help
.PHONY: help demo test check docs bench chaos format clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(STAMPED) | $(BIN)/python
	@test -f $(VENV)/.dev || $(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(STAMPED) | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.base

$(VENV)/.bench: $(STAMPED) $(VENV)/.dev
	$(PIP) install -c constraints.txt -e '.[dev,bench]'
	@touch $@

demo: $(VENV)/.base ## Predict 1,797 handwritten digits, interrupt once, resume, verify
	$(BIN)/sdk demo

test: $(VENV)/.dev ## Run the test suite
	$(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

check: $(VENV)/.dev ## Lint, types, layers
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy sdk plugins tui tests
	$(BIN)/lint-imports

docs: $(VENV)/.dev ## Build the documentation, warnings are errors
	$(BIN)/python docs/tools/generate.py --check
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.bench ## Run every benchmark in its small form
	$(BIN)/python benchmarks/run.py --small

chaos: $(VENV)/.dev ## Run the full chaos and scale runs (an hour or more)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist docs/_build
