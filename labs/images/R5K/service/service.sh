#!/bin/sh
# A service that needs a token. It tells the token's fingerprint, which shows that it had it.
token=${TOKEN:-$(cat "$TOKEN_FILE")}
echo "token $(printf %s "$token" | sha256sum | cut -c 1-16)"
trap 'exit 0' TERM
sleep infinity &
wait
