#!/bin/sh
set -e

: "${STATION:?is not set: which station is it?}"
exec python /app/app.py "$@"
