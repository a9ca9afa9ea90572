"""Write the time of day into a page, again and again."""

import signal
import sys
import time
from pathlib import Path

PAGE = Path("/srv/pages/index.html")

signal.signal(signal.SIGTERM, lambda *_: sys.exit())

PAGE.parent.mkdir(parents=True, exist_ok=True)
while True:
    fresh = PAGE.with_name("fresh")
    fresh.write_text(f"It is {time.strftime('%H:%M:%S')}.\n")
    fresh.replace(PAGE)  # whoever reads sees the old page or the new one, and never half of it
    time.sleep(0.5)
