"""A visitors' book: a POST adds an entry, and a GET shows all of them, one a line.

BOOK names the file with the entries, and PID_FILE the one with the number of the process.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

BOOK, PID_FILE = Path(os.environ["BOOK"]), Path(os.environ["PID_FILE"])

if PID_FILE.exists():
    sys.exit(f"already running as process {PID_FILE.read_text()}, says {PID_FILE}")
PID_FILE.write_text(str(os.getpid()))


class Page(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Show all entries."""
        self.answer(200, BOOK.read_text().splitlines() if BOOK.exists() else [])

    def do_POST(self) -> None:
        """Add an entry."""
        entry = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with BOOK.open("a") as book:
            book.write(f"{entry}\n")
        self.answer(201, [entry])

    def answer(self, status: int, lines: list[str]) -> None:
        """Answer with these lines."""
        body = "".join(f"{line}\n" for line in lines).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("ready", flush=True)
HTTPServer(("", 8000), Page).serve_forever()
