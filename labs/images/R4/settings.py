"""The settings of the café, from the environment."""

import os

CURRENCY = os.environ["CURRENCY"]
