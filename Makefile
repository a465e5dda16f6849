# Two commands for a newcomer: `make demo` and `make test`. One before a commit: `make check`.
# Everything comes from the hashed requirement files, into .venv; uv does it where it is installed, pip otherwise.

PYTHON ?= python3
PYTESTFLAGS ?=
LOCKFLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
UV_VERSION := 0.13.9
# Trust what the machine trusts, as pip does.
export UV_SYSTEM_CERTS ?= true

ifneq ($(UV),)
new_venv = rm -rf $(1) && $(UV) venv --quiet --python $(PYTHON) $(1)
install = $(UV) pip install --quiet --python $(1)/bin/python
else
new_venv = $(PYTHON) -m venv --clear $(1)
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test explore check format format-check lint types contracts coverage bench study validation conformance docs lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(VENV)/run.stamp ## margin of one worked account, with nothing but the run-time packages
	$(BIN)/margrave demo

test: $(VENV)/dev.stamp ## the whole test suite, on all cores
	$(BIN)/python -m pytest -n auto $(PYTESTFLAGS)

explore: $(VENV)/dev.stamp ## the property tests on new random examples, many of them
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n auto tests/property $(PYTESTFLAGS)

check: format-check lint types contracts demo coverage ## everything that CI asks

format: $(VENV)/dev.stamp ## rewrite the code in house form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.stamp ## ruff
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/dev.stamp ## imports go down the floors only
	$(BIN)/lint-imports

coverage: override PYTESTFLAGS += --cov --cov-report=term
coverage: test ## the test suite; fails when branch coverage of the calculation rooms is under 95 %

BENCHFLAGS ?=
bench: $(VENV)-bench/bench.stamp ## speed beside other libraries, as ratios of one run; the tables of the manual
	$(VENV)-bench/bin/python -m bench --json docs/_build/bench.json --markdown docs/performance-run.md $(BENCHFLAGS)

DATA ?= ../shared/data
STUDYFLAGS ?= --accounts 200 --seeds 3
study: $(VENV)/dev.stamp ## margin rules judged by their cascades: the runs of docs/study.md, into docs/_build/study
	@$(if $(wildcard $(DATA)/prices),,echo "no recorded crashes: $(DATA)/prices is not there; name a folder by DATA=")
	$(BIN)/margrave study --out docs/_build/study $(if $(wildcard $(DATA)/prices),--crashes $(DATA)/prices) $(STUDYFLAGS)

DRAWS ?= 600
COINDRAWS ?= 150
validation: $(VENV)/dev.stamp ## the simulator beside the recorded cascade of 10 October 2025, as docs/validation.md has it
	$(BIN)/python -m bench.october $(DATA) $(DRAWS)
	$(BIN)/python -m bench.october_coins $(DATA) $(COINDRAWS) --out docs/_build/validation

VECTORS ?= ../shared/vectors
conformance: $(VENV)/dev.stamp ## published vectors and rule codes, into docs and an HTML page in docs/_build
	$(BIN)/margrave conform $(VECTORS) --report docs/_build
	cp docs/_build/conformance.md docs/conformance.md
	$(BIN)/margrave rules codes --tests tests --format md > docs/rule-codes.md

docs: $(VENV)-docs/docs.stamp ## the manual, into docs/_build
	$(VENV)-docs/bin/python -m sphinx -W --keep-going -b html docs docs/_build

# --- environments: a stamp a step, so that a second run is instant ---------------------------------------------------

%/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "margrave needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(call new_venv,$*)
	@touch $@

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(VENV)/made.stamp
	$(call install,$(VENV)) --require-hashes -r requirements/run.txt
	$(call install,$(VENV)) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	$(call install,$(VENV)) --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)-docs/docs.stamp: requirements/docs.txt pyproject.toml | $(VENV)-docs/made.stamp
	$(call install,$(VENV)-docs) --require-hashes -r requirements/docs.txt
	$(call install,$(VENV)-docs) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)-bench/bench.stamp: requirements/bench.txt pyproject.toml | $(VENV)-bench/made.stamp
	$(call install,$(VENV)-bench) --require-hashes -r requirements/bench.txt
	$(call install,$(VENV)-bench) --no-deps --no-build-isolation -e .
	@touch $@

.PRECIOUS: %/made.stamp

# --- lock ------------------------------------------------------------------------------------------------------------
# Keeps the versions that still fit; `make lock LOCKFLAGS=--upgrade` moves all to the newest.

COMPILE = $(if $(UV),$(UV),$(VENV)-lock/bin/uv) pip compile --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(LOCKFLAGS) pyproject.toml

lock: $(if $(UV),,$(VENV)-lock/lock.stamp) ## recreate the hashed requirement files
	$(COMPILE) --group build -o requirements/run.txt
	$(COMPILE) --group dev --all-extras -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) --group bench --extra fast --extra frames -c requirements/dev.txt -o requirements/bench.txt
	$(COMPILE) --group docs -c requirements/dev.txt -o requirements/docs.txt

$(VENV)-lock/lock.stamp: | $(VENV)-lock/made.stamp
	$(call install,$(VENV)-lock) uv==$(UV_VERSION)
	@touch $@

clean: ## remove environments, caches and built pages
	rm -rf .venv .venv-bench .venv-docs .venv-lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf docs/_build dist .coverage
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
