"""A web server that greets with the words of a file, which it reads when it starts."""

import json
import logging
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

SETTINGS = Path("/etc/greeter/settings.json")

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
settings: dict[str, str] = {}


def load() -> bytes:
    """Take the settings of the file, as a whole or not at all; return what was read."""
    global settings
    content = SETTINGS.read_bytes()
    found = json.loads(content)
    logging.info("loaded %s", found["greeting"])
    settings = found
    return content


class Greeter(BaseHTTPRequestHandler):
    """Answer with the greeting after a tenth of a second."""

    def do_GET(self) -> None:
        body = f"{settings['greeting']}\n".encode()
        time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the log to what the settings have to say."""


class Server(ThreadingHTTPServer):
    """Let many clients wait, and let the end of the program wait for handlers."""

    request_queue_size = 128
    daemon_threads = False


def serve() -> None:
    """Answer requests until TERM comes, and finish those that were taken."""
    server = Server(("", 8080), Greeter)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    logging.info("ready")
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    load()
    serve()
