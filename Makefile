# What a newcomer needs: make demo, make test, make lab. Everything lives in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed

.PHONY: demo test lab check fix constraints clean

demo: $(STAMP)
	@$(BIN)/flowbench demo

test: check
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(STAMP)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary

lab: $(STAMP)
	@$(BIN)/flowbench lab

fix: $(STAMP)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

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
	  { echo "Python's venv is not whole: on Debian and Ubuntu, apt install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
