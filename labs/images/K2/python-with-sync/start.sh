#!/bin/sh
python /app/sync.py &
exec python /app/pages.py
