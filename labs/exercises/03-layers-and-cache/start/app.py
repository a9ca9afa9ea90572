"""A small web application: it tells the weather, and which commit of it is running."""

import os

from flask import Flask
from weather import FORECAST

app = Flask(__name__)


@app.get("/")
def forecast() -> str:
    """Tell the weather."""
    revision = os.environ.get("REVISION", "unknown")
    return f"{FORECAST} (revision {revision})\n"
