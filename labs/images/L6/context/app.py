"""A small web application: it greets, and lists whom it has greeted."""

from flask import Flask, render_template
from greetings import GREETING, Guests

app = Flask(__name__)
guests = Guests()


@app.get("/")
def index() -> str:
    """Show the guests so far."""
    return render_template("index.html", guests=guests.names)


@app.get("/hello/<name>")
def hello(name: str) -> str:
    """Greet a guest."""
    guests.add(name)
    return f"{GREETING}, {name}!\n"
