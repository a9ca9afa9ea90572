"""A shop that tells its prices in the currency of its settings."""

from http.server import BaseHTTPRequestHandler, HTTPServer

import settings


class Prices(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Tell the currency."""
        body = f"prices in {settings.CURRENCY}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = HTTPServer(("", 8000), Prices)
print("ready", flush=True)
server.serve_forever()
