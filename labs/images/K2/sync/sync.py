"""Keep a folder of pages as their source has them."""

import hashlib
import json
import os
import signal
import sys
import time
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

SOURCE = os.environ["SOURCE"]
PAGES = Path("/srv/pages")


def get(name: str) -> bytes:
    """Return what the source answers."""
    with urlopen(f"{SOURCE}/{name}", timeout=5) as answer:
        content: bytes = answer.read()
    return content


def is_current(path: Path, checksum: str) -> bool:
    """Tell whether a file is there as the source has it."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == checksum


def synchronise() -> None:
    """Fetch what is new or has changed, and remove what is gone."""
    listed = {Path(name).name: checksum for name, checksum in json.loads(get("")).items()}
    for name, checksum in listed.items():
        if not is_current(PAGES / name, checksum):
            fresh = PAGES / ".fresh"
            fresh.write_bytes(get(name))
            fresh.replace(PAGES / name)  # nobody sees half a page
            print("fetched", name, flush=True)
    for path in PAGES.iterdir():
        if path.name not in listed:
            path.unlink()


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

PAGES.mkdir(parents=True, exist_ok=True)
while True:
    try:
        synchronise()
    except (OSError, ValueError, HTTPException) as error:
        print("kept the pages:", error, flush=True)
    time.sleep(0.5)
