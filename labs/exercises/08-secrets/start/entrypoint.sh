#!/bin/sh
set -e

: "${DATABASE_HOST:?is not set: where is the database?}"
: "${DATABASE_USER:?is not set: who is to log in?}"
: "${DATABASE_PASSWORD_FILE:?is not set: which file has the password?}"
export DATABASE_PASSWORD="$(cat "$DATABASE_PASSWORD_FILE")"
exec python /app/shop.py
