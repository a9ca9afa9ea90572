"""A weather station on the web: it tells which station it is, and what it was told to show."""

import json
import os
import sys
from wsgiref.simple_server import make_server


def application(environ, start_response):
    """Say that all is well, or tell what the settings and the arguments are."""
    if environ["PATH_INFO"] == "/health":
        told = "well"
    else:
        told = json.dumps({"station": os.environ["STATION"], "shows": sys.argv[1:]})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [told.encode()]


with make_server("", 8000, application) as server:
    print("ready", flush=True)
    server.serve_forever()
