"""A small shop, which loads its goods first, and of whose answers every second takes its time.

| path | answer |
|---|---|
| `/` | the name of the pod, every second time after four seconds; 503 while it loads |
| `/ready` | 200 when it can answer, 503 while it loads |

On TERM it stops listening, finishes what it has taken, and ends.
"""

import itertools
import signal
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

LOADS_SECONDS = 2.0
SLOW_SECONDS = 4.0

pod = socket.gethostname()
began = time.monotonic()
orders = itertools.count(1)


class Shop(BaseHTTPRequestHandler):
    """Answer with the name of the pod."""

    def do_GET(self) -> None:
        loads = time.monotonic() - began < LOADS_SECONDS
        if self.path == "/" and not loads and next(orders) % 2 == 0:
            time.sleep(SLOW_SECONDS)
        body = b"still loading" if loads else pod.encode()
        self.send_response(503 if loads else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the log to what happens to the shop."""


class Server(ThreadingHTTPServer):
    """Let many clients wait, and wait for all of them in the end."""

    request_queue_size = 128
    daemon_threads = False


server = Server(("", 8080), Shop)
signal.signal(signal.SIGTERM, lambda *_: Thread(target=server.shutdown).start())
print("listening", flush=True)
server.serve_forever(poll_interval=0.05)
server.server_close()
print("all is answered", flush=True)
