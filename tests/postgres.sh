# To be sourced: starts a throwaway PostgreSQL and exports ROTUNDA_TEST_POSTGRES, the address
# of a superuser without a database; tests make their own databases on it.

as_postgres() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start_postgres() {
    local initdb
    initdb=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
    [ -n "$initdb" ] || initdb=$(command -v initdb)
    postgres_bin=$(dirname "$(readlink -f "$initdb")")
    postgres_dir=$(mktemp -d /tmp/rotunda-postgres.XXXXXX)
    [ "$(id -u)" != 0 ] || chown postgres "$postgres_dir"
    as_postgres "$postgres_bin/initdb" -D "$postgres_dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$postgres_dir.log"
    local port
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 20000))
        if as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -l "$postgres_dir/log" -w -s start -o \
            "-p $port -k $postgres_dir -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=off"; then
            export ROTUNDA_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port"
            echo "$ROTUNDA_TEST_POSTGRES"
            return
        fi
    done
    cat "$postgres_dir/log" >&2
    return 1
}

stop_postgres() {
    as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -s -m immediate stop || true
    rm -rf "$postgres_dir" "$postgres_dir.log"
}
