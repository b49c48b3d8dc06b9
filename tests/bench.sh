#!/usr/bin/env bash
# The long measurements: every test that is marked as ignored because it takes minutes, with what it prints.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/services.sh cargo nextest run --locked --workspace --run-ignored only --no-capture --no-fail-fast "$@"
