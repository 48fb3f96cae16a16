# Everything starts here. `make` alone lists the commands; each makes what it needs, and nothing twice.
# Needs Python 3.11 or newer, git and make; neither root nor a running service.

PORT ?= 8000
VENV ?= .venv
ARGS ?=
VERSION ?= dev
SECONDS ?= 120

# The interpreter of the environment: python3 where it fits, else the newest that does. It is run, not only found:
# a version manager's stub exists and fails. Python 3.15 and later come last, as not every dependency has wheels for it.
PYTHON ?= $(shell newest=14; for python in python3 python3.14 python3.13 python3.12 python3.11 python3.15 python3 python; do \
	"$$python" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $$newest))" >/dev/null 2>&1 \
	&& command -v "$$python" && break; test $$python != python3.11 || newest=99; done)

SHELL := /bin/sh
BIN := $(VENV)/bin
PY := $(BIN)/python
BENCH := $(VENV)-bench
LOCK ?= requirements/dev.txt
# An environment knows its own path: one that was copied or moved with its folder is made again.
PLACE := $(shell pwd | cksum | cut -d' ' -f1)
# So is one whose interpreter is gone.
$(shell test -x $(PY) || rm -f $(VENV)/.dependencies-* $(VENV)/.ready-*)
DEPENDENCIES := $(VENV)/.dependencies-$(PLACE)
READY := $(VENV)/.ready-$(PLACE)
BENCH_READY := $(BENCH)/.ready-$(PLACE)
# Job queues that are measured beside ours pin what others cannot have, so each has an environment of its own.
PEERS := $(patsubst requirements/bench-jobs-%.in,%,$(wildcard requirements/bench-jobs-*.in))
PEERS_READY := $(PEERS:%=$(BENCH)-jobs-%/.ready-$(PLACE))
# Every pin has wheels for Linux and macOS but forbiddenfruit (under blockbuster), which is one Python file.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile --no-deps
LOCKED := $(INSTALL) --require-hashes
# The folders that hold Python by now.
CODE = $(shell for folder in src tests examples tools benchmarks; do \
	test -z "$$(find $$folder -name '*.py' 2>/dev/null | head -n 1)" || echo $$folder; done)
WORKERS ?= 2
PYTEST = $(PY) -m pytest -n $(WORKERS) --dist loadfile
STEPS := lint architecture types unit site site-tests

export NO_MKDOCS_2_WARNING := 1
# Images for containers switch Python's cache of compiled modules off; here each of hundreds of processes needs it.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup demo serve new-page screenshots site publish rollback published quality test check lint architecture types unit site-tests chaos coverage lowest bench peers fmt lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## Create the environment in .venv
	@echo "The environment is ready: $(VENV)/bin/python"

demo: $(READY) ## Run the example shop: web, worker and scheduler, without a server (PORT=8000 DATA=./demo-data)
	@PYTHONPATH=examples $(PY) -m shop.demo --port $(PORT) $(if $(DATA),--data $(DATA))

serve: $(READY) ## Build the site strictly and serve it with live reload (PORT=8000)
	@$(PY) -m tools.serve --port $(PORT)

new-page: $(READY) ## Begin a page of the site (PAGE=async/locks.md TITLE="Locks" KIND=how-to)
	@$(PY) -m tools.new_page "$(PAGE)" --title "$(TITLE)" --kind "$(or $(KIND),how-to)"

screenshots: $(READY) ## Take the screenshots that the pages show, of the demo in a browser
	$(PY) -m tools.screenshots

site: $(READY) ## Build the site strictly into site/
	$(PY) -m mkdocs build --strict
	$(PY) -m tools.machine_readable site

quality: $(READY) ## Measure the built site and keep the figures for its Quality page (ARGS="search weight")
	$(PY) -m tools.quality $(ARGS)

publish: $(READY) ## Put a version of the site on the branch gh-pages (VERSION=dev or 0.1.0 ARGS=--push)
	$(PY) -m tools.publish $(VERSION) $(ARGS)

rollback: ## Take the published site back by a step (ARGS="--to commit")
	$(or $(PYTHON),python3) -m tools.rollback $(ARGS)

published: $(READY) ## Add the addresses of the built site to those that must not vanish
	$(PY) -m tools.published site

test: $(READY) ## Run everything that must pass
	@failed=""; table=""; begin=$$(date +%s); \
	for step in $(STEPS); do \
		printf '\n=== %s\n' "$$step"; start=$$(date +%s); \
		test $$step = site-tests && export RUSTFORGE_SITE="$(CURDIR)/site"; \
		if $(MAKE) --no-print-directory $$step; then word=passed; else word=FAILED; failed="$$failed $$step"; fi; \
		table="$$table$$(printf '  %-14s %s %4ss' $$step $$word $$(($$(date +%s) - start)))|"; \
	done; \
	printf '\n=== summary\n'; printf '%s' "$$table" | tr '|' '\n'; \
	printf '  %-14s        %4ss\n' together $$(($$(date +%s) - begin)); \
	if test -n "$$failed"; then printf '\nFAILED:%s\n' "$$failed"; exit 1; fi; printf '\nEverything passed.\n'

check: lint architecture types ## Check style, architecture and types

lint: $(READY)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check --quiet $(CODE) || { $(BIN)/ruff format --diff $(CODE); echo "Run: make fmt" >&2; exit 1; }
	$(PY) -m codespell_lib
	$(PY) -m tools.prose
	$(PY) -m interrogate --quiet src || { $(PY) -m interrogate -v src; exit 1; }

architecture: $(READY)
	$(BIN)/lint-imports --no-logo
	$(PY) -m deptry src
	$(PY) -m vulture $(CODE)

types: $(READY) # the two checkers side by side, as neither uses more than one core
	@mkdir -p .cache; \
	{ $(PY) -m basedpyright >.cache/basedpyright.txt 2>&1 \
	&& PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH="$(CURDIR)/src" $(PY) -m basedpyright --ignoreexternal --verifytypes rustforge >>.cache/basedpyright.txt 2>&1; } & pyright=$$!; \
	$(PY) -m mypy $(CODE); mypy=$$?; wait $$pyright; pyright=$$?; \
	test $$pyright = 0 && tail -n 3 .cache/basedpyright.txt || cat .cache/basedpyright.txt; exit $$((mypy | pyright))

unit: $(READY) # every test but the site's, which need the built site
	$(PYTEST) --ignore=tests/site $(ARGS)

site-tests: $(READY)
	$(PYTEST) tests/site $(ARGS)

chaos: $(READY) ## Search the jobs for faults for longer: every state, every cut point, chaos (SECONDS=120 SEED=7)
	RUSTFORGE_CHAOS=1 $(PY) -m pytest -s tests/acceptance/test_job_model.py tests/acceptance/test_job_machine.py \
		tests/acceptance/test_crash_sweep.py $(ARGS)
	$(PY) -m tests.acceptance.chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))
	$(PY) -m tests.acceptance.chaos --seconds $(SECONDS) --fsync everysec $(if $(SEED),--seed $(SEED))
	$(PY) -m tests.acceptance.chaos --seconds $(SECONDS) --database postgres $(if $(SEED),--seed $(SEED))
	$(PY) -m tests.acceptance.chaos --seconds $(SECONDS) --redis cluster $(if $(SEED),--seed $(SEED))

coverage: $(READY) ## Measure what the tests reach (report in htmlcov/)
	$(PYTEST) --ignore=tests/site --cov --cov-report=term --cov-report=html $(ARGS)

lowest: ## Run the tests with the oldest dependencies that pyproject.toml admits
	@$(MAKE) --no-print-directory unit VENV=$(VENV)-lowest LOCK=requirements/lowest.txt

bench: $(BENCH_READY) $(PEERS_READY) ## Measure Rustforge beside its peers
	$(BENCH)/bin/python -m benchmarks $(ARGS)

peers: $(READY) $(BENCH_READY) $(BENCH)-jobs-arq/.ready-$(PLACE) $(BENCH)-jobs-celery/.ready-$(PLACE) ## Run what the pages show of other libraries
	$(PY) -m tools.peers

fmt: $(READY) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

# uv reads what pyproject.toml asks for and writes what fits every supported Python and system. Pins that still fit
# stay; `make lock UPGRADE=--upgrade` moves all of them. lowest.txt holds the oldest release of each run-time
# dependency that pyproject.toml admits, with the same tools.
UPGRADE ?=
COMPILE = env -u PIP_FIND_LINKS $(VENV)-lock/bin/uv pip compile --quiet --no-config --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --universal --python-version 3.11 $(UPGRADE)
lock: $(VENV)-lock/bin/python ## Pin the dependencies again, after a change in pyproject.toml
	$(VENV)-lock/bin/python $(INSTALL) uv==0.13.9
	$(COMPILE) --generate-hashes --all-extras --group dev -o requirements/dev.txt pyproject.toml
	$(COMPILE) --generate-hashes --all-extras --group bench -c requirements/dev.txt -o requirements/bench.txt pyproject.toml
	for peer in $(PEERS); do $(COMPILE) --generate-hashes -o requirements/bench-jobs-$$peer.txt \
		requirements/bench-jobs-$$peer.in || exit 1; done
	@mkdir -p .cache
	$(COMPILE) --all-extras --resolution lowest-direct -o .cache/lowest.txt pyproject.toml
	$(COMPILE) --generate-hashes --all-extras --group dev -c .cache/lowest.txt -o requirements/lowest.txt pyproject.toml

clean: ## Remove everything that was made
	rm -rf $(VENV) $(VENV)-* .cache .hypothesis .coverage* site build dist htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. A stamp says that its step was finished; the next call has nothing to do.

%/bin/python:
	@set -e; python="$(PYTHON)"; \
	if test -z "$$python"; then echo "Rustforge needs Python 3.11 or newer, and found none on PATH." >&2; \
	echo "Install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	echo "$$python cannot create environments: its venv module is not installed." >&2; \
	echo "On Debian and Ubuntu: sudo apt install python$$version-venv" >&2; \
	echo "Or name another interpreter: make setup PYTHON=/path/to/python3" >&2; exit 1; fi; \
	echo "Creating $* with $$("$$python" --version) ($$python)"; \
	"$$python" -m venv --clear $*

$(DEPENDENCIES): $(LOCK)
	@test -e $@ && $(PY) -c "" 2>/dev/null || { rm -rf $(VENV); $(MAKE) --no-print-directory $(PY); }
	@echo "Installing what $(LOCK) pins (a minute or two the first time)"
	@$(PY) $(LOCKED) -r $(LOCK)
	@touch $@

$(READY): $(DEPENDENCIES) pyproject.toml
	@$(PY) $(INSTALL) --no-build-isolation --editable .
	@touch $@

$(BENCH_READY): requirements/bench.txt pyproject.toml
	@test -e $@ && $(BENCH)/bin/python -c "" 2>/dev/null || { rm -rf $(BENCH); $(MAKE) --no-print-directory $(BENCH)/bin/python; }
	@echo "Installing what requirements/bench.txt pins"
	@$(BENCH)/bin/python $(LOCKED) -r requirements/bench.txt
	@$(BENCH)/bin/python $(INSTALL) --no-build-isolation --editable .
	@touch $@

$(PEERS_READY): $(BENCH)-jobs-%/.ready-$(PLACE): requirements/bench-jobs-%.txt
	@test -e $@ && $(BENCH)-jobs-$*/bin/python -c "" 2>/dev/null \
	|| { rm -rf $(BENCH)-jobs-$*; $(MAKE) --no-print-directory $(BENCH)-jobs-$*/bin/python; }
	@echo "Installing what $< pins"
	@$(BENCH)-jobs-$*/bin/python $(LOCKED) -r $<
	@touch $@
