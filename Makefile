# One command each, from a clean clone: `make demo`, `make test`. `make help` lists the rest.
# Every target sets up what it needs (a virtual environment, tools, the Rust extension) and only when something changed:
# the stamps are in .make/. What must be on the machine: Python 3.11 or newer, Rust, a C linker; scripts/preflight says which is missing.

export PATH := $(PATH):$(HOME)/.cargo/bin
# Tests and benchmarks start thousands of interpreters, each of which would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
RUST := Cargo.toml Cargo.lock $(shell find rust -name target -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print)

JOBS ?= auto
MINUTES ?= 5
RUN ?= .make/bench-all.json
ARGS ?=
# Groups that never live beside celery_rs: each in its own environment, .venv-NAME.
OTHERS := celery peers peers-arq peers-saq
# The servers that tests talk to; tests/brokers.sh installs and starts what is missing.
BROKERS ?= redis rabbitmq memcached mongodb postgresql mariadb

# Stamps outlive what they stand for when somebody deletes it by hand.
ifeq ($(wildcard $(PY)),)
$(shell rm -rf .make)
else ifeq ($(wildcard python/celery_rs/_core*.so),)
$(shell rm -f .make/extension)
endif
$(foreach name,$(OTHERS),$(if $(wildcard .venv-$(name)/bin/python),,$(shell rm -f .make/$(name))))

.PHONY: help demo test test-rust test-python lint docs docs-reference format build wheel bench bench-report bench-all chaos clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | column -t -s '|'

demo: .make/extension ## a worker, a client, results and a runtime rate limit, on SQLite
	@$(PY) -m demo.run

test: test-rust test-python ## every test (JOBS=n processes, ARGS="-k ..." for pytest)

test-rust: .make/preflight
	@echo "[test 1/2] Rust: the pure crate and the protocol model"
	@cargo test --quiet -p celery-core

test-python: .make/extension .make/group-test .make/group-lint .make/celery
	@echo "[test 2/2] Python: pytest in $(JOBS) processes"
	@BROKERS="$(BROKERS)" tests/brokers.sh $(PY) -m pytest -n $(JOBS) $(ARGS)

lint: .make/extension .make/group-lint .make/group-test ## formatting, lints and types, Python and Rust
	@echo "[lint 1/8] ruff format"
	@$(PY) -m ruff format --check --quiet . || { echo "not formatted: run 'make format'"; exit 1; }
	@echo "[lint 2/8] ruff check"
	@$(PY) -m ruff check --quiet .
	@echo "[lint 3/8] mypy --strict"
	@$(PY) -m mypy
	@echo "[lint 4/8] pyright: the package"
	@$(PY) -m pyright --warnings --pythonpath $(PY)
	@echo "[lint 5/8] programs that use it: mypy and pyright, both strict"
	@$(PY) -m pytest --quiet tests/typing
	@echo "[lint 6/8] stubtest: _core.pyi against the built extension"
	@$(PY) -m mypy.stubtest --concise celery_rs._core
	@echo "[lint 7/8] cargo fmt"
	@cargo fmt --all --check
	@echo "[lint 8/8] cargo clippy"
	@cargo clippy --quiet --workspace --all-targets -- -D warnings

docs: .make/extension .make/group-docs ## the site in docs/_build/html, any warning being an error
	@$(PY) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-reference: .make/extension ## docs/reference from the settings, the command line, the signals and the exceptions
	@$(PY) -m docs.generate

format: .make/group-lint ## write the formatting that `make lint` asks for
	@$(PY) -m ruff format --quiet .
	@$(PY) -m ruff check --quiet --fix .
	@cargo fmt --all

build: .make/extension ## the extension, in place

wheel: .make/group-build ## an installable wheel in dist/
	@$(PY) -m maturin build --release --out dist

bench: .make/extension ## throughput and latency beside Celery, some five minutes (ARGS="..." asks something else)
	@$(PY) -m bench $(if $(ARGS),$(ARGS),--plan quick)

bench-report: .make/extension .make/group-bench ## every scenario, everybody, 45 minutes: docs/benchmarks (a run that was cut off goes on)
	@ended=0; $(PY) -m bench --plan report --resume .make/bench-report.json --into docs/benchmarks $(ARGS) || ended=$$?; $(PY) -m bench.readme && exit $$ended
	@rm .make/bench-report.json

bench-all: .make/extension .make/group-bench ## the same with all variants and larger numbers, up to eight hours, into RUN=FILE.json
	@$(PY) -m bench --plan all --resume $(RUN) --into $(RUN:.json=) $(ARGS)

chaos: .make/extension .make/group-test ## kill, stop and resume workers for MINUTES=5, then account for every task
	@$(PY) -m tests.chaos --minutes $(MINUTES) $(ARGS)

clean: ## everything that can be made again
	@rm -rf .make .venv $(OTHERS:%=.venv-%) target dist docs/_build python/celery_rs/_core*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis

# --- set-up ---------------------------------------------------------------------------------------------------------

.make/preflight: scripts/preflight Cargo.toml
	@mkdir -p .make
	@scripts/preflight > $@

.make/venv: .make/preflight
	@echo "[setup 1/3] virtual environment in .venv ($$(cat .make/preflight))"
	@[ -x $(PY) ] || "$$(cat .make/preflight)" -m venv .venv
	@# Dependency groups need pip 25.1.
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

.make/group-%: .make/venv pyproject.toml
	@echo "[setup 2/3] dependency group '$*'"
	@$(PIP) install --group $*
	@touch $@

$(OTHERS:%=.make/%): .make/%: .make/venv pyproject.toml
	@echo "[setup] dependency group '$*' in .venv-$*, for interop tests or benchmarks"
	@[ -x .venv-$*/bin/python ] || $(PY) -m venv .venv-$*
	@.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install --upgrade 'pip>=25.1'
	@.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install --group $*
	@touch $@

.make/extension: .make/group-build pyproject.toml $(RUST)
	@echo "[setup 3/3] the Rust extension (about a minute the first time)"
	@VIRTUAL_ENV="$(CURDIR)/.venv" PIP_QUIET=1 $(PY) -m maturin develop --release --quiet
	@touch $@
