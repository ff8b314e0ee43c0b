# The only task entry. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
NIGHTFERRY := $(BIN)/nightferry
PYTEST := $(BIN)/python -m pytest
READY := $(VENV)/.ready
LOCKS := requirements.txt requirements-dev.txt
COMPILE := $(UV) pip compile -q
LOCKED := --generate-hashes --no-emit-index-url --python-version 3.11

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: release
release: $(READY) ## Set up all there is, release the sample service, show its record and one prediction
	@$(NIGHTFERRY) up
	@$(NIGHTFERRY) sample

.PHONY: test
test: check ## Everything: check, then the service's processes, the sandbox, a browser and public clients
	$(PYTEST) -m process tests
	@$(NIGHTFERRY) status --json >/dev/null 2>&1 && was=up || was=down; \
	$(NIGHTFERRY) up --browser --with s3,mlflow && { \
	  $(PYTEST) -n 3 --dist loadgroup -m "(sandbox or browser or clients) and not (drill or alone)" tests; beside=$$?; \
	  $(PYTEST) -m "alone and not drill" tests && [ $$beside = 0 ]; }; result=$$?; \
	if [ $$was = down ]; then $(NIGHTFERRY) down; fi; \
	exit $$result

.PHONY: drill
drill: $(READY) ## What takes many minutes: 20,000 sequences of events, thirty services released at once, every fault of `nightferry drill`; CI does not run it
	NIGHTFERRY_SEQUENCES=20000 $(PYTEST) -n auto --timeout 3000 tests/unit/steps/rollout/test_agreement.py
	$(NIGHTFERRY) up
	$(PYTEST) -s -m drill tests
	$(NIGHTFERRY) sample
	$(NIGHTFERRY) drill digits --markdown .nightferry/drill.md
	$(NIGHTFERRY) drill digits --quick --times 3

.PHONY: check
check: $(READY) ## Lint, types, import contracts, and the tests that need no sandbox, no browser and nothing more installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -n auto --dist loadgroup -m "not sandbox and not browser and not clients and not process" tests

.PHONY: fix
fix: $(READY) ## Format, and mend what the linter can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: dist
dist: $(READY) ## Build the wheel for laptops into dist/
	@rm -rf build dist  # setuptools would pack what is left of a build before
	@$(BIN)/pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build
	@ls dist/*.whl

.PHONY: up
up: $(READY) ## Start the sandbox
	@$(NIGHTFERRY) up

.PHONY: down
down: ## Stop the sandbox; its data stays
	@if [ -x $(NIGHTFERRY) ]; then $(NIGHTFERRY) down; fi

.PHONY: clean
clean: ## Stop the sandbox and remove its data and the Python environment (the built Kubernetes stays cached)
	@if [ -x $(NIGHTFERRY) ]; then $(NIGHTFERRY) clean; fi
	rm -rf $(VENV)

.PHONY: status
status: $(READY) ## Show the health of every part of the sandbox
	@$(NIGHTFERRY) status

.PHONY: bench
bench: $(READY) ## Run the benchmarks on the sandbox
	$(NIGHTFERRY) up
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/fetch.py
	$(BIN)/python benchmarks/release.py

.PHONY: bench-serving
bench-serving: $(READY) ## Measure the service against other stacks (needs wrk and nginx)
	$(BIN)/python benchmarks/serving.py

.PHONY: lock
lock: $(READY) ## Resolve every *.in into its lock file, with hashes
	$(COMPILE) --universal $(LOCKED) requirements-uv.in -o requirements-uv.txt
	$(COMPILE) --universal $(LOCKED) serving_app/requirements.in -o serving_app/requirements.txt
	$(COMPILE) --universal $(LOCKED) requirements.in -o requirements.txt
	$(COMPILE) --universal $(LOCKED) docker/serving/requirements-test.in -o docker/serving/requirements-test.txt
	$(COMPILE) --universal $(LOCKED) docker/app/requirements-test.in -o docker/app/requirements-test.txt
	$(COMPILE) --universal $(LOCKED) --override docker/deployer/overrides.txt docker/deployer/requirements.in -o docker/deployer/requirements.txt
	$(COMPILE) --universal $(LOCKED) benchmarks/requirements-serving.in -o benchmarks/requirements-serving.txt
	$(COMPILE) --universal $(LOCKED) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) --universal $(LOCKED) sandbox/mlflow/requirements.in -o sandbox/mlflow/requirements.txt
	$(COMPILE) --universal $(LOCKED) docker/airflow/requirements-fab.in -o docker/airflow/requirements-fab.txt
	$(COMPILE) $(LOCKED) tests/clients/requirements-kserve.in -o tests/clients/requirements-kserve.txt

# The environment: made once, made again when a lock file changes. An interrupted run starts over.
$(READY): $(LOCKS) requirements-uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  echo "Installing the venv module of Python…"; \
	  sudo=$$([ $$(id -u) = 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); }
	@echo "Installing the Python packages…"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(UV) pip sync -q --require-hashes $(LOCKS) requirements-uv.txt
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	@touch $@
