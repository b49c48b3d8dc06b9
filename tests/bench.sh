#!/usr/bin/env bash
# Figures beside those of the references in one table (kept in target/bench.json), the inner loops one by one, then the long
# measurements: planted facts, null worlds and plan gains over every seed, then each test that is marked as ignored because
# it takes minutes, with what it prints.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --locked --quiet -p analytics --bench table
cargo bench --locked --quiet -p analytics --bench kernels
cargo run --locked --quiet -p analytics --example planted
tests/services.sh cargo nextest run --locked --workspace --run-ignored only --no-capture --no-fail-fast "$@"
