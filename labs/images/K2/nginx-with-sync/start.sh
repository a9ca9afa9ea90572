#!/bin/sh
python /app/sync.py &
exec nginx -g "daemon off; error_log /dev/stderr notice;"
