"""Publish a new first page, with the words of the arguments."""

import sys
from pathlib import Path

PAGE = Path("/srv/content/index.html")

fresh = PAGE.parent.with_name("fresh")  # beside the folder: it is no content yet
fresh.write_text(" ".join(sys.argv[1:]) + "\n")
fresh.replace(PAGE)
