#!/usr/bin/env bash
# Runs the tests with one PostgreSQL cluster and one Redis, and holds that both databases saw the same tests.
# Arguments go to the test runner; with arguments the counts are printed and not held against each other.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
tests/services.sh cargo nextest run --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

# A test that runs on a database is named for it: …::sqlite and …::postgres.
count() {
    sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -cE "(PASS .*::$1|^test .*::$1 \.\.\. ok)$" || true
}
sqlite=$(count sqlite)
postgres=$(count postgres)
printf '\nTests on a database that passed: %s on SQLite, %s on PostgreSQL\n' "$sqlite" "$postgres"
if [ $# -eq 0 ] && { [ "$sqlite" -eq 0 ] || [ "$sqlite" -ne "$postgres" ]; }; then
    echo "The two counts must be equal and above zero." >&2
    status=1
fi
# The runner's own closing lines stand last.
sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ +Summary \[|^test result:' | tail -n 20 | tee "${TMPDIR:-/tmp}/digi-cadence-test-summary" || true
exit "$status"
