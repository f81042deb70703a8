# One command surface. Every target makes its own .venv first and says so.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What the demo needs, and what working on Relay needs on top of that.
DEMO   := $(VENV)/.demo
STAMP  := $(VENV)/.installed
PROCESSES ?= 3

.PHONY: help demo check format test storm bench constraints schemas docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     run the main job here: embedded broker, relay, sandbox API"
	@echo "make test     run the tests (starts an Apache Kafka of its own)"
	@echo "make check    format, ruff, mypy, import-linter"
	@echo "make storm    long simulations and chaos runs"
	@echo "make bench    measure, side by side"

# pip is not quiet: a slow network then looks slow, and not stuck.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt

$(DEMO): pyproject.toml constraints.txt
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "relay needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@echo "==> installing relay and what its demo needs: some 35 packages, a minute as a rule"
	@$(PIP) -e '.[demo]'
	@touch $@

$(STAMP): $(DEMO)
	@echo "==> installing what the tests need: some 70 more, a few minutes as a rule"
	@$(PIP) -e '.[dev]'
	@touch $@

demo: $(DEMO)
	@$(BIN)/relay demo

# In several processes: most of the time they wait for brokers. PROCESSES=0 runs them in one.
test: $(STAMP)
	@echo "==> running the tests in $(PROCESSES) processes"
	@$(BIN)/python -m pytest -m "not storm" -n $(PROCESSES) --dist loadgroup

storm: $(STAMP)
	@echo "==> running the storms"
	@$(BIN)/python -m pytest -m storm

check: $(STAMP)
	@echo "==> ruff format, ruff check, mypy, import-linter"
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3

format: $(STAMP)
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

docs: $(STAMP)
	@$(BIN)/python -m scripts.generate

# BENCH="--full" takes more than an hour; BENCH="growth" runs one part.
bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@$(BIN)/python -m bench $(BENCH)

# Pins what is shipped, without saying where it comes from.
constraints: $(STAMP)
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --all-extras --strip-extras --no-emit-index-url --no-emit-trusted-host \
	  --no-emit-find-links --no-emit-options --no-header --output-file constraints.txt pyproject.toml

clean:
	@rm -rf $(VENV) .cache
