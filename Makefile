SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export MLFLOW_DISABLE_TELEMETRY := true
export GIT_PYTHON_REFRESH := quiet
export PYTHONDONTWRITEBYTECODE := 1

# Each part's coverage goes into a file of its own; tests.report puts them together.
# Two files of tests at a time: a small machine has two cores.
PYTEST = COVERAGE_FILE=$(CURDIR)/build/coverage/run.$@ $(BIN)/python -m pytest --cov --cov-report= --no-cov-on-fail --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help dev demo test check unit fuzz integration e2e bench soak generate lock format plugin wheels cluster-up cluster-down clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

dev: $(VENV)/.installed ## the development environment in .venv

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@echo "== installing the development environment into $(VENV) (hashed, pinned)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@echo "$(CURDIR)/operator" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tidegate.pth"
	@touch $@

demo: dev ## the main job on a real cluster, live
	@$(BIN)/python -m examples.demo

test: ## everything, one part after another, and what it covered
	@rm -rf build/coverage
	@$(MAKE) --no-print-directory check
	@$(PYTHON) -m tests.cluster build etcd kubernetes helm
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory integration
	@$(MAKE) --no-print-directory e2e
	@$(BIN)/python -m tests.report

check: dev ## format, lint, types, import contracts, generated files
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@mkdir -p build; $(BIN)/lint-imports --no-cache > build/imports.log 2>&1 || (cat build/imports.log; exit 1)
	@$(BIN)/python -m tests.generate --check

generate: dev ## write the generated files (CRD, chart CRD, reference docs)
	@$(BIN)/python -m tests.generate

format: dev ## format and fix
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

unit: dev ## unit, property, contract tests and simulations
	@mkdir -p build/coverage
	@$(PYTEST) tests/unit tests/property tests/contract
	@$(BIN)/python -m pytest tests/simulation

fuzz: dev ## everything that comes from outside, garbled, EXAMPLES=5000 times for each test
	@TIDEGATE_FUZZ=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest --timeout 7200 tests/property/test_fuzz_*.py

integration: dev ## against a real API server and a real MLflow
	@mkdir -p build/coverage
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
	  $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	    --no-header --python-version 3.11 requirements/$$f.in -o requirements/$$f.txt; done

clean: ## remove what was built here (caches outside stay)
	@rm -rf build dist wheels $(VENV) .mypy_cache .ruff_cache .hypothesis .coverage*
