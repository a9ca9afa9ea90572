"""A worker that leaves TERM to its default action, which PID 1 does not have."""

import time

print("ready", flush=True)
while True:
    time.sleep(0.5)  # one job
