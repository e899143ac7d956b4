# What a developer and a user type; `make help` lists it.

PORT ?= $(or $(CARRYOVER_PORT),8080)
CONFIG ?= training/configs/nature.toml
# Chosen once, by speed, where an environment is made and no Python is named.
PYTHON ?= $(eval PYTHON := $$(shell .ci/choose_python))$(PYTHON)
BIN := .venv/bin
BUNDLED := nature taxi visits
# Quiet TensorFlow's start-up notes; its errors still show.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help serve models $(BUNDLED:%=model-%) train test test-fast coverage test-memory test-container fuzz-api fuzz-binary random-graphs check format bench bench-peers bench-memory bench-adding bench-chaos bench-training results performance profile screenshots playground-frames lock sbom audit image base-digest clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

serve: models  ## train the bundled models where missing, then serve them [PORT=8080]
	@CARRYOVER_PORT=$(PORT) exec $(BIN)/python -m service

models: $(BUNDLED:%=model-%)  ## train the bundled models that artifacts/ lacks

# --force: an example is served even where its verdict is that another model does as well.
$(BUNDLED:%=model-%): model-%: .venv/installed
	@$(BIN)/python -m training fit --config training/configs/$*.toml --if-missing --force

train: .venv/installed  ## train and export a new version: CONFIG=training/configs/<name>.toml
	@$(BIN)/python -m training fit --config $(CONFIG)

# Two at a time, a file each: much of a test's time is a service's start, a wait.
# The longest files first, and not those of the most tests. The slow ones, a twentieth of the
# tests and most of the time, with ALL=1 (tests/scheduling.py).
test: .venv/installed-dev models  ## run the tests but for the slow ones; all of them with ALL=1 [PYTEST=...]
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(if $(ALL),,-m "not slow") $(PYTEST)

test-fast: .venv/installed-dev  ## run the tests that need no TensorFlow
	@$(BIN)/python -m pytest -m "not tensorflow and not server and not container and not slow"

# Lines that run in the tests' own process: not those of gunicorn's workers and of commands,
# which tests marked "server" start, nor of Redis. Fewer examples than `make test`: lines need no more.
MIN_COVERED_PERCENT := 89
coverage: .venv/installed-dev  ## list the lines of service/ that no test runs in process; a floor of 89%, five minutes
	@EXAMPLES=20 FUZZ_BODIES=20 FUZZ_MUTATIONS=20 FUZZ_EXAMPLES=3 \
	  $(BIN)/python -m slipcover --source service --json --out .coverage.json \
	  -m pytest -q -W "ignore:Module already imported:pytest.PytestAssertRewriteWarning" \
	  -m "not tensorflow and not slow and not server and not redis" tests/service
	@$(BIN)/python -m slipcover --merge .coverage.json --skip-covered --fail-under $(MIN_COVERED_PERCENT) --out .coverage.json

fuzz-api: .venv/installed-dev  ## make up requests from /openapi.json and check the answers [SECONDS=600]
	@FUZZ_SECONDS=$(or $(SECONDS),600) FUZZ_EXAMPLES=1000 FUZZ_SEED=$$(date +%s) \
	  $(BIN)/python -m pytest tests/service/test_api_fuzz.py

random-graphs: .venv/installed-dev  ## try random Keras graphs over every layer, hours [GRAPHS=2000 SEED=0]
	@CARRYOVER_GRAPHS=$(or $(GRAPHS),2000) CARRYOVER_GRAPHS_SEED=$(or $(SEED),0) \
	  $(BIN)/python -m pytest -q -k refused tests/models/test_random_graphs.py tests/models/test_plausible_graphs.py

test-memory: .venv/installed-dev  ## drive random lives of sessions for longer [EXAMPLES=2000]
	@EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest tests/service/memory/test_stateful.py tests/service/test_repeats_between_versions.py

bench-memory: .venv/installed-dev  ## measure the stores, five minutes [BENCH="--publish"]
	@$(BIN)/python -m benchmarks.memory $(BENCH)

test-container: .venv/installed-dev models  ## build and run every image, TensorFlow's too, twenty minutes
	@CONTAINER_TENSORFLOW=1 $(BIN)/python -m pytest tests/container

fuzz-binary: .venv/installed-dev  ## a million made-up bodies for the decoder of binary tensors
	@FUZZ_BODIES=2000 FUZZ_MUTATIONS=500 $(BIN)/python -m pytest tests/service/test_binary_fuzz.py

check: .venv/installed-dev  ## check format, lint, types and imports, of the page too; writes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/biome ci --error-on-warnings service/playground

format: .venv/installed-dev  ## format the code and fix what ruff can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/biome check --write service/playground

bench: .venv/installed-dev  ## measure the service, a Flask echo and a bare WSGI function [BENCH=--quick]
	@$(BIN)/python -m benchmarks.speed $(BENCH)

bench-peers: .venv/installed-dev  ## the same with Triton and other peers, installed under .bench/
	@$(BIN)/python -m benchmarks.speed --peers $(BENCH)

# The scenarios of which a target is stated; the page keeps the tables of the others.
TARGETED := throughput latency open_inference tail bulk engine start growth linear
performance: .venv/installed-dev  ## measure what has a target, written to docs/explanation/performance.md [PERF_ANALYZER=...]
	@$(BIN)/python -m benchmarks.speed --peers --publish --only $(TARGETED)

profile: .venv/installed-dev  ## draw where a worker's time goes: docs/images/hot-path.svg
	@$(BIN)/python -m benchmarks.speed.profile

bench-adding: .venv/installed-dev  ## where a simple RNN stops remembering: 24 trainings
	@$(BIN)/python -m benchmarks.adding

bench-training: .venv/installed-dev  ## measure training: events/s beside Keras and PyTorch, memory [DATA=folder]
	@$(BIN)/python -m benchmarks.training $(if $(DATA),--data $(DATA)) $(BENCH)

results: .venv/installed-dev  ## train on public data what docs/explanation/results.md lacks, write it [DATA=folder]
	@$(BIN)/python -m benchmarks.results $(if $(DATA),--data $(DATA)) $(BENCH)

bench-chaos: .venv/installed-dev models  ## kill workers, and Redis, under load; count what was lost or doubled
	@$(BIN)/python -m benchmarks.chaos --store lmdb
	@$(BIN)/python -m benchmarks.chaos --store redis

screenshots: .venv/installed-dev models  ## draw the playground, phone and desktop, into docs/images/
	@$(BIN)/python -m tests.playground.screenshots

playground-frames: .venv/installed-dev models  ## measure the playground's frames and longest tasks, on an idle machine
	@$(BIN)/python -m tests.playground.frames

# The first is what the image that serves contains, the second what trains.
LOCKS := requirements-tracing.lock requirements.lock
TOOLS := .tools/bin

lock: .tools/installed  ## write the locks: every package of the images by its hashes
	@$(TOOLS)/uv pip compile $(LOCKING) requirements-tracing.txt -o requirements-tracing.lock
	@$(TOOLS)/uv pip compile $(LOCKING) requirements.txt requirements-tracing.txt -o requirements.lock

# For the images, which are Linux; the hashes are those of every file of a package, for ARM
# too. Without the address of an index: each machine has its own.
LOCKING := --quiet --python-platform linux --python-version 3.11 --generate-hashes \
  --constraints requirements-constraints.txt --no-config \
  --no-emit-index-url --custom-compile-command "make lock"

sbom: .tools/installed  ## list what each image contains, as CycloneDX, in sbom/
	@mkdir -p sbom
	@for lock in $(LOCKS:.lock=); do \
	  $(TOOLS)/cyclonedx-py requirements $$lock.lock --output-reproducible -o sbom/$$lock.cdx.json || exit 1; \
	done

audit: .tools/installed  ## ask the advisory database about every locked package
	@for lock in $(LOCKS); do \
	  if said=$$($(TOOLS)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$lock 2>&1); then \
	    echo "$$lock: no package has a known weakness"; \
	  elif echo "$$said" | grep -q '^Found '; then \
	    echo "$$said"; \
	    echo "error: $$lock has packages with known weaknesses; take fixed versions of them and run make lock" >&2; exit 1; \
	  else \
	    echo "$$said" | tail -n 1 | cut -c 1-300 >&2; \
	    echo "error: $$lock was not audited: the advisory database did not answer, as the line above says; nothing is known of its packages. Run make audit where it can be reached" >&2; exit 1; \
	  fi; \
	done

image:  ## build the image, labelled with its version and commit [TARGET=baked]
	@docker build $(if $(TARGET),--target $(TARGET)) -t carryover \
	  --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
	  --build-arg REVISION=$$(git rev-parse HEAD) .

base-digest:  ## show the newest digest of the base, and the one that is built on
	@sed -n 's/^ARG BASE=/built on: /p' Dockerfile
	@docker buildx imagetools inspect python:3.11-slim --format 'newest:   python:3.11-slim@{{.Manifest.Digest}}' || \
	  { echo "error: the registry of images cannot be asked; this needs docker buildx and a network" >&2; exit 1; }

clean:  ## remove everything that was made here: environment, models, runs, sessions
	rm -rf .venv .tools .bench sbom artifacts runs var .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.txt requirements-serving.txt
	@command -v $(PYTHON) >/dev/null || \
	  { echo "error: there is no $(PYTHON); name the Python to use: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/pip || { rm -rf .venv; $(PYTHON) -m venv .venv; } || \
	  { rm -rf .venv; echo "error: $(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "installing what the service and the training need (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements-tracing.txt requirements-tune.txt requirements-mlflow.txt requirements-boosting.txt .venv/installed
	@echo "installing what the tests need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.tools/installed: requirements-release.txt
	@echo "installing what a release needs ..."
	@$(PYTHON) -m venv .tools
	@$(TOOLS)/python -m pip install --quiet --disable-pip-version-check -r requirements-release.txt
	@touch $@
