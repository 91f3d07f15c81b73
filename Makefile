# `make sweep VUS=500` runs the experiment, `make test` the tests; both set up what is missing first.
# Each parameter of the notebook is a variable in capitals: make sweep VUS=10,50 DURATION_S=3 ARMS=mutex,inputQ
PYTHON ?= python3
VENV := .venv
# Else every start of Python compiles all that it imports: three times as long.
export PYTHONDONTWRITEBYTECODE :=
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup sweep compare check quick quick-tests test tests test-all all-tests stress bench lab lock

help:
	@echo "make sweep VUS=500   set up, run the experiment, say where the executed notebook lies"
	@echo "make compare         set up, compare two arms until the answer is known: make compare A=mutex B=inputQ"
	@echo "make test            set up, check and test: one real path of each kind"
	@echo "make quick           the checks, and those tests that start nothing"
	@echo "make test-all        every test: each fault, 1,000 VUs, every combination"
	@echo "make stress N=20     repeat the tests, and say how often each failed: also beside a busy core, NEIGHBOUR=1"
	@echo "make bench           compare every arm with a textbook's server and with grpcio's floor: make bench AGAINST='exec:...'"
	@echo "make lab             open the notebooks in JupyterLab"
	@echo "make lock            resolve requirements.lock anew"

setup: $(READY)

# The lock holds everything, so nothing is resolved; modules are compiled when they are first used.
# The marker is written last, so a set-up that was broken off is begun anew.
$(READY): requirements.lock pyproject.toml setup.py $(wildcard proto/*.proto)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "perfkit needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@echo "setting up $(VENV): one to three minutes, mostly downloads"
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes --no-deps --no-compile \
	    -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation \
	    --config-settings editable_mode=compat -e .
	@touch $@

# Every variable on make's command line is an option of the same name, so a misspelt one is refused.
OVERRIDDEN = $(foreach word,$(MAKEOVERRIDES),$(if $(findstring =,$(word)),$(firstword $(subst =, ,$(word)))))
# What was typed, as it is: no $ expanded, a quote kept.
typed = $(subst ','\'',$(value $(1)))
OPTIONS = $(foreach name,$(filter-out PYTHON VENV,$(OVERRIDDEN)),'--$(subst _,-,$(shell echo $(name) | tr A-Z a-z))=$(call typed,$(name))')

sweep: $(READY)
	@$(VENV)/bin/python -m perfkit sweep $(OPTIONS)

compare: $(READY)
	@$(VENV)/bin/python -m perfkit compare $(OPTIONS)

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --num-workers=2

# A worker more than cores, since they wait half of their time. Each has temporary files of its own; they take time from
# each other, which no test minds.
PYTEST = $(VENV)/bin/python -m pytest --numprocesses=$(shell expr $$(nproc) + 1) --dist=worksteal

quick: $(READY)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check quick-tests

quick-tests: $(READY)
	$(VENV)/bin/python -m pytest --numprocesses=logical --dist=worksteal --quiet -m "not load and not slow and not full"

test: $(READY)
	@$(MAKE) --no-print-directory check tests

tests: $(READY)
	$(PYTEST) -m "not full"

test-all: $(READY)
	@$(MAKE) --no-print-directory check all-tests

all-tests: $(READY)
	GENERATED=full $(PYTEST)

stress: $(READY)
	@$(VENV)/bin/python tests/stress.py $(OPTIONS)

bench: $(READY)
	@$(VENV)/bin/python bench/bench.py $(OPTIONS)

lab: $(READY)
	cd notebooks && ../$(VENV)/bin/jupyter lab

# Universal (every platform and Python that pyproject.toml allows), with hashes and without the registry's address.
lock: $(READY)
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --all-extras --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
