#!/bin/bash
set -e

for number in 1 2 3; do
  python /app/worker.py "$number" &
done
wait
