# `make demo` and `make test` work on a fresh machine with Python 3.11 or later; they install what they need into .venv.
SHELL := /bin/sh
PYTHON ?= python3
CATALOGUE ?= retail
SECONDS ?=
ROUNDS ?= 10
MINUTES ?= 10
SEED ?=
TESTS ?=
BIN := .venv/bin

.PHONY: install demo test soak chaos lint bench fmt replay check-python
.DEFAULT_GOAL := help
help:
	@echo "make demo [CATALOGUE=bank] [SECONDS=30]   run the main job with its dashboard"
	@echo "make test [TESTS=tests/unit]              run all tests, or some"
	@echo "make soak [MINUTES=10] [SEED=]             fresh generated cases: the engine against its oracle"
	@echo "make chaos [ROUNDS=10] [SEED=]            kill, hold up and cut off workers and broker, then compare"
	@echo "make replay [CATALOGUE=bank]              the demo's year over files, into .livetags/replay-*"
	@echo "make bench [JOB=tags_lite] [BROKER=kafka]  measure; kafka: Apache Kafka, with java and mvn; or HOST:PORT"
	@echo "make lint | fmt | install"

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "livetags needs Python 3.11 or later as $(PYTHON): install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) can't make virtual environments: install its venv package (Debian: apt-get install python3-venv)" >&2; exit 1; }

.venv/.installed: ops/requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked dependencies into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r ops/requirements.lock || { echo "The dependencies could not be installed: is a Python package index reachable?" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

install: .venv/.installed

demo: install
	@$(BIN)/livetags demo --catalogue $(CATALOGUE) $(if $(SECONDS),--seconds $(SECONDS))

test: install
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TESTS)

soak: install
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

chaos: install
	@$(BIN)/python -m tests.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install
	@$(BIN)/python -m bench $(if $(JOB),--job $(JOB)) $(if $(BROKER),--broker $(BROKER))

replay: install
	@$(BIN)/livetags replay schemas/$(CATALOGUE).yaml $$($(BIN)/livetags data $(CATALOGUE)) --out .livetags/replay-$(CATALOGUE)
