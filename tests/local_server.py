"""A guide small enough to be served in a test: one page, one lab, no engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from proving.claims import MIME

LAB = "09-process-management"
LABS = Path(__file__).resolve().parents[1] / "labs"
CARD = f"display({{{MIME!r}: {{'id': 'P1'}}, 'text/plain': 'P1 holds'}}, raw=True)"
RUN = """
import sys
from pathlib import Path
from proving.guide import main
raise SystemExit(main(sys.argv[2:], ready=lambda: None, root=Path(sys.argv[1])))
"""


def cell(source: str, claim: str | None = None) -> dict[str, Any]:
    """Return a code cell of a notebook that was not run."""
    return {
        "cell_type": "code",
        "id": f"cell-{abs(hash(source)):x}"[:60],
        "metadata": {"claim": claim} if claim else {},
        "source": source.splitlines(keepends=True),
        "outputs": [],
        "execution_count": None,
    }


def write_notebook(path: Path, *cells: dict[str, Any]) -> None:
    """Write a notebook of these cells, for the kernel of this Python."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": list(cells),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1), "utf-8")


def make_guide(root: Path) -> Path:
    """Make a repository with one lab, one exercise and a built site, and return its root."""
    write_notebook(
        root / "labs" / f"{LAB}.ipynb",
        cell("from IPython.display import display"),
        cell(CARD, claim="P1"),
        cell("raise RuntimeError('a later claim is not run')", claim="P2"),
    )
    exercise = root / "labs" / "exercises" / "process-management" / "start" / "Dockerfile"
    exercise.parent.mkdir(parents=True)
    exercise.write_text("FROM scratch\n", "utf-8")
    site = root / "_build" / "html"
    (site / "_static").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>Guide</title>", "utf-8")
    (site / "404.html").write_text(
        '<html><head><title>Not here</title></head><a href="/index.html">', "utf-8"
    )
    (site / "guide").mkdir()
    (site / "guide" / "my-progress.html").write_text(
        "<h1>Mine</h1><!-- my progress --><p>stands alone</p><!-- / --><p>more</p>", "utf-8"
    )
    (site / "_static" / "guide.css").write_text("p {}", "utf-8")
    (site / ".buildinfo").write_text("hidden", "utf-8")
    (root / "_build" / "secret.txt").write_text("outside of the site", "utf-8")
    return root


@dataclass(frozen=True)
class Guide:
    """A guide that runs in a process of its own."""

    process: subprocess.Popen[str]
    root: Path
    origin: str
    token: str

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client that sends the token given, or none."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.Client(base_url=self.origin, headers=headers, trust_env=False, timeout=30)


def command(root: Path, *options: str) -> list[str]:
    """Return the command that runs a guide whose preparation is done."""
    return [sys.executable, "-c", RUN, str(root), *options]


def environment(home: Path) -> dict[str, str]:
    """Return the environment for it, with a home in which a test sees what was written."""
    home.mkdir(exist_ok=True)
    progress = str(home.with_name("progress.jsonl"))
    labs = {"PYTHONPATH": str(LABS), "PROVING_PROGRESS": progress}
    return {**os.environ, **labs, "HOME": str(home)}


@contextmanager
def served(root: Path, home: Path) -> Iterator[Guide]:
    """Serve a guide; what still runs at the end is killed."""
    with subprocess.Popen(
        command(root),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield _when_ready(process, root)
        finally:
            if process.poll() is None:
                process.kill()


def _when_ready(process: subprocess.Popen[str], root: Path) -> Guide:
    assert process.stdout
    said, found = "", None
    for line in process.stdout:
        said += line
        found = found or re.search(r"(http://127\.0\.0\.1:\d+)/site/\?token=(\w+)", line)
        if "Ctrl-C" in line:
            break
    assert found, said
    return Guide(process, root, found[1], found[2])
