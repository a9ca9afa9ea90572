"""Start helpers that outlive the shell that started them, and never wait for them.

Each shell puts its helper into the background and ends, which leaves the helper an orphan: the
kernel makes it a child of PID 1, and PID 1 has to collect its exit status.
"""

import os
import signal
import subprocess
import time
from types import FrameType

stopping = False


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Note that the application is to stop."""
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

leave_orphans(int(os.environ.get("ORPHANS", "20")))
print("ready", flush=True)
while not stopping:
    time.sleep(0.5)
print("stopped", flush=True)
