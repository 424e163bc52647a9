# Everything a developer runs. Each target sets up what it needs; only Python 3.11+ and make are required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench soak docs format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the toast shop of the guides, end to end (Ctrl-C stops)"
	@echo "make test    all tests; names what it could not run"
	@echo "make check   format, lint, types"
	@echo "make bench   speed, as ratios to limits measured in the same run"
	@echo "make soak    long kill, fault and fuzz runs"
	@echo "make docs    the documentation site, into site/"

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what Penstock and its tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable .
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/penstock demo $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)
	@$(BIN)/penstock bench $(ARGS)

soak: $(STAMP)
	@PENSTOCK_SOAK=1 $(BIN)/python -m pytest -m soak --timeout=0 $(ARGS)

docs: $(STAMP)
	@$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache
