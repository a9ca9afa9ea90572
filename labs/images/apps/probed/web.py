"""A small web application that behaves as its environment tells it.

| variable | what it does |
|---|---|
| `START_SECONDS` | it listens only after so many seconds |
| `WARM_SECONDS` | from then on it answers its page with 503 for so many seconds |
| `DATABASE` | host and port of its database, which only `/health` asks for |
| `ON_TERM` | `drain`: end when all is answered; `exit`: end at once |

| path | answer |
|---|---|
| `/` | its page, the name of the pod; 503 until it is warm |
| `/ready` | the same |
| `/live` | 200 whenever it answers at all |
| `/health` | 200 if its database can be reached, 503 if it cannot |
| `/hang` | 200, and from then on nothing is answered any more |
"""

import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

POD = socket.gethostname()
ANSWER_SECONDS = 0.05
QUIET_SECONDS = 1.0
PORT = int(os.environ.get("PORT", "8080"))
WARM_SECONDS = float(os.environ.get("WARM_SECONDS", "0"))
DATABASE = os.environ.get("DATABASE", "")

listening_since = 0.0
hung = threading.Event()
told_to_stop = threading.Event()


def is_warm() -> bool:
    """Tell whether all that the page needs has been loaded."""
    return time.monotonic() - listening_since >= WARM_SECONDS


def database_answers() -> bool:
    """Tell whether the database takes a connection."""
    host, _, port = DATABASE.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=0.5).close()
    except OSError:
        return False
    return True


class Web(BaseHTTPRequestHandler):
    """Answer with the name of the pod, and with a status that says how it is."""

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
        self.send_response(200 if self.is_well() else 503)
        body = f"{POD}\n".encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_well(self) -> bool:
        """Tell whether what was asked for is well."""
        if self.path in ("/", "/ready"):
            return is_warm()
        return self.path != "/health" or database_answers()

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


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Stop as the environment says: at once, or when all that came has been answered."""
    if os.environ.get("ON_TERM") == "exit":
        os._exit(0)
    told_to_stop.set()


def say(words: str) -> None:
    """Log what happens, with its time."""
    print(f"{time.time():.3f} {words}", flush=True)


def serve() -> None:
    """Take connections until TERM has come and nobody comes any more."""
    global listening_since
    server = Server(("", PORT), Web)
    server.last_asked = listening_since = time.monotonic()
    say("listening")
    while not (told_to_stop.is_set() and server.is_quiet()):
        server.handle_request()
        while hung.is_set():
            time.sleep(60)
    server.server_close()  # closes the listening socket, then waits for the handlers' threads
    say("ended")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    time.sleep(float(os.environ.get("START_SECONDS", "0")))
    serve()
