"""A server that greets whoever connects to the address and the port that it is given."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Greeting(BaseHTTPRequestHandler):
    """The only page that there is."""

    def do_GET(self) -> None:
        """Greet."""
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")


server = HTTPServer((sys.argv[1], int(sys.argv[2])), Greeting)
print("ready", flush=True)
server.serve_forever()
