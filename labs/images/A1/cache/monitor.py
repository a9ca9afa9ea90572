"""Ask the server every second, and write down how long its answer took."""

import time
from pathlib import Path
from urllib.request import urlopen

table = Path("data/seconds.csv")
table.parent.mkdir(exist_ok=True)

while True:
    time.sleep(1)
    began = time.time()
    try:
        urlopen("http://127.0.0.1:8000/mean?of=1", timeout=5).read()
    except OSError as error:
        print(error, flush=True)
        continue
    with table.open("a") as file:
        file.write(f"{began:.0f},{time.time() - began:.3f}\n")
