#!/bin/sh
set -e

export ORPHANS="${ORPHANS:-20}"
python /app/app.py
