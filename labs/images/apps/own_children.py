"""Start children and never wait for them, though nobody else can."""

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


def start_children(count: int) -> list[subprocess.Popen[bytes]]:
    """Start the children, and return them when all of them have ended."""
    reader, writer = os.pipe()
    children = [subprocess.Popen(["sleep", "0.2"], stdout=writer) for _ in range(count)]
    os.close(writer)
    os.read(reader, 1)  # the end of the file: no child holds the pipe any more
    os.close(reader)
    return children


signal.signal(signal.SIGTERM, stop)

children = start_children(int(os.environ.get("CHILDREN", "20")))
print("ready", flush=True)
while not stopping:
    time.sleep(0.5)
print("stopped", flush=True)
