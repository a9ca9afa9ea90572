#!/bin/sh
gunicorn --bind 127.0.0.1:8000 --workers 2 --preload guestbook:application &
exec nginx -g "daemon off; error_log /dev/stderr;"
