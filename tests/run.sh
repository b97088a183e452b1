#!/usr/bin/env bash
# Runs every check of the repository. Installs PostgreSQL by apt if it is missing (for the tests
# that run on both databases), and cargo-deny by cargo; everything else comes with Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
    step "installing PostgreSQL"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends postgresql
fi

step "starting a PostgreSQL of its own"
. tests/postgres.sh
start_postgres
trap stop_postgres EXIT

step "cargo fmt --check"
cargo fmt --all -- --check

step "cargo clippy"
cargo clippy --workspace --all-targets --quiet -- -D warnings

step "cargo test"
cargo test --workspace --no-fail-fast

if ! command -v cargo-deny >/dev/null; then
    step "installing cargo-deny"
    cargo install --locked --quiet cargo-deny
fi
step "cargo deny"
cargo deny check bans licenses sources

step "all checks passed"
