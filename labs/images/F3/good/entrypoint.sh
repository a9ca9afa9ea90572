#!/bin/sh
set -eu
envsubst '$SERVERS' < /etc/nginx/site.template > /etc/nginx/sites-enabled/default
exec "$@"
