"""load.py URL REQUESTS: ask an address so many times, four at a time, and tell what came of it.

One line of JSON tells how many requests were answered with success, and after how many seconds all
were over.
"""

import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def is_answered(url: str) -> bool:
    """Ask once, on a connection of its own."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.read())
    except OSError:
        return False


url, requests = sys.argv[1], int(sys.argv[2])
began = time.monotonic()
with ThreadPoolExecutor(4) as pool:
    answered = sum(pool.map(is_answered, [url] * requests))
print(json.dumps({"answered": answered, "seconds": time.monotonic() - began}))
