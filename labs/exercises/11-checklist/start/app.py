"""A shop's vouchers: GET /?for=Ada answers with a code that nobody else can make."""

import hashlib
import hmac
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def voucher(name):
    """Return the code of a person: whoever has the secret can tell whether it is ours."""
    secret = os.environ["VOUCHER_SECRET"].encode()
    return hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:16]


class Shop(BaseHTTPRequestHandler):
    """The counter; it logs each request to standard error."""

    def do_GET(self):
        """Answer with a voucher, or with what is not there."""
        asked = urlsplit(self.path)
        if asked.path == "/":
            name = parse_qs(asked.query).get("for", ["anybody"])[0]
            self.answer(f"{voucher(name)}\n".encode())
        else:
            self.send_error(404)

    def answer(self, body):
        """Send a page."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("", 8000), Shop)
server.serve_forever()
