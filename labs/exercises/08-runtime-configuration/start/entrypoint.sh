#!/bin/sh
set -e

export STATION="Oslo"
exec python /app/app.py $@
