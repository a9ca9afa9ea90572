"""A café that shows its menu, which is a file, with prices in the currency of its settings."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import settings

PAGE = f"prices in {settings.CURRENCY}\n".encode() + Path(os.environ["MENU"]).read_bytes()


class Menu(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Show the menu."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("", 8000), Menu).serve_forever()
