"""A shop on the web; it tells by fingerprints which catalogue and which password it has."""

import hashlib
import json
import os
from pathlib import Path
from wsgiref.simple_server import make_server

CATALOGUE = Path("/app/catalogue").read_text(encoding="utf-8").strip()
DATABASE = f"{os.environ['DATABASE_USER']}@{os.environ['DATABASE_HOST']}"
PASSWORD = os.environ["DATABASE_PASSWORD"]


def application(_environ, start_response):
    """Tell what the shop was given."""
    password = hashlib.sha256(PASSWORD.encode()).hexdigest()[:16]
    told = {"catalogue": CATALOGUE, "database": DATABASE, "password": password}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


with make_server("", 8000, application) as server:
    print("ready", flush=True)
    server.serve_forever()
