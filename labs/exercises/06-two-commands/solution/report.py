"""Ask the shop at the address SHOP for its orders, and print what they come to."""

import json
import os
import sys
from urllib.request import urlopen

SHOP = os.environ.get("SHOP", "http://127.0.0.1:8000")

try:
    with urlopen(SHOP, timeout=5) as answer:
        orders = json.load(answer)
except (OSError, ValueError) as error:
    sys.exit(f"no report, for {SHOP} cannot be asked: {error}")
print(f"{len(orders)} orders of {sum(order['euros'] for order in orders):.2f} euros")
