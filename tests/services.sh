#!/usr/bin/env bash
# Starts one PostgreSQL cluster and one Redis on free ports in a temporary folder, runs the command given as arguments
# with DIGI_TEST_POSTGRES and DIGI_TEST_REDIS set, and always stops both and deletes the folder.
#
#   tests/services.sh cargo nextest run
#
# Without cargo-nextest, `cargo nextest run …` falls back to `cargo test …`. A service that cannot be had is a failure.
set -euo pipefail

die() { echo "services.sh: $*" >&2; exit 1; }
[ $# -gt 0 ] || die "which command shall run? e.g. tests/services.sh cargo test"

updated=
install_package() {
    command -v apt-get >/dev/null || die "$1 is missing and there is no apt-get to install it; install it by hand"
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "$1 is missing; install it, or run as root once"
        sudo=sudo
    fi
    if [ -z "$updated" ]; then $sudo apt-get update -qq >&2; updated=1; fi
    # A distribution starts its own cluster on installation; the tests start theirs and leave that one alone.
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "$1" >&2
}

newest_postgres() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -V | tail -n 1; }

bin=$(newest_postgres)
if [ -z "$bin" ] || [ ! -x "$bin/initdb" ]; then
    if command -v initdb >/dev/null; then bin=$(dirname "$(command -v initdb)"); else install_package postgresql; bin=$(newest_postgres); fi
fi
[ -n "$bin" ] && [ -x "$bin/initdb" ] || die "PostgreSQL's initdb was not found"
command -v redis-server >/dev/null || install_package redis-server
command -v redis-server >/dev/null || die "redis-server was not found"

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/digi-services.XXXXXX")
redis_pid=
as_owner() { "$@"; }
if [ "$(id -u)" -eq 0 ]; then
    # PostgreSQL refuses to run as root.
    id postgres >/dev/null 2>&1 || die "PostgreSQL does not run as root and there is no user 'postgres'"
    as_owner() { (cd / && runuser -u postgres -- "$@"); }
    chown postgres "$folder"
fi
chmod 755 "$folder"

stop() {
    local status=$?
    trap - EXIT INT TERM HUP
    as_owner "$bin/pg_ctl" -D "$folder/postgres" -m immediate -s stop >/dev/null 2>&1 || true
    if [ -n "$redis_pid" ]; then kill "$redis_pid" 2>/dev/null || true; wait "$redis_pid" 2>/dev/null || true; fi
    rm -rf "$folder"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

as_owner "$bin/initdb" -D "$folder/postgres" -U dc_admin -A trust -E UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 ||
    { cat "$folder/initdb.log" >&2; die "initdb failed"; }
as_owner tee -a "$folder/postgres/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
max_connections = 200
shared_buffers = 128MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum_naptime = 10s
CONF

start_postgres() {
    postgres_port=$(free_port)
    as_owner "$bin/pg_ctl" -D "$folder/postgres" -o "-p $postgres_port" -l "$folder/postgres/server.log" -w -t 60 -s start
}
# Somebody else may take the port between looking and listening.
start_postgres || start_postgres || start_postgres || { cat "$folder/postgres/server.log" >&2; die "PostgreSQL did not start"; }

start_redis() {
    redis_port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$redis_port" --save "" --appendonly no --dir "$folder" --daemonize no \
        >"$folder/redis.log" 2>&1 &
    redis_pid=$!
    for _ in $(seq 100); do
        kill -0 "$redis_pid" 2>/dev/null || return 1
        if grep -q "Ready to accept connections" "$folder/redis.log"; then return 0; fi
        sleep 0.05
    done
    return 1
}
start_redis || start_redis || start_redis || { cat "$folder/redis.log" >&2; die "Redis did not start"; }

export DIGI_TEST_POSTGRES="postgres://dc_admin@127.0.0.1:$postgres_port/postgres"
export DIGI_TEST_REDIS="redis://127.0.0.1:$redis_port"

if [ "${1:-}" = cargo ] && [ "${2:-}" = nextest ] && ! cargo nextest --version >/dev/null 2>&1; then
    shift 3 # cargo nextest run
    set -- cargo test "$@"
fi
# The shell stays, so that the trap runs; a signal reaches the command first and then this script.
"$@" &
command_pid=$!
trap 'kill -INT "$command_pid" 2>/dev/null || true; wait "$command_pid" 2>/dev/null || true; exit 130' INT
trap 'kill -TERM "$command_pid" 2>/dev/null || true; wait "$command_pid" 2>/dev/null || true; exit 143' TERM HUP
wait "$command_pid"
