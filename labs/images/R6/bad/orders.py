"""A shop's orders; it looks for its settings when it needs them."""

import os
from wsgiref.simple_server import make_server


def application(environ, start_response):
    """Say that all is well, or list the orders."""
    body = "well\n"
    if environ["PATH_INFO"] == "/orders":
        body = f"orders of {os.environ['DATABASE_URL']} in {os.environ['CURRENCY']}\n"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]


server = make_server("", 8000, application)
print("ready", flush=True)
server.serve_forever()
