"""A shop's orders; it looks for its settings when it starts."""

import os
import sys
from wsgiref.simple_server import make_server

NEEDED = ("DATABASE_URL", "CURRENCY")
missing = [name for name in NEEDED if not os.environ.get(name)]
if missing:
    sys.exit(f"These settings are missing: {', '.join(missing)}")
DATABASE_URL, CURRENCY = (os.environ[name] for name in NEEDED)


def application(environ, start_response):
    """Say that all is well, or list the orders."""
    body = "well\n"
    if environ["PATH_INFO"] == "/orders":
        body = f"orders of {DATABASE_URL} in {CURRENCY}\n"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]


server = make_server("", 8000, application)
print("ready", flush=True)
server.serve_forever()
