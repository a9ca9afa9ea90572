#!/bin/sh
# A worker that leaves TERM to its default action, which PID 1 does not have.

echo ready
while true; do
    sleep 0.5 # one job
done
