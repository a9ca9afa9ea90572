#!/bin/sh
# Have the server log to the container's own output, where `docker logs` finds it.
set -eu
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
