#!/bin/bash
for number in 1 2 3; do
  python /app/worker.py "$number" &
done
workers=$(jobs -p)

tell_workers() {
  kill -TERM $workers 2>/dev/null
}
trap tell_workers TERM

wait -n # returns when TERM has come, or when a worker has ended
tell_workers
status=0
for worker in $workers; do
  wait "$worker" || status=1
done
exit "$status"
