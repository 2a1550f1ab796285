# make demo, lab, site (documentation), gallery (notebooks), quick (fast checks), test (all checks).
# All is installed in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: demo lab site quick test check fix gallery wheel constraints clean

demo: $(STAMP)
	@$(BIN)/flowbench demo

quick: check
	@$(BIN)/python -m pytest -m 'not slow and not browser and not service' $(PARALLEL)

test: check
	@$(BIN)/python -m pytest $(PARALLEL)

check: $(STAMP)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary

lab: $(STAMP)
	@$(BIN)/flowbench lab .

site: $(STAMP)
	@$(BIN)/python -m sphinx -W --keep-going -q -j auto -c docs/site . build/site
	@echo build/site/index.html

gallery: $(STAMP)
	@$(BIN)/python docs/make_gallery.py

fix: $(STAMP)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

wheel: $(STAMP)
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

constraints:
	@rm -rf build/fresh && $(PYTHON) -m venv build/fresh
	@build/fresh/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@{ sed '/^[^#]/d' constraints.txt; \
	   build/fresh/bin/python -m pip freeze --exclude-editable --exclude flowbench; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/fresh

clean:
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "flowbench needs Python 3.11 or later: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up $(VENV); this takes a minute or two."
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is incomplete: on Debian and Ubuntu, apt install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
