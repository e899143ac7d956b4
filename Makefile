# What a developer and a user type; `make help` lists it.

PORT ?= $(or $(CARRYOVER_PORT),8080)
CONFIG ?= training/configs/nature.toml
PYTHON ?= python3
BIN := .venv/bin
BUNDLED := nature taxi
# Quiet TensorFlow's start-up notes; its errors still show.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help serve models train test test-fast bench-memory check format clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

serve: models  ## train the bundled models where missing, then serve them [PORT=8080]
	@CARRYOVER_PORT=$(PORT) exec $(BIN)/python -m service

models: .venv/installed  ## train the bundled models that artifacts/ lacks
	@for name in $(BUNDLED); do \
	  $(BIN)/python -m training fit --config training/configs/$$name.toml --if-missing || exit $$?; \
	done

train: .venv/installed  ## train and export a new version: CONFIG=training/configs/<name>.toml
	@$(BIN)/python -m training fit --config $(CONFIG)

test: .venv/installed-dev models  ## run the whole test suite
	@$(BIN)/python -m pytest

test-fast: .venv/installed-dev  ## run the tests that need no TensorFlow
	@$(BIN)/python -m pytest -m "not tensorflow and not server and not container"

bench-memory: .venv/installed-dev  ## measure the stores, five minutes [BENCH="--publish"]
	@$(BIN)/python -m benchmarks.memory $(BENCH)

check: .venv/installed-dev  ## check format, lint and types; writes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: .venv/installed-dev  ## format the code and mend what ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove everything that was made here: environment, models, runs, sessions
	rm -rf .venv artifacts runs var .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.txt
	@command -v $(PYTHON) >/dev/null || \
	  { echo "error: there is no $(PYTHON); name the Python to use: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || { rm -rf .venv; $(PYTHON) -m venv .venv; } || \
	  { rm -rf .venv; echo "error: $(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "installing what the service and the training need (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	@echo "installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
