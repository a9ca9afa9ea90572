"""A web server that answers GET /mean?of=3,4,8 with the numbers' mean, and signs its answer."""

import hashlib
import hmac
import logging
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import mean

logging.basicConfig(
    stream=sys.stdout,
    level=logging.INFO,
    format="%(message)s at=%(created).6f",
)

if not os.environ.get("SECRET_KEY"):
    sys.exit("SECRET_KEY is not set: give it the key that answers are signed with.")
KEY = os.environ["SECRET_KEY"].encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urlsplit(self.path)
        if asked.path == "/mean":
            self.answer_with_the_mean(parse_qs(asked.query)["of"][0])
        else:
            self.send_error(404)

    def answer_with_the_mean(self, numbers):
        name = self.headers.get("X-Request-Id", "-")
        logging.info("handler began id=%s", name)
        time.sleep(0.3)  # as if it asked a database
        body = f"{mean.of([float(number) for number in numbers.split(',')]):g}\n".encode()
        self.answer(body, hmac.new(KEY, body, hashlib.sha256))
        logging.info("handler ended id=%s", name)

    def answer(self, body, signature=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if signature:
            self.send_header("X-Signature", signature.hexdigest())
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


server = Server(("", 8000), Handler)
logging.info("listening on port 8000")
server.serve_forever()
