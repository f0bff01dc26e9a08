# One word for each job. The first of them makes .venv with the locked dependencies; after that this takes no time.
# Needs Python 3.11 to 3.14, make and git. Another Python than python3: make PYTHON=python3.12 …

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
STATIC := services/src/marketstream/api/static
PAGE := $(STATIC)/node_modules/.package-lock.json
UV = $(shell sed -n 's/^ *"\(uv==[^"]*\)".*/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help run test check generate bench soak e2e kind kind-down images image-of-exchange chart-docs clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

run: $(READY) $(PAGE) ## Run the whole pipeline on this machine; ARGS="--help" shows the options
	@exec $(BIN)/marketstream local $(ARGS)

test: $(READY) $(PAGE) ## Run every test that needs no cluster; ARGS are pytest's
	@exec $(BIN)/pytest -m "not soak and not e2e" $(ARGS)

check: $(READY) ## Check format, lint, types, layers and what is generated
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m marketstream_operator.manifests.generate --check

generate: $(READY) ## Write the CRD and the roles of the chart anew from the operator's code
	$(BIN)/python -m marketstream_operator.manifests.generate

bench: $(READY) ## Measure speed; ARGS are the benchmark's
	@exec $(BIN)/python -m tests.bench $(ARGS)

soak: $(READY) ## Run the long tests: faults by the hundred, memory over time
	@exec $(BIN)/pytest -m soak $(ARGS) tests

e2e: $(READY) $(PAGE) ## Install the platform in the cluster of the current kube context, a local one, and try everything
	@exec $(BIN)/pytest -m e2e -rA $(ARGS) tests/e2e

kind: ## Start a cluster of kind for this project; `make kind-down` removes it
	kind create cluster --config kind-config.yaml --wait 5m

kind-down: ## Remove that cluster with all that is in it
	kind delete cluster --name marketstream

images: ## Build both images, marketstream/services:dev and /operator:dev; VERSION and MARKETSTREAM_IMAGE_BUILD change that
	$(call image,services)
	$(call image,operator)

image-of-exchange: # of the end-to-end tests; made from the services' image
	$(MARKETSTREAM_IMAGE_BUILD) -f tests/e2e/Dockerfile -t $(IMAGE_PREFIX)exchange:$(VERSION) \
	  --build-arg SERVICES=$(IMAGE_PREFIX)services:$(VERSION) tests/harness/binance

chart-docs: $(READY) ## Write the chart's README from the comments of its values
	@exec $(BIN)/python charts/readme.py

clean: ## Remove the environment, caches and build output; the data in .marketstream stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist $(STATIC)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Docker where its daemon answers, else buildah; or any command with the options of docker build, from the environment
# or the command line: make images MARKETSTREAM_IMAGE_BUILD='docker buildx build --load'
VERSION ?= dev
IMAGE_PREFIX ?= marketstream/
MARKETSTREAM_IMAGE_BUILD ?= $(shell docker info >/dev/null 2>&1 && echo docker build || echo buildah build --layers)
IMAGE_SOURCE ?= $(shell git remote get-url origin 2>/dev/null)
image = $(MARKETSTREAM_IMAGE_BUILD) -f $1/Dockerfile -t $(IMAGE_PREFIX)$1:$(VERSION) --build-arg VERSION=$(VERSION) \
  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg CREATED=$$(git log -1 --format=%cI) \
  --build-arg 'SOURCE=$(or $(IMAGE_SOURCE),unknown)' .

# The environment. uv is locked as a dependency like the others, so that syncing keeps it.
$(READY): uv.lock pyproject.toml $(wildcard */pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
	  echo 'MarketStream needs Python 3.11 to 3.14; "$(PYTHON)" is not. Give another one: make PYTHON=python3.12 …' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
	  echo 'This Python lacks the module venv or ensurepip; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@test -x $(BIN)/uv || { \
	  echo 'Making .venv' && $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --disable-pip-version-check '$(UV)'; }
	@UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --frozen
	@touch $@

# What the page loads beside its own modules, by the npm that comes as a Python package. Everything but the page works
# without it, and the page says what is missing; so a registry that cannot be reached stops nothing.
$(PAGE): $(STATIC)/package-lock.json | $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(STATIC) --omit-lockfile-registry-resolved --ignore-scripts \
	  --no-audit --no-fund --loglevel=error >/dev/null && touch $@ \
	  || echo 'The packages of the dashboard could not be installed: it will say so. The next make tries again.' >&2
