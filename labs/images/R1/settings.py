"""The settings of the shop: the environment's, with a default for each."""

import os

CURRENCY = os.environ.get("CURRENCY", "EUR")
