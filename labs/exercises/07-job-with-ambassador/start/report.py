"""Deliver tonight's report to what listens on localhost; end with status 1 where it is not taken.

It knows no other address. It waits for a while until somebody listens there, and tries only once.
"""

import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

PLACE = "http://localhost:7000/reports/tonight"
WAITS_SECONDS = 5.0

until = time.monotonic() + WAITS_SECONDS
while True:
    try:
        urlopen(Request(PLACE, b"all is quiet\n", method="PUT"), timeout=10).close()
        break
    except HTTPError as error:
        sys.exit(f"the report was not taken: {error.read().decode()}")
    except URLError as error:
        if time.monotonic() > until:
            sys.exit(f"nobody takes it on localhost: {error.reason}")
        time.sleep(0.1)
print("the report was taken", flush=True)
