"""A stand-in for a database: it takes every connection, and ends at once on TERM."""

import os
import signal
import socket
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
listening = socket.create_server(("", int(os.environ.get("PORT", "5432"))), backlog=128)
while True:
    connection, _ = listening.accept()
    connection.close()
