"""A worker that finishes the job in hand when it is told to stop."""

import signal
import time
from types import FrameType

stopping = False


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Note that the worker is to stop after this job."""
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)

print("ready", flush=True)
while not stopping:
    time.sleep(0.5)  # one job
print("stopped", flush=True)
