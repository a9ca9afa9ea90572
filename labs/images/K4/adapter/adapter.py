"""Tell the metrics of the container beside this one in the text format of Prometheus."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

SOURCE, FORM = os.environ["SOURCE"], os.environ["FORM"]

STUB_STATUS = re.compile(
    r"Active connections: (?P<connections_active>\d+)\s+"
    r"server accepts handled requests\s+"
    r"(?P<connections_accepted_total>\d+) (?P<connections_handled_total>\d+) "
    r"(?P<requests_total>\d+)\s+"
    r"Reading: (?P<connections_reading>\d+) Writing: (?P<connections_writing>\d+) "
    r"Waiting: (?P<connections_waiting>\d+)"
)


def from_json(text: str) -> Iterator[tuple[str, str]]:
    """Yield each number of a JSON document, under a name made of the keys that lead to it."""

    def walk(name: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{name}_{key}", inner)
        else:
            yield name, str(float(value))

    yield from walk("app", json.loads(text))


def from_stub_status(text: str) -> Iterator[tuple[str, str]]:
    """Yield each number of nginx's own page of metrics."""
    found = STUB_STATUS.search(text)
    if found is None:
        raise ValueError(f"no stub_status: {text[:80]!r}")
    for name, number in found.groupdict().items():
        yield f"nginx_{name}", number


def translated() -> str:
    """Ask the container beside this one, and translate what it answers."""
    with urlopen(SOURCE, timeout=5) as answer:
        text = answer.read().decode()
    samples = {"json": from_json, "stub_status": from_stub_status}[FORM](text)
    return "".join(
        f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}\n{name} {number}\n"
        for name, number in samples
    )


class Adapter(BaseHTTPRequestHandler):
    """Answer every scrape with the metrics of that moment."""

    def do_GET(self) -> None:
        try:
            status, body = 200, translated()
        except (OSError, ValueError) as error:
            status, body = 502, f"{error}\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("", 9000), Adapter)
print("ready", flush=True)
server.serve_forever()
