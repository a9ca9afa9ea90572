#!/bin/sh
set -e

umask 027 # others read nothing of what the worker writes
trap 'kill -TERM "$app"; wait "$app"; exit $?' TERM
"$@" &
app=$!
wait "$app"
