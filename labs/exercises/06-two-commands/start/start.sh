#!/bin/sh
# a report of the orders every hour, beside the server
while true; do
    python /app/report.py 2>&1 | tee -a /var/log/report.log
    sleep 3600
done &
python /app/server.py
