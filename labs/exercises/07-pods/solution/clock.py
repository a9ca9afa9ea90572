"""Write the time of day into a page, until a fault ends it."""

import signal
import sys
import time
from pathlib import Path

PAGE = Path("/srv/pages/index.html")

signal.signal(signal.SIGTERM, lambda *_: sys.exit())

PAGE.parent.mkdir(parents=True, exist_ok=True)
for _ in range(15):
    fresh = PAGE.with_name("fresh")
    fresh.write_text(f"It is {time.strftime('%H:%M:%S')}, and {time.time():.1f} s since 1970.\n")
    fresh.replace(PAGE)
    time.sleep(0.2)
sys.exit("the clock has stopped: a fault that is not yours to mend")
