"""Make manual.html of manual.txt, whose steps must be numbered 1, 2, 3; # begins a comment."""

import sys
from html import escape
from pathlib import Path

lines = [line for line in Path("manual.txt").read_text().splitlines() if line[:1] not in ("", "#")]
for number, line in enumerate(lines, start=1):
    if not line.startswith(f"{number}. "):
        sys.exit(f"manual.txt: step {number} is numbered {line.split()[0]}")
rows = [f"<li>{escape(line.partition('. ')[2])}</li>" for line in lines]
Path("manual.html").write_text("\n".join(["<ol>", *rows, "</ol>", ""]))
print("ran manual")
