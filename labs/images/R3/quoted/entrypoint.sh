#!/bin/sh
exec python /app/arguments.py "$@"
