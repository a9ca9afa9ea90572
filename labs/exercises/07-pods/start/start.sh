#!/bin/sh
python /app/clock.py &
exec python /app/server.py
