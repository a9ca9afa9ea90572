"""A service that fails at every start until it is configured."""

import os
import signal
import sys

if "DATABASE_URL" not in os.environ:
    sys.exit("DATABASE_URL is not set")
print("ready", flush=True)
signal.pause()
