# Ringfence: every command a person needs. `make` lists them.
SHELL := /bin/sh
# The first Python that is 3.11 or newer; `make PYTHON=/path/to/python ...` chooses another.
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := ringfence collector policy_engine enforcer audit web
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help up demo demo-down test test-fast bench lint lock clean packages-runtime packages-demo packages-test

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

up: packages-runtime $(VENV)/.runtime ## start Ringfence on this machine: address and one-time login link follow
	@exec $(BIN)/ringfence up

demo: packages-demo $(VENV)/.runtime ## start a shop of containers with traffic, a policy, a violation and a quarantine
	@exec $(BIN)/ringfence demo up

demo-down: $(VENV)/.runtime ## remove every trace of the demo
	@exec $(BIN)/ringfence demo down

test: packages-test $(VENV)/.dev lint ## install what the tests need and run all of them
	@sh .ci/test.sh $(BIN)

test-fast: $(VENV)/.dev ## the tests without input or output, in seconds
	@$(BIN)/pytest -q tests/unit tests/meta

bench: $(VENV)/.dev ## measure one part: make bench NAME=collector; the last line is JSON
	@test -f "tests/bench/$(NAME).py" || { echo "which one? make bench NAME=..., of:"; \
		ls tests/bench/*.py | sed -nE '/test_/d; s,.*/(.*)\.py,  \1,p'; exit 2; }
	@$(BIN)/python -m tests.bench.$(NAME)

lint: $(VENV)/.dev ## format, lint, types and the direction of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: ## pin all dependencies again (needs uv)
	uv pip compile --quiet --generate-hashes --python-version 3.11 pyproject.toml -o requirements.lock $(LOCKFLAGS)
	uv pip compile --quiet --generate-hashes --python-version 3.11 pyproject.toml --group dev -c requirements.lock \
		-o requirements-dev.lock $(LOCKFLAGS)

clean: ## remove the virtual environment and what tools have cached
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

packages-runtime packages-demo packages-test:
	@sh .ci/packages.sh $(@:packages-%=%)

$(BIN)/python: | packages-runtime
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing the pinned dependencies"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "installing the pinned dependencies of the tests"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps -e .
	@touch $@ $(VENV)/.runtime
