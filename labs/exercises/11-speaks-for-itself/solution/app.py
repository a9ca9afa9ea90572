"""A visitors' book: GET / enters a visitor, and says which one it is."""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def setting(name):
    """Return a setting, which has to be there."""
    if not os.environ.get(name):
        sys.exit(f"{name} is not set.")
    return os.environ[name]


BOOK = Path(setting("BOOK"))
PORT = int(setting("PORT"))
writing = threading.Lock()


def enter():
    """Write a line into the book, and return how many it has."""
    with writing, BOOK.open("a+", encoding="utf-8") as book:
        book.write(f"{time.time():.0f}\n")
        book.seek(0)
        return len(book.readlines())


class Page(BaseHTTPRequestHandler):
    """The book, and whether it can be written."""

    def do_GET(self):
        """Enter a visitor, or tell how the book is."""
        if self.path == "/":
            time.sleep(0.3)  # as if it thought of a greeting
            self.answer(f"You are visitor {enter()}.\n")
        elif self.path == "/readyz" and os.access(BOOK, os.W_OK):
            self.answer("yes\n")
        else:
            self.send_error(503 if self.path == "/readyz" else 404)

    def answer(self, text):
        """Send a page."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, words, *values):
        """Log a request."""
        print(words % values, flush=True)


class Server(ThreadingHTTPServer):
    """The server of the page."""

    daemon_threads = False  # the end waits for requests that are being answered

    def handle_error(self, *_):
        """Log that a visitor has gone before the answer came."""
        print("gone", flush=True)


def stop(*_):
    """Take no more requests; `shutdown` waits for the end of `serve_forever`, so not here."""
    threading.Thread(target=server.shutdown).start()


BOOK.touch()
signal.signal(signal.SIGTERM, stop)
server = Server(("", PORT), Page)
server.serve_forever()
server.server_close()
