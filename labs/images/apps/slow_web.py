"""A web server whose answers take a while, and whose log tells when each one begins and ends."""

import logging
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s at=%(created).6f")


class Slow(BaseHTTPRequestHandler):
    """Answer after half a second to a second, each request in a thread of its own."""

    def do_GET(self) -> None:
        request_id = self.headers.get("X-Request-Id", "-")
        logging.info("handler began id=%s", request_id)
        time.sleep(random.uniform(0.5, 1.0))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"well\n")
        logging.info("handler ended id=%s", request_id)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the log to the lines above."""


class Server(ThreadingHTTPServer):
    """Let many clients wait, and let the end of the program wait for handlers."""

    request_queue_size = 128
    daemon_threads = False


server = Server(("", 8080), Slow)

if __name__ == "__main__":
    logging.info("ready")
    server.serve_forever()
