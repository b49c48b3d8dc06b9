# Everything a newcomer types. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/debug/digi-cadence
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/dist/*' -not -path '*/test-results/*' -not -path '*/playwright-report/*' 2>/dev/null) api/openapi.json
DEMO_DIR ?= target/demo
DEMO_FLAGS ?=

.PHONY: help demo build web openapi test check e2e bench nightly

help: ## List what can be made
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'
	@echo
	@echo "  DEMO_ONCE=1 make demo   stop once the inbox is filled and write target/demo.json"
	@echo "  DEMO_DIR=folder         where the demo keeps its database (default target/demo)"

demo: build ## Build everything, create the demo portfolio and print a link to sign in
	@mkdir -p target
	@if [ -n "$${DEMO_ONCE:-}" ]; then rm -rf target/demo-once; \
	  exec $(BIN) demo --dir target/demo-once --once --report target/demo.json $(DEMO_FLAGS); \
	else exec $(BIN) demo --dir $(DEMO_DIR) $(DEMO_FLAGS); fi

build: web ## Build the binary with the web app inside
	cargo build --locked

web: web/dist/.built ## Build the web app (only when its sources changed)

# A cargo build without Node works too; it then serves a page that says how to build the web app.
web/dist/.built: $(WEB_SOURCES)
	@command -v npm >/dev/null || { echo "Node 20 or newer is needed to build the web app: https://nodejs.org" >&2; exit 1; }
	@if [ ! -d web/node_modules ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then \
	  cd web && npm ci --no-audit --no-fund; fi
	cd web && npm run build
	@touch $@

openapi: ## Write api/openapi.json from the code
	cargo run --locked --quiet -- openapi --write api/openapi.json

test: ## Run every test on SQLite and PostgreSQL, and count both
	tests/run.sh

check: web/dist/.built ## Formatting, lints, documentation, types
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	cd web && npm run check

e2e: build ## Drive the real binary with a browser
	cd web && DIGI_CADENCE_BIN="$(abspath $(BIN))" npm run e2e

bench: ## All seeds and worlds, backtests and timings, printed
	tests/bench.sh

nightly: build ## The long runs: 100 kill -9, all seeds
	KILLS=100 tests/run.sh -E 'test(kill)'
	tests/bench.sh
