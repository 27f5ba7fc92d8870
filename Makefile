# make        lists what there is
# make demo   shows it at work        make test   tests it
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format image bench clean

# Base images that were made locally (scripts/base-images), if any.
-include .env
PYTHON_IMAGE ?= python:3.12-slim
BUILD_NETWORK ?= default
IMAGE ?= microscaling/microscaling
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' microscaling/__init__.py)
# Arguments for pytest: make test ARGS="-k scaling -x"
ARGS ?=

bin := .venv/bin
# What pip is told on this machine, it is told in the build as well.
pip_args := $(foreach name,PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST,$(if $($(name)),--build-arg $(name)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## set up .venv with all that the other targets need
	@scripts/venv demo yaml test lint

demo: ## see it work: a queue, three tasks, a live table and page (DEMO_SECONDS=20: end by itself)
	@scripts/venv demo server yaml
	@$(bin)/python -m scripts.demo

test: ## run the tests (ARGS=... goes to pytest; needs no engine, but uses one that answers)
	@scripts/venv demo yaml test
	@$(bin)/python -m pytest $(ARGS)

lint: ## ruff, types, layers
	@scripts/venv lint
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports

format: ## lay out the code as `make lint` wants it
	@scripts/venv lint
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

image: ## build the image microscaling/microscaling
	docker build --network $(BUILD_NETWORK) --build-arg BASE=$(PYTHON_IMAGE) $(pip_args) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse -q --verify HEAD) \
		--build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) -t $(IMAGE) .

bench: ## measure us, the alternatives and the floor in one run (some minutes; needs an engine; ARGS=...)
	@scripts/venv demo yaml
	@$(bin)/python -m scripts.bench $(ARGS)

clean: ## remove what the other targets made in this folder
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
