# Everything starts here: `make demo` to see Quipu at work, `make test` to prove it.
# A machine needs Python 3.11 or 3.12, git and make; the rest is fetched into .tools and .venv.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

UV_VERSION := 0.13.9
UV := .tools/bin/uv
UV_STAMP := .tools/.uv-$(UV_VERSION)
SYNC_STAMP := .venv/.synced
AIRFLOW_STAMP := .venv/.synced-airflow
BIN := .venv/bin
ARGS ?=
# Two processes of tests need two databases: one that is given is for one.
PROCESSES ?= $(if $(QUIPU_TEST_NEO4J),0,2)

# No Python but the machine's own: what the lock file was made for is what runs.
export UV_PYTHON_DOWNLOADS := never

# The first interpreter that runs and is new enough; PYTHON=... names another.
FIND_PYTHON = for p in $(PYTHON) python3.11 python3.12 python3 python; do \
	if command -v "$$p" >/dev/null 2>&1 && "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; \
	then "$$p" -c 'import sys; print(sys.executable)'; break; fi; done

.PHONY: help setup airflow demo test check bench docs neo4j neo4j-stop neo4j-import secrets images up down lock clean

help:  ## this list
	@echo "Quipu finds payment fraud by its links. First: make demo"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SYNC_STAMP)  ## install everything into .venv (the program is .venv/bin/quipu)

$(UV_STAMP):
	@python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
		echo "error: found no Python 3.11 or 3.12" >&2; \
		echo "hint:  install one (Debian: apt-get install python3.11 python3.11-venv), or say where: make setup PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	echo "setup: uv $(UV_VERSION) into .tools, with $$python"; \
	rm -rf .tools; \
	if "$$python" -m venv .tools >/dev/null 2>&1; then pip=".tools/bin/python -m pip"; \
	elif "$$python" -m venv --clear --without-pip .tools && "$$python" -m pip --version >/dev/null 2>&1; \
	then pip="$$python -m pip --python .tools/bin/python"; \
	else \
		echo "error: $$python has neither ensurepip nor pip" >&2; \
		echo "hint:  install them (Debian: apt-get install python3-venv)" >&2; \
		exit 1; \
	fi; \
	$$pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@

$(SYNC_STAMP): $(UV_STAMP) pyproject.toml uv.lock
	@echo "setup: the packages of uv.lock into .venv (about 3 GB; the first time takes minutes)"
	@$(UV) sync --frozen --python "$$(.tools/bin/python -c 'import sys; print(sys._base_executable)')"
	@touch $@
	@echo "setup: done, the program is $(BIN)/quipu"

demo: setup  ## a small world end to end, then serve (ARGS=--once: score and stop)
	@$(BIN)/quipu demo $(ARGS)

airflow: $(AIRFLOW_STAMP)  ## add Airflow to .venv, for schedules

$(AIRFLOW_STAMP): $(SYNC_STAMP)
	@echo "setup: Airflow as well (about 1 GB)"
	@$(UV) sync --frozen --inexact --group airflow
	@touch $@

test: check $(AIRFLOW_STAMP)  ## set up, check, and run the tests (ARGS are pytest's; PROCESSES=0: in one process, 2 by default)
	@MYPYPATH=dags $(BIN)/mypy dags/*.py
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile $(ARGS)

check: setup  ## lint, format and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

bench: setup  ## every published figure of speed and memory (ARGS name some of them)
	@$(BIN)/python -m bench $(ARGS)

docs: setup  ## write docs/commands.md and docs/settings.md from the code
	@$(BIN)/python docs/generate.py

neo4j: $(UV_STAMP)  ## fetch and start a local Neo4j on loopback (needs Java, and Maven the first time)
	@.tools/bin/python deploy/local/neo4j_server.py start $(ARGS)

neo4j-stop: $(UV_STAMP)  ## stop it; its data stays under var/neo4j
	@.tools/bin/python deploy/local/neo4j_server.py stop $(ARGS)

neo4j-import: $(UV_STAMP)  ## stop it, load DIR of `quipu graph export-import` into it, start it
	@.tools/bin/python deploy/local/neo4j_server.py import "$(DIR)" $(ARGS)

secrets:  ## write the secrets of docker-compose.yml into secrets/, where they are missing
	@"$$($(FIND_PYTHON))" deploy/make_secrets.py

images:  ## build the images of docker-compose.yml
	@docker compose --profile '*' build $(ARGS)

up: secrets  ## build and start everything in containers (ARGS are those of `docker compose up`)
	@docker compose up --detach --build $(ARGS)

down:  ## stop the containers; their data stays
	@docker compose --profile '*' down $(ARGS)

lock: $(UV_STAMP)  ## renew uv.lock from pyproject.toml
	@$(UV) lock

clean:  ## remove environments and caches; var/ with its data stays
	@rm -rf .venv .tools build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
