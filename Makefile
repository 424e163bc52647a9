# Everything a developer runs. Each target sets up what it needs; only Python 3.11+ and make are required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: install demo test check bench soak docs format clean
.DEFAULT_GOAL := help

help:
	@echo "make install  .venv/bin/penstock, and only what it needs"
	@echo "make demo     the toast shop of the guides, end to end (Ctrl-C stops)"
	@echo "make test     all tests; names what it could not run"
	@echo "make check    format, lint, types"
	@echo "make bench    speed, as ratios to limits measured in the same run"
	@echo "make soak     long kill, fault and fuzz runs"
	@echo "make docs     the documentation site, into site/"

$(INSTALLED): pyproject.toml
	@echo "installing Penstock into $(VENV) (about half a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable .
	@touch $@

$(DEVELOPED): $(INSTALLED)
	@echo "installing what tests and documentation need (about half a minute, once)"
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --group dev
	@touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	@$(BIN)/penstock demo $(ARGS)

test: $(DEVELOPED)
	@$(BIN)/python -m pytest $(ARGS)

check: $(DEVELOPED)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(DEVELOPED)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEVELOPED)
	@$(BIN)/penstock bench $(ARGS)

soak: $(DEVELOPED)
	@PENSTOCK_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=0 $(ARGS)

docs: $(DEVELOPED)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache
