#!/usr/bin/env bash
# Runs the tests with one PostgreSQL cluster and one Redis, and holds that both databases saw the same tests.
# Arguments go to the test runner.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tests/services.sh
source tests/services.sh

log=$(mktemp)
trap 'rm -f "$log"; services_stop' EXIT
services_start

status=0
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --locked --workspace --no-fail-fast --status-level pass "$@" 2>&1 | tee "$log" || status=$?
else
  cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
fi

# A test that runs on a database is named for it: …::sqlite and …::postgres.
count() {
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -cE "(PASS .*::$1|^test .*::$1 \.\.\. ok)$" || true
}
sqlite=$(count sqlite)
postgres=$(count postgres)
printf '\nTests on a database that passed: %s on SQLite, %s on PostgreSQL\n' "$sqlite" "$postgres"
if [ $# -eq 0 ]; then
  if [ "$sqlite" -eq 0 ] || [ "$sqlite" -ne "$postgres" ]; then
    echo "The two counts must be equal and above zero." >&2
    status=1
  fi
fi
exit "$status"
