#!/usr/bin/env bash
# Runs every check of the repository. Installs what is missing: by apt PostgreSQL (for the tests
# that run on both databases), Chromium (for the pages), Node and Python; by npm and pip the SMART
# libraries of apps, as locked in tests/clients; by cargo cargo-deny. Everything else comes with
# Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

# Installs Debian packages, if a program is missing.
install() {
    step "installing $*"
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends "$@"
}

if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
    install postgresql
fi
# A browser for the pages, and what the apps of the tests run on.
command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
    install chromium chromium-driver fonts-dejavu-core
command -v node >/dev/null && command -v npm >/dev/null || install nodejs npm
python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv

clients=tests/clients
if ! [ $clients/javascript/node_modules -nt $clients/javascript/package-lock.json ]; then
    step "installing JavaScript's fhirclient"
    (cd $clients/javascript && npm ci --no-audit --no-fund --ignore-scripts && touch node_modules)
fi
if ! [ $clients/python/venv -nt $clients/python/requirements.txt ]; then
    step "installing Python's fhirclient"
    rm -rf $clients/python/venv
    python3 -m venv $clients/python/venv
    $clients/python/venv/bin/pip install -q --require-hashes -r $clients/python/requirements.txt
    touch $clients/python/venv
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
