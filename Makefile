SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MLFLOW_DISABLE_TELEMETRY := true
export GIT_PYTHON_REFRESH := quiet
export MYPY_CACHE_DIR ?= $(or $(TIDEGATE_CACHE),$(HOME)/.cache/tidegate)/mypy

# It has no module to run.
LINT_IMPORTS = $(BIN)/python -c "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
# Two files of tests at a time: a small machine has two cores.
PYTEST = $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Unit and contract tests alone have to cover what is promised: tracing makes the operator two to three times as slow.
COVERED = COVERAGE_FILE=$(CURDIR)/build/coverage/unit $(PYTEST) --cov --cov-report= --no-cov-on-fail

.DEFAULT_GOAL := help
.PHONY: help dev demo test check unit fuzz integration e2e bench soak generate lock format plugin wheels cluster-up cluster-down clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

dev: ## the development environment in .venv, its packages in the cache
	@$(PYTHON) -m tests.environment

demo: dev ## the main job on a real cluster, live
	@$(BIN)/python -m examples.demo

test: ## everything, one part after another
	@$(MAKE) --no-print-directory check
	@$(PYTHON) -m tests.cluster build etcd kubernetes helm
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory integration
	@$(MAKE) --no-print-directory e2e

check: dev ## format, lint, types, import contracts, generated files
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m mypy
	@mkdir -p build; $(LINT_IMPORTS) --no-cache > build/imports.log 2>&1 || (cat build/imports.log; exit 1)
	@$(BIN)/python -m tests.generate --check

generate: dev ## write the generated files (CRD, chart CRD, reference docs)
	@$(BIN)/python -m tests.generate

format: dev ## format and fix
	@$(BIN)/python -m ruff format --quiet .
	@$(BIN)/python -m ruff check --fix --quiet .

unit: dev ## unit, property, contract tests, what they cover, and simulations
	@rm -rf build/coverage; mkdir -p build/coverage
	@$(COVERED) tests/unit tests/contract
	@$(BIN)/python -m tests.report
	@$(PYTEST) tests/property tests/simulation

fuzz: dev ## everything that comes from outside, garbled, EXAMPLES=5000 times for each test
	@TIDEGATE_FUZZ=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest --timeout 7200 tests/property/test_fuzz_*.py tests/unit/intake/test_alerts_fuzz.py

integration: dev ## against a real API server and a real MLflow
	@$(PYTHON) -m tests.cluster build etcd kubernetes helm
	@$(PYTEST) tests/integration

e2e: dev ## on the whole embedded cluster
	@$(BIN)/python -m tests.e2e
	@$(BIN)/python -m pytest tests/e2e

bench: dev ## benchmarks into build/bench.json
	@$(BIN)/python -m tests.bench

soak: dev ## MINUTES=30 of rollouts, reverts and restarts at random (SEED=...), under load
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

plugin: ## kubectl-tidegate, one file, into build/
	@$(PYTHON) -m tests.plugin build/kubectl-tidegate

wheels: dev ## download the hashed wheels that the Dockerfile builds from, into wheels/
	@for f in operator runtime; do \
	  $(BIN)/python -m pip download --quiet --require-hashes --only-binary=:all: -r requirements/$$f.txt -d wheels/$$f; done

cluster-up: ## bring the embedded cluster up
	@$(PYTHON) -m tests.cluster up

cluster-down: ## take it down, leave nothing behind
	@$(PYTHON) -m tests.cluster down

lock: dev ## pin requirements anew
	@for f in operator runtime mlflow postgres dev; do \
	  $(BIN)/python -m uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	    --no-header --python-version 3.11 requirements/$$f.in -o requirements/$$f.txt; done

clean: ## remove what was built here (caches outside stay)
	@rm -rf build dist wheels $(VENV) .mypy_cache .ruff_cache .hypothesis .coverage*
