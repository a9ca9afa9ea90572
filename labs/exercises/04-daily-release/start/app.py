"""A small web application: it tells how many readings there are, and which is the latest.

Its readings are all files in /srv/readings that end in .csv, in the order of their names.
Who keeps them up to date corrects them where they lie, and so the server owns them.
"""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

READINGS = Path("/srv/readings")


class Page(BaseHTTPRequestHandler):
    """Answer every GET."""

    def do_GET(self) -> None:
        """Tell the count and the latest reading."""
        count, latest = 0, ""
        for file in sorted(READINGS.glob("*.csv")):
            lines = file.read_text(encoding="ascii").splitlines()
            count += len(lines)
            latest = lines[-1] if lines else latest
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{count} readings, the latest: {latest}\n".encode())


HTTPServer(("", 8000), Page).serve_forever()
