# Everything happens in .venv, made from the first Python that is new enough; nothing of the machine's own is touched.
# A stamp in .venv remembers each step until pyproject.toml changes, so that a second run starts at once.

PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
DEBIAN_PACKAGES := golang-1.19-go golang-golang-x-mod-dev # for the tests: they check proofs with code that nobody here wrote
COVERED_MIN := 95

# `make fuzz` reads for so long with each of these targets, all of them when none is named.
# It has an environment of its own: what drives it exists for few versions of Python.
SECONDS := 300
TARGET :=
FUZZ := .fuzz

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint tests bench soak fuzz docs clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## watch the ledger track real work
	$(VENV)/bin/tally demo

test: lint tests ## run everything that a change must pass

check: test ## the same as test

lint: $(VENV)/.equipped ## style, types, layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

tests: $(VENV)/.equipped ## tests with branch coverage
	$(PY) -m coverage run -m pytest
	$(PY) -m coverage report
	@echo "Percent of actors, ledger and projections that ran, lines and branches (at least $(COVERED_MIN)):"
	@$(PY) -m coverage report --include='actors/*,ledger/*,projections/*' --format=total --fail-under=$(COVERED_MIN)

bench: $(VENV)/.equipped ## measure, with peers in the same run
	$(VENV)/bin/tally bench all

soak: $(VENV)/.equipped ## ten minutes at full load, memory and readers watched
	$(PY) -m tallystick.bench.soak

fuzz: $(FUZZ)/.equipped ## read changed bytes, for SECONDS=300 with each TARGET="note proof"
	@nice $(FUZZ)/venv/bin/python -m tests.fuzz --seconds $(SECONDS) $(TARGET)

docs: $(VENV)/.installed ## write the generated pages again
	$(PY) -m tallystick.cli.reference

clean: ## forget .venv and every cache
	rm -rf $(VENV) $(FUZZ) build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@.ci/make-venv $(VENV) $(PYTHONS)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@echo "Installing tallystick into $(VENV) …"
	@$(PIP) --editable '.[notify]'
	@touch $@

$(VENV)/.equipped: $(VENV)/.made pyproject.toml
	@.ci/debian-packages $(DEBIAN_PACKAGES)
	@echo "Installing tallystick and what its tests need into $(VENV) …"
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(FUZZ)/.equipped: pyproject.toml
	@.ci/make-venv $(FUZZ)/venv python3.11 python3.12 python3.13
	@echo "Installing tallystick and what changes bytes into $(FUZZ)/venv …"
	@$(FUZZ)/venv/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[fuzz]'
	@touch $@
