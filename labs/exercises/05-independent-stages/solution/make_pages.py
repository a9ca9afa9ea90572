"""Make site/index.html of pages.txt, in which a line with # is a comment."""

from html import escape
from pathlib import Path

lines = Path("pages.txt").read_text().splitlines()
rows = [f"<li>{escape(line)}</li>" for line in lines if line and not line.startswith("#")]
Path("site").mkdir(exist_ok=True)
Path("site/index.html").write_text("\n".join(["<ul>", *rows, "</ul>", ""]))
print("ran pages")
