# make demo    trains on the committed sample and leaves a run folder under results/
# make test    formatting, lint, types, architecture, tests
# make docs    builds the documentation site under build/docs/site
# make release builds wheel and sdist into dist/, after the wheel was tried and the tests passed
# make wheel   builds the wheel and runs it from an empty environment
# Each sets up .venv first; PYTHON=python3.12 chooses another Python than python3.
.PHONY: demo test docs release wheel lint format pins clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
VERSION := import sys; print("%d.%d" % sys.version_info[:2])

demo: $(INSTALLED)
	$(BIN)/pct train --dataset datasets/surfaces/train --val-dataset datasets/surfaces/val \
		--model singletrack --fixed C_Sf C_Sr m I --epochs 15

# The tests come last: their closing line is the summary.
test: lint
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist worksteal

docs: $(INSTALLED)
	@$(PIP) --only-binary :all: --require-hashes -r docs/site/requirements.txt
	$(BIN)/python docs/site/generate.py
	$(BIN)/zensical build --strict --config-file build/docs/zensical.toml

release: wheel test
	rm -rf dist build
	$(BIN)/python -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' > /dev/null
	$(BIN)/python -m zipfile --test dist/*.whl

wheel: $(INSTALLED)
	.ci/wheel

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
	uv pip compile --group docs --constraint requirements.txt --output-file docs/site/requirements.txt \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make pins" $(UPGRADE)
	uv pip compile pyproject.toml --group dev --output-file requirements.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make pins" $(UPGRADE)

clean:
	rm -rf $(VENV) build dist .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache src/pct.egg-info

# An environment that another version made than the PYTHON asked for is replaced.
ifdef PYTHON
ifneq ($(shell { $(PYTHON) -c '$(VERSION)'; } 2>/dev/null),$(shell { $(BIN)/python -c '$(VERSION)'; } 2>/dev/null))
REPLACE := yes
.PHONY: $(INSTALLED)
endif
endif
PYTHON ?= python3

# The stamp is removed first and written last, so that an interrupted set-up is taken up again.
# Without build isolation the build, too, uses what is pinned.
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check
$(INSTALLED): requirements.txt pyproject.toml
	@rm -f $@
	@if [ -n '$(REPLACE)' ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo 'PCT needs Python 3.11 or newer, "$(PYTHON)" is not: try PYTHON=python3.12 make $(MAKECMDGOALS)'; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo '"$(PYTHON)" lacks venv: install it (Debian, Ubuntu: apt install python3-venv) or choose another PYTHON'; exit 1; }; \
		echo 'Setting up $(VENV), once: a minute or two.'; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi >&2
	@$(PIP) --only-binary :all: --require-hashes -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
