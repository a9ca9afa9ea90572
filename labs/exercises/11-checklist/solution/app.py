"""A shop's vouchers: GET /?for=Ada answers with a code that nobody else can make."""

import hashlib
import hmac
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

if not os.environ.get("VOUCHER_SECRET"):
    sys.exit("VOUCHER_SECRET is not set: give it what vouchers are made with.")


def voucher(name):
    """Return the code of a person: whoever has the secret can tell whether it is ours."""
    secret = os.environ["VOUCHER_SECRET"].encode()
    return hmac.new(secret, name.encode(), hashlib.sha256).hexdigest()[:16]


class Shop(BaseHTTPRequestHandler):
    """The counter; it logs each request to standard error."""

    def do_GET(self):
        """Answer with a voucher, with its state, or with what is not there."""
        asked = urlsplit(self.path)
        if asked.path == "/":
            name = parse_qs(asked.query).get("for", ["anybody"])[0]
            self.answer(f"{voucher(name)}\n".encode())
        elif asked.path == "/readyz":
            self.answer(b"ready\n")
        else:
            self.send_error(404)

    def answer(self, body):
        """Send a page."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(*_):
    """End `serve_forever`, which waits until it has ended: so not in its own thread."""
    threading.Thread(target=server.shutdown).start()


server = ThreadingHTTPServer(("", 8000), Shop)
signal.signal(signal.SIGTERM, stop)
server.serve_forever()
