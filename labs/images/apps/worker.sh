#!/bin/sh
# A worker that finishes the job in hand when it is told to stop.

stopping=no
trap 'stopping=yes' TERM

echo ready
while [ "$stopping" = no ]; do
    sleep 0.5 # one job
done
echo stopped
