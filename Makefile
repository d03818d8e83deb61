# Everything a user, a developer or CI runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# The tools of the environment come first, and a caller's Ansible settings or lab must not leak into ours.
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH ANSIBLE_INVENTORY ANSIBLE_ROLES_PATH PYTHONPATH

SCRIPTS := .ci/run tools/*.sh
EVERYDAY := not slow
PYTEST := pytest --durations=10 $(PYTEST_ARGS)
ALL_SHARES := python tools/test.py --durations=10 $(PYTEST_ARGS)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is needed: Debian packages as root or with sudo, the rest into .venv
	@tools/setup.sh

.PHONY: demo
demo: setup ## Deploy, hold and roll back on real servers under load, and tell what customers noticed
	@python -m lab.demo

.PHONY: test
test: setup static ## The everyday suite: lint, sanity, unit and integration tests, Molecule (30 minutes at most)
	$(ALL_SHARES) -m "$(EVERYDAY)"

.PHONY: test-full
test-full: setup static ## The everyday suite and all that is slow
	$(ALL_SHARES)

.PHONY: unit
unit: setup ## Only the unit tests
	$(PYTEST) tests/unit

.PHONY: integration
integration: setup ## Only the tests against real servers, Molecule included
	$(PYTEST) -m "$(EVERYDAY)" tests/integration

.PHONY: molecule
molecule: setup ## Only the Molecule scenario, on a lab of its own
	@tools/molecule.sh

.PHONY: bench-waves
bench-waves: setup ## Measure what Tidegate adds to a wave: build/bench/waves.json (ten minutes)
	@python -m benchmarks.waves

.PHONY: bench-pools
bench-pools: setup ## Measure moves against community.general.haproxy: build/bench/pools.json (seven minutes, and more on a busy machine)
	@python -m benchmarks.pools

.PHONY: bench-nunit
bench-nunit: setup ## Measure the reading of NUnit results beside other readers: build/bench/nunit.json (a few minutes)
	@python -m benchmarks.nunit

.PHONY: bench-events
bench-events: setup ## Measure what shipping events adds to a deployment: build/bench/events.json (hours)
	@python -m benchmarks.events

.PHONY: splunk-app
splunk-app: setup ## Pack the Splunk app and let Splunk's AppInspect look at it: build/splunk/tidegate.tar.gz
	@python tools/splunk_app.py build/splunk
	build/appinspect/bin/splunk-appinspect inspect build/splunk/tidegate.tar.gz

.PHONY: soak
soak: setup ## Ten minutes of leaves and joins under load, of which no customer may notice any: build/soak.json
	@python -m benchmarks.soak

.PHONY: sanity
sanity: setup ## Only ansible-test's sanity tests
	@tools/sanity.sh

.PHONY: static
static: setup ## Lint and sanity side by side
	@echo "lint and sanity side by side: two minutes, and more the first time"
	@$(MAKE) --jobs=2 --output-sync=target lint sanity

.PHONY: lint
lint: setup ## Style, types, Ansible's rules, shell scripts
	ruff check .
	ruff format --check .
	mypy -p ansible_collections.tidegate.delivery.plugins -p tidegate -p lab
	mypy -p benchmarks
	mypy tests
	# A home of its own: a copy of this collection below ~/.ansible would be looked at instead.
	ANSIBLE_HOME=$(CURDIR)/build/ansible ansible-lint --strict
	shellcheck $(SCRIPTS)

.PHONY: lab-up
lab-up: setup ## Start the lab; run again, it starts what is missing
	@python -m lab up

.PHONY: lab-down
lab-down: setup ## End every process of the lab
	@python -m lab down

.PHONY: clean
clean: ## End the labs below build/ and remove all that was made here, .venv included
	@tools/clean.sh
