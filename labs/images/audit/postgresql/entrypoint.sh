#!/bin/sh
set -eu
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "POSTGRES_PASSWORD is not set: say which password the superuser is to have." >&2
        exit 1
    fi
    echo "$POSTGRES_PASSWORD" > /tmp/password
    initdb --auth=scram-sha-256 --pwfile=/tmp/password
    rm /tmp/password
fi
exec "$@"
