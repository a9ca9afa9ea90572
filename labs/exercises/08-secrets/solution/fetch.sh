#!/bin/sh
# Stands for the client of a private catalogue, which has to log in. TOKEN, or the file that
# TOKEN_FILE names, has its token. As many clients do, it keeps its login for the next time.
# What it fetches is the token's fingerprint, which shows that it had it.
set -e

if [ -n "$TOKEN_FILE" ]; then
  TOKEN=$(cat "$TOKEN_FILE")
fi
: "${TOKEN:?is not set, and TOKEN_FILE names no file}"
echo "token = $TOKEN" > "${HOME:-/root}/.catalogue"
printf %s "$TOKEN" | sha256sum | cut -c 1-16
