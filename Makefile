# Everything a person or a machine does here is a target; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test check coverage soak bench docs clean

SHELL := /bin/bash
BIN := .venv/bin
PYTEST := $(BIN)/pytest
# Where most tests need no process of their own.
FAST := tests/oci tests/dockerfile tests/content tests/engine tests/golden $(wildcard tests/test_*.py)
# On disk wherever /tmp is in memory: some tests move gigabytes.
export PYTEST_DEBUG_TEMPROOT ?= /var/tmp
# Where Debian keeps dockerd and runc; a user's PATH does not have it.
export PATH := $(PATH):/usr/sbin:/sbin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed ## start a hub and send a real image through it; ONCE=1 ends by itself
	@docs/tutorial/demo

test: .venv/.installed-for-tests ## run every test; installs the Debian packages that they need
	@tests/install-packages
	$(PYTEST) -n 2 -m "not alone" --durations=15
	$(PYTEST) -m alone --durations=15

check: .venv/.installed-for-tests ## lint, types, import rules and the fast tests, in a minute
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) -q -n 2 -m "not slow and not alone" --hypothesis-profile quick $(FAST)

coverage: .venv/.installed-for-tests ## which lines and branches the fast tests reach
	$(PYTEST) -q -n 2 -m "not slow and not alone" $(FAST) --cov --cov-report=term:skip-covered

soak: .venv/.installed-for-tests ## the long tests at full size (tests/BUDGET.md says which)
	@tests/install-packages
	SOAK=1 $(PYTEST) -m soak --timeout 7200 --durations=15

bench: .venv/.installed-for-tests ## measure beside the peers and write docs/performance.md; QUICK=1 in 5 minutes
	@tests/install-packages buildah=buildah curl=curl debootstrap=debootstrap docker=docker-cli,docker.io \
		docker-registry=docker-registry dockerd=docker.io nginx=nginx-light,nginx \
		podman=podman skopeo=skopeo umoci=umoci wrk=wrk
	$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)

docs: .venv/.installed ## write the generated pages of docs/ anew
	$(BIN)/python docs/generate.py

clean: ## remove what the other targets made in this folder
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage src/*.egg-info

.venv/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'dockyard needs Python 3.11 or newer; python3 is:' >&2; python3 --version >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' \
		|| { echo 'Python is here without venv. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@python3 -m venv .venv

.venv/.installed: pyproject.toml | .venv/bin/python
	@echo 'Installing dockyard into .venv …'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-for-tests: pyproject.toml | .venv/bin/python
	@echo 'Installing dockyard and what its tests need into .venv …'
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.installed
