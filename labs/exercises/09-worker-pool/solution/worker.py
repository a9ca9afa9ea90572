"""A worker of a pool: it prints invoices, one after the other, until it is told to stop.

Half an invoice is none: when it is told, it finishes the one that it has begun.
"""

import itertools
import os
import signal
import sys
import time
from types import FrameType

stopping = False


def say(words: str) -> None:
    """Write a whole line at once: several workers write to the same log."""
    os.write(1, f"worker {sys.argv[1]} (process {os.getpid()}) {words}\n".encode())


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Note that the worker is to stop after this invoice; to be told again changes nothing."""
    global stopping
    stopping = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("was told to stop")


signal.signal(signal.SIGTERM, stop)

for invoice in itertools.count(1):
    say(f"began invoice {invoice}")
    time.sleep(1)
    say(f"finished invoice {invoice}")
    if stopping:
        break
