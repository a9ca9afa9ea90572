"""A café that shows the menu of the file that MENU names."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

MENU = Path(os.environ["MENU"]).read_bytes()


class Menu(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Show the menu."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(MENU)))
        self.end_headers()
        self.wfile.write(MENU)


server = HTTPServer(("", 8000), Menu)
print("ready", flush=True)
server.serve_forever()
