"""A small web application with three habits that a platform can cope with, if it is told of them.

It needs some seconds until its page can be had, it can hang, and it has a setting in a file.

| argument | what it does |
|---|---|
| `--follow-settings` | it reads its settings again when their file has changed |

| path | answer |
|---|---|
| `/` | its page, the name of the pod; 503 until it is warm |
| `/ready` | the same |
| `/live` | 200 whenever it answers at all |
| `/settings` | the greeting that it goes by |
| `/hang` | the name of the pod, and from then on nothing is answered any more |
"""

import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

POD = socket.gethostname()
GREETING = Path("/etc/web/greeting")
WARM_SECONDS = 4.0
ANSWER_SECONDS = 0.05
QUIET_SECONDS = 1.0
LOOK_SECONDS = 0.5

greeting = GREETING.read_text()
warm_at = time.monotonic() + WARM_SECONDS
hung = threading.Event()
told_to_stop = threading.Event()


class Web(BaseHTTPRequestHandler):
    """Answer with the name of the pod, or with its setting."""

    timeout = 30
    server: "Server"

    def do_GET(self) -> None:
        if hung.is_set():
            threading.Event().wait()
        if self.path == "/hang":
            hung.set()
        if self.path == "/":
            self.server.last_asked = time.monotonic()
            time.sleep(ANSWER_SECONDS)
        waits = self.path in ("/", "/ready") and time.monotonic() < warm_at
        self.send_response(503 if waits else 200)
        body = (greeting if self.path == "/settings" else POD).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the log to what happens to the application."""


class Server(ThreadingHTTPServer):
    """Let many clients wait, and let the end of the program wait for those that were taken."""

    request_queue_size = 512
    daemon_threads = False
    timeout = 0.2
    last_asked = 0.0

    def is_quiet(self) -> bool:
        """Tell whether nobody has asked for the page for a while; probes go on to the end."""
        return time.monotonic() - self.last_asked >= QUIET_SECONDS


def follow() -> None:
    """Read the setting now and then: its file is a link, and leads to another file each time."""
    global greeting
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(OSError):  # between two files: the next look finds the new one
            greeting = GREETING.read_text()


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Stop when all that came has been answered."""
    told_to_stop.set()


def serve() -> None:
    """Take connections until TERM has come and nobody comes any more."""
    server = Server(("", 8080), Web)
    server.last_asked = time.monotonic()
    print("listening, with the greeting", greeting, flush=True)
    while not (told_to_stop.is_set() and server.is_quiet()):
        server.handle_request()
        while hung.is_set():
            time.sleep(60)
    server.server_close()  # closes the listening socket, then waits for the handlers' threads


signal.signal(signal.SIGTERM, stop)
if "--follow-settings" in sys.argv:
    threading.Thread(target=follow, daemon=True).start()
serve()
