"""A web server for the pages of a folder."""

import signal
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

PAGES = "/srv/pages"

signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("", 8080), partial(SimpleHTTPRequestHandler, directory=PAGES))
print("ready", flush=True)
server.serve_forever()
