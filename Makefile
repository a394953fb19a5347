# Every target sets itself up: a virtual environment in $(VENV), created again only when pyproject.toml changes.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Run the main job end to end on real servers, then stop them
	@$(BIN)/python -m tests.e2e.demo

test: $(READY) ## Run the tests, real nats-server and real S3 server included; faults and slow tests have targets of their own
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m "not slow and not slow_fault" --ignore=tests/faults

test-slow: $(READY) ## Run the tests that take seconds of CPU: mutants of order and corpus, wheel, races with gc
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m slow --ignore=tests/faults

test-fast: $(READY) ## Run the tests that need no server and no pytest of their own
	@HYPOTHESIS_PROFILE=fast $(BIN)/python -m pytest -n 2 --dist worksteal -m "not server and not nested and not slow and not slow_fault"

test-pythons: ## Run the fast tests on every Python from 3.11 to 3.13 that is installed
	@failed=; for version in 3.11 3.12 3.13; do \
	  python=; for each in $$(type -aP python$$version) "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python \
	    $$(uv python find --no-python-downloads $$version 2>/dev/null || true); do \
	    if "$$each" -c '' 2>/dev/null; then python=$$each; break; fi; \
	  done; \
	  [ -n "$$python" ] || { echo "Python $$version: not found"; continue; }; \
	  echo "Python $$version: $$python"; \
	  $(MAKE) test-fast VENV=.venv-$$version PYTHON="$$python" || failed="$$failed $$version"; \
	done; [ -z "$$failed" ] || { echo "make: tests failed on Python$$failed" >&2; exit 1; }

coverage: $(READY) ## Print the branches that the tests run; TESTS=tests/contracts/rules narrows it
	@$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term $(TESTS)

faults: $(READY) ## Run every fault, the slow ones too, and write docs/reliability.md
	@$(BIN)/python -m pytest tests/faults -m "" -n 4 --dist worksteal --reliability docs/reliability.md

storm: $(READY) ## 5,000 events through two minutes of every kind of trouble; SEED=n repeats one
	@$(BIN)/python -m tests.faults.storm $(if $(SEED),--seed $(SEED))

fuzz: $(READY) ## Ten minutes of hostile input for every reader and report; FUZZ_SECONDS=60, FUZZ_SEED=n repeats
	@$(BIN)/python -m tests.fuzz

corpus: $(READY) ## Check the fixtures: seals, coverage, and that every mutant is caught
	@$(BIN)/contracts fixtures verify
	@$(BIN)/contracts fixtures coverage
	@$(BIN)/contracts fixtures mutate

secrets: $(READY) ## Measure what the rule boundary/secret finds, and its false alarms, over a labelled set
	@$(BIN)/python -m tests.support.secret_recall

lint: $(READY) ## Check style, format (ruff) and architecture (import-linter)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY) ## Check types (mypy, strict)
	@$(BIN)/mypy

bench: $(READY) ## Measure ours and its peers, and write docs/performance.md (an hour); ONLY=small_bundles is one, QUICK=1 a look
	@$(BIN)/python -m tests.bench $(ONLY) $(if $(QUICK),--quick,--page docs/performance.md)

bench-compare: $(READY) ## Compare this commit with BASE=commit by ratio; fails where this one is slower
	@$(BIN)/python -m tests.bench.compare $(or $(BASE),$(error which commit? make bench-compare BASE=main))

clean: ## Remove everything that the other targets made
	@rm -rf .venv .venv-* .coverage build dist .hypothesis .import_linter_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "      Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "setting up $(VENV) (about a minute the first time)" >&2
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python -e '.[dev]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	fi || { echo "make: set-up failed; the lines above say why. Without a network the packages must be in pip's cache." >&2; \
	        echo "      Once that is fixed, run the same command again; 'make clean' starts over." >&2; exit 2; }
	@touch $(READY)

.PHONY: help demo secrets test test-slow test-fast test-pythons coverage corpus lint types bench bench-compare faults storm clean fuzz
