"""An application that leaves helpers behind, and finishes its job when it is told to stop.

Each helper is put into the background by a shell that ends at once, so that nobody but PID 1 is
left to collect the helper's exit status.
"""

import os
import signal
import subprocess
import time
from types import FrameType

stopping = False


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Note that the application is to stop after this job."""
    global stopping
    stopping = True


def leave_orphans(count: int) -> None:
    """Start the helpers, and return when all of them have ended."""
    reader, writer = os.pipe()
    for _ in range(count):
        subprocess.run(["sh", "-c", "sleep 0.2 &"], stdout=writer, check=True)
    os.close(writer)
    os.read(reader, 1)  # the end of the file: no helper holds the pipe any more
    os.close(reader)


signal.signal(signal.SIGTERM, stop)

leave_orphans(int(os.environ["ORPHANS"]))
print("ready", flush=True)
while not stopping:
    time.sleep(0.5)  # one job
print("stopped", flush=True)
