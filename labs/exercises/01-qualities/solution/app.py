"""A web application that greets, and logs each request to the file that LOG names."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LOG = Path(os.environ["LOG"]).open("a", buffering=1)  # noqa: SIM115 - as long as it runs


class Page(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Greet."""
        body = f"{os.environ.get('GREETING', 'Hello')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, words: str, *values: object) -> None:
        """Log what was asked for and how it was answered."""
        LOG.write(words % values + "\n")


print("ready", flush=True)
HTTPServer(("", 8000), Page).serve_forever()
