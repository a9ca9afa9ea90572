#!/bin/sh
set -e

export ORPHANS="${ORPHANS:-20}"
exec python /app/app.py
