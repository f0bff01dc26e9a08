# One word for each job. The first target that needs it creates .venv with the locked dependencies.
# Requires Python 3.11 to 3.14, make and git. To use another Python than python3: make PYTHON=python3.12 …

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
STATIC := services/src/marketstream/api/static
PAGE := $(STATIC)/node_modules/.package-lock.json
UV = $(shell sed -n 's/^ *"\(uv==[^"]*\)".*/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help run test coverage check generate bench soak e2e kind kind-down images image-of-exchange chart-docs docs clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

run: $(READY) $(PAGE) ## Run the whole pipeline on this machine; ARGS="--help" lists its options
	@exec $(BIN)/marketstream local $(ARGS)

test: $(READY) $(PAGE) ## Run all tests that need no cluster; ARGS are passed to pytest
	@exec $(BIN)/pytest -m "not soak and not e2e" $(ARGS)

coverage: $(READY) ## Measure the coverage of the tests that need no servers; fail below the floor
	@$(BIN)/coverage run -m pytest --quiet -p tests.workflows.without_recordings $(ARGS) tests/unit tests/integration/exchanges
	@$(BIN)/coverage report

check: $(READY) ## Check formatting, lint, spelling, types, layers and generated files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m marketstream_operator.manifests.generate --check
	$(BIN)/python charts/readme.py --check
	$(BIN)/pytest --quiet tests/style

generate: $(READY) ## Regenerate the CRD, the roles and the reference tables from the operator's code
	$(BIN)/python -m marketstream_operator.manifests.generate

bench: $(READY) ## Run the benchmarks; ARGS are passed to them
	@exec $(BIN)/python -m tests.bench $(ARGS)

soak: $(READY) ## Run the long tests: hundreds of faults, memory use over time
	@exec $(BIN)/pytest -m soak $(ARGS) tests

e2e: $(READY) $(PAGE) ## Run the end-to-end tests in the local cluster of the current kube context
	@exec $(BIN)/pytest -m e2e -rA $(ARGS) tests/e2e

kind: ## Create a kind cluster for this project
	kind create cluster --config kind-config.yaml --wait 5m

kind-down: ## Delete the kind cluster with everything in it
	kind delete cluster --name marketstream

images: ## Build both images; IMAGE_PREFIX, VERSION and MARKETSTREAM_IMAGE_BUILD change names and tool
	$(call image,services)
	$(call image,operator)

image-of-exchange: # The simulated exchange of the end-to-end tests, built on the services' image
	$(MARKETSTREAM_IMAGE_BUILD) -f tests/e2e/Dockerfile -t $(IMAGE_PREFIX)exchange:$(VERSION) \
	  --build-arg SERVICES=$(IMAGE_PREFIX)services:$(VERSION) tests/harness/binance

chart-docs: $(READY) ## Regenerate the chart's README from the comments in values.yaml
	@exec $(BIN)/python charts/readme.py

docs: $(READY) ## Build the documentation as a site in site/; fail on a broken link or anchor
	@NO_MKDOCS_2_WARNING=1 UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never $(BIN)/uv run --quiet --frozen --isolated \
	  --only-group docs mkdocs build

clean: ## Remove the environment, caches and build output; keep the data in .marketstream
	rm -rf .venv site .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist $(STATIC)/node_modules
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

# The environment. uv is a locked dependency itself, so that syncing keeps it.
$(READY): uv.lock pyproject.toml $(wildcard */pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
	  echo 'MarketStream needs Python 3.11 to 3.14, which "$(PYTHON)" is not. Name another one: make PYTHON=python3.12 …' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
	  echo 'This Python lacks the module venv or ensurepip; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@test -x $(BIN)/uv || { \
	  echo 'Creating .venv' && $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --disable-pip-version-check '$(UV)'; }
	@UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --frozen
	@touch $@

# The packages that the dashboard and /docs load, installed by the npm that comes as a Python package. Everything else
# works without them, and these pages say what is missing; so an unreachable registry stops nothing.
$(PAGE): $(STATIC)/package-lock.json | $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --prefix $(STATIC) --omit-lockfile-registry-resolved --ignore-scripts \
	  --no-audit --no-fund --loglevel=error >/dev/null && touch $@ \
	  || echo 'Cannot install the packages of the dashboard and of /docs, which will say so. The next make retries.' >&2
