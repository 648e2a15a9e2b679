# Everything a developer types. Each target works from a fresh clone: the virtual environment is made on first use.
# `make` alone lists the targets.

MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
WORKERS ?= auto

# What `make check` needs to load production settings; nothing here protects anything.
CHECK_ENV := ENV_FILE=/dev/null DEBUG=0 SECRET_KEY=$(shell printf 'check-%.0s' 1 2 3 4 5 6 7 8 9)0123456789 \
	PSA_ENCRYPTION_KEYS=Y2hlY2stb25seS1jaGVjay1vbmx5LWNoZWNrLW9ubHk= DATABASE_URL=sqlite://:memory: CACHE_URL=locmemcache:// \
	PSA_BASE_URL=https://psa.example.com ALLOWED_HOSTS=psa.example.com SECURE_SSL_REDIRECT=1

.PHONY: help run test check chaos bench screenshots lock audit wheel clean format

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

# The virtual environment; its packages follow the lock files.

$(PY):
	@found=; for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if command -v $$python >/dev/null && $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; \
	  then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "Python 3.11, 3.12 or 3.13 is needed; none was found on PATH." >&2; exit 1; fi; \
	$$found -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed. On Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run-stamp: requirements.txt | $(PY)
	@echo "Installing requirements.txt" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev-stamp: requirements.txt requirements-fleet.txt requirements-dev.txt | $(PY)
	@echo "Installing requirements.txt, requirements-fleet.txt and requirements-dev.txt" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements.txt -r requirements-fleet.txt -r requirements-dev.txt
	@touch $@ $(VENV)/.run-stamp

run: $(VENV)/.run-stamp ## web, worker and ConnectWise sandbox in the foreground (PORT, SANDBOX_PORT)
	@$(PY) -m resolutionflow.dev

DATABASE_TEST_URL ?= postgres://postgres@127.0.0.1:5432/postgres

test: $(VENV)/.dev-stamp ## all tests on SQLite, those of the database once more on PostgreSQL
	@env -u DATABASE_URL -u CACHE_URL $(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)
	@if $(PY) -c 'import psycopg, sys; psycopg.connect(sys.argv[1], connect_timeout=3).close()' "$(DATABASE_TEST_URL)" 2>/dev/null; then \
	  echo "PostgreSQL: the tests that touch the database, once more."; \
	  env -u CACHE_URL DATABASE_URL="$(DATABASE_TEST_URL)" $(PY) -m pytest -n $(WORKERS) --dist worksteal -m database $(ARGS); \
	else echo "PostgreSQL: skipped, nothing answers at DATABASE_TEST_URL."; fi

# Each check is a target of its own; `make -k check` goes on after one that fails.
CHECKS := lint format types imports migrations deployment templates openapi reference

check: $(addprefix check-,$(CHECKS)) ## lint, types, import rules, migrations, deployment, templates, OpenAPI, generated pages

.PHONY: $(addprefix check-,$(CHECKS))
$(addprefix check-,$(CHECKS)): $(VENV)/.dev-stamp

check-lint:
	@$(BIN)/ruff check --quiet .
check-format:
	@$(BIN)/ruff format --quiet --check . || { echo "Run make format." >&2; exit 1; }
check-types:
	@$(CHECK_ENV) $(BIN)/mypy --no-error-summary
check-imports:
	@$(BIN)/lint-imports --no-logo
check-migrations:
	@$(CHECK_ENV) $(PY) manage.py makemigrations --check --dry-run
check-deployment:
	@$(CHECK_ENV) $(PY) manage.py check --deploy --fail-level WARNING
check-templates:
	@$(BIN)/djlint --quiet --lint integrations_ui psa resolutionflow
check-openapi:
	@$(CHECK_ENV) $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null
check-reference:
	@$(PY) -m psa.providers.connectwise.quick_reference --check docs/connectwise/quick-reference.md

format: $(VENV)/.dev-stamp ## put the code in order
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

chaos: $(VENV)/.dev-stamp ## 2,000 notes under fire, on every database and engine found here (ARGS="--help")
	@$(PY) -m bench.chaos $(ARGS)

bench: $(VENV)/.dev-stamp ## the benchmarks of bench/
	@$(PY) -m bench $(ARGS)

screenshots: $(VENV)/.dev-stamp ## the pictures of the pages in docs/screenshots
	@$(PY) -m docs.screenshots.make

lock: $(VENV)/.dev-stamp ## pin requirements*.in with hashes, for Python 3.11 to 3.13
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links requirements.in -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links requirements-fleet.in -o requirements-fleet.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	  --no-emit-find-links --allow-unsafe requirements-dev.in -o requirements-dev.txt

audit: $(VENV)/.dev-stamp ## known holes in what is locked
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements.txt -r requirements-fleet.txt

wheel: $(VENV)/.dev-stamp ## the wheel of psa, in dist/
	@$(PY) -m build --no-isolation --wheel .

clean: ## everything that can be made again; .env and the database stay
	@rm -rf $(VENV) build dist ./*.egg-info staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis test-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
