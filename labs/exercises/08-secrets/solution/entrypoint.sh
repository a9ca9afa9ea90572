#!/bin/sh
set -e

missing=
for name in DATABASE_HOST DATABASE_USER DATABASE_PASSWORD_FILE; do
  [ -n "$(printenv "$name")" ] || missing="$missing $name"
done
if [ -n "$missing" ]; then
  echo "These settings are missing:$missing" >&2
  exit 1
fi
exec python /app/shop.py
