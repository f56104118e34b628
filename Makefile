# make demo    trains on the committed sample and leaves a run folder under results/
# make test    formatting, lint, types, architecture, tests
# Both set up .venv first; PYTHON=python3.12 chooses another Python than python3.
.PHONY: demo test lint format pins clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VERSION := import sys; print("%d.%d" % sys.version_info[:2])

demo: $(INSTALLED)
	$(BIN)/pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val

# The tests come last: their closing line is the summary.
test: lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# requirements.txt from pyproject.toml, for every supported Python, by hash and without an address.
# Needs uv. UPGRADE=--upgrade takes the newest versions.
pins:
	uv pip compile pyproject.toml --group dev --output-file requirements.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make pins" $(UPGRADE)

clean:
	rm -rf $(VENV) build dist .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache src/pct.egg-info

# An environment of another version than a Python asked for by name is made anew.
ifdef PYTHON
ifneq ($(shell $(PYTHON) -c '$(VERSION)' 2>&1),$(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null))
.PHONY: $(INSTALLED)
endif
endif
PYTHON ?= python3

# The stamp is removed first and written last, so an interrupted set-up is taken up again.
# --no-build-isolation: the build, too, uses what is pinned.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'PCT needs Python 3.11 or newer, "$(PYTHON)" is none: try PYTHON=python3.12 make $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '"$(PYTHON)" lacks venv: install it (Debian, Ubuntu: apt install python3-venv) or choose another PYTHON' >&2; exit 1; }
	@rm -f $@
	@echo 'Setting up $(VENV); this takes a minute or two, once.' >&2
	@test "$$($(BIN)/python -c '$(VERSION)' 2>/dev/null)" = "$$($(PYTHON) -c '$(VERSION)')" || rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
