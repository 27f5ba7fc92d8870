# make        lists what there is
# make demo   shows it at work        make test   tests it
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help venv demo simulate-bench decisions test test-engines test-sources lint audit docs walk format image sbom bench beats chaos swarm web reload-storm frameworks workers fuzz jobs newcomer clean

# Base images that were made locally (scripts/base-images), if any.
-include .env
PYTHON_IMAGE ?= $(shell sed -n 's/^ARG BASE=//p' Dockerfile)
BUILD_NETWORK ?= default
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' microscaling/__init__.py)
# A tag that exists only here: without one, Docker would pull the Go agent where this was not built.
IMAGE ?= microscaling/microscaling:$(VERSION)
# Arguments for pytest: make test ARGS="-k scaling -x"
ARGS ?=
# Processes that run the tests, which mostly wait; 0: none but pytest's own, as a debugger wants it.
WORKERS ?= 4

bin := .venv/bin
# What pip is told on this machine, it is told in the build as well.
pip_args := $(foreach name,PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST,$(if $($(name)),--build-arg $(name)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## set up .venv with all that the other targets need
	@scripts/venv demo yaml test lint

demo: ## see it work: a queue, three tasks, a live table and page (DEMO_SECONDS=20: end by itself)
	@scripts/venv demo server yaml
	@$(bin)/python -m scripts.demo

test: ## run the tests (ARGS=... goes to pytest; needs no engine, but uses one that answers)
	@scripts/venv demo yaml test
	@$(bin)/python -m pytest --numprocesses $(WORKERS) --ignore=tests/chaos --ignore=tests/reloads $(ARGS)

test-sources: ## install the sources that take minutes (asynq, River, Laravel, Kafka, Valkey), and run their tests (ARGS=... goes to pytest)
	@scripts/test-sources $(ARGS)

test-engines: ## build two versions of Compose and Docker's next engine, and run their tests on each and on Podman (an hour or more)
	@scripts/venv demo yaml test
	@$(bin)/python -m scripts.test_engines $(ARGS)

lint: ## ruff, types, layers, bandit
	@scripts/venv lint
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/bandit -q -c pyproject.toml -r microscaling

audit: ## known vulnerabilities of all that the image has in it (asks pypi.org; fails if that cannot be reached)
	@scripts/venv audit azure exporter kafka keda kubernetes metrics mysql postgresql redis schedule server sqs watch yaml
	@mkdir -p build
	$(bin)/python -m pip freeze --exclude-editable >build/audit.txt
	$(bin)/pip-audit --strict --disable-pip --no-deps -r build/audit.txt

docs: ## write the tables of README and docs that repeat knowledge of the code
	@scripts/venv metrics yaml
	@$(bin)/python -m scripts.docs $(ARGS)

walk: ## README and quickstart literally, in a fresh clone of the last commit and bare containers (minutes; needs an engine)
	scripts/base-images bare
	@scripts/venv
	@$(bin)/python -m scripts.walkthrough $(ARGS)

format: ## lay out the code as `make lint` wants it
	@scripts/venv lint
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

image: ## build the image microscaling/microscaling:VERSION
	docker build --network $(BUILD_NETWORK) --build-arg BASE=$(PYTHON_IMAGE) $(pip_args) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse -q --verify HEAD) \
		--build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) -t $(IMAGE) .

sbom: image ## build the image and write what is in its environment to build/sbom.cdx.json (CycloneDX)
	@mkdir -p build
	docker run --rm --network none $(IMAGE) cat /opt/microscaling/sbom.cdx.json >build/sbom.cdx.json

simulate-bench: ## the rules side by side on simulated queues (minutes; ARGS=...)
	@scripts/venv simulate
	@$(bin)/python -m scripts.simulate_bench $(ARGS)

decisions: ## the rules on a real NSQ and a real engine, beside what the simulator says (25 minutes; needs an engine and nsqd; ARGS=...)
	@scripts/venv demo simulate
	@PYTHON_IMAGE=$(PYTHON_IMAGE) $(bin)/python -m scripts.real $(ARGS)

bench: ## measure us, the alternatives and the floor in one run (some minutes; needs an engine; ARGS=...)
	@scripts/venv demo yaml
	@$(bin)/python -m scripts.bench $(ARGS)

newcomer: ## add a metric, a rule and a scheduler, one file each, and see the agent at work with them (a minute)
	@scripts/venv demo yaml test
	@$(bin)/python -m scripts.newcomer

beats: ## a million beats of the agent in virtual time, with all that can go wrong (some minutes; ARGS="--seed 2")
	@scripts/venv yaml test
	@$(bin)/python -m tests.scheduler.beats $(ARGS)

chaos: ## faults at random on real parts, for minutes (ARGS="--seed 1 --minutes 30"; as root, with dockerd)
	@scripts/venv test
	@$(bin)/python -m tests.chaos $(ARGS)

swarm: ## a real Swarm of three managers: scaling, nodes and agents that die; ARGS=--chaos (20 minutes; as root, with dockerd)
	@scripts/venv test
	@$(bin)/python -m tests.swarm $(ARGS)

reload-storm: ## 100 reloads in 10 minutes on a real engine, under load (ARGS="--seed 2 --reloads 50 --minutes 5"; as root, with dockerd)
	@scripts/venv test
	@$(bin)/python -m tests.reloads $(ARGS)

jobs: ## the example without an engine of docs/schedulers.md to the last of 100 jobs, 20 times (some minutes; ARGS=... goes to pytest)
	@scripts/venv demo yaml test
	@MSS_TEST_JOBS_ROUNDS=20 MSS_TEST_JOBS=100 $(bin)/python -m pytest -o faulthandler_timeout=0 tests/test_last_job.py $(ARGS)

workers: ## scale real Celery and RQ workers down 50 times each, local and in containers (ARGS="--scale-downs 5")
	@scripts/venv test
	@$(bin)/python -m tests.workers $(ARGS)

web: ## copies of a web service behind nginx, HAProxy and Caddy, 20 rounds of 1 to 8 and back under load (an hour; ARGS="--proxy nginx")
	scripts/base-images python nginx haproxy caddy
	@scripts/venv demo yaml test services
	@$(bin)/python -m tests.web $(ARGS)

frameworks: ## 500 jobs by real workers of each job framework, from zero and back, with its metric and with the list's length (half an hour; ARGS="RQ")
	@scripts/venv test services
	@$(bin)/python -m tests.frameworks $(ARGS)

fuzz: ## hostile inputs, 100,000 for each parser (an hour or so; MSS_TEST_FUZZ=1000: fewer; ARGS=...)
	@scripts/venv demo yaml test
	@MSS_TEST_FUZZ=$${MSS_TEST_FUZZ:-long} $(bin)/python -m pytest -p no:logging -o faulthandler_timeout=0 \
		--durations=0 tests/fuzz $(ARGS)

clean: ## remove what the other targets made in this folder
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
