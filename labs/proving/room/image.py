"""The image of a seat: the guide, its Python packages and the bases, for an engine of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from .. import bases, leftovers, prepare, wheels
from ..bases import Base
from ..engine import Engine
from ..errors import EngineError
from ..image import Image
from ..paths import LABS, ROOT, STATE
from ..progress import Progress
from ..system import last_lines

TAG = f"{leftovers.BASES}/room:1"
"""Where the image is kept; `nox -s clean` removes it with the bases."""

HUB = ROOT / "workshop" / "hub"
SECTIONS = ("The labs", "The audit")
"""Those of requirements.txt that a seat needs: its site is built, and it runs no tests."""

_SKIPPED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def build(engine: Engine, tag: str = TAG) -> Image:
    """Build the image of a seat, for which the site must be built.

    Raises:
        BaseImageError: a base cannot be had.
        BuildError: a step failed.
        ProvingError: a wheel cannot be had.
    """
    ready = bases.ready(engine, {*prepare.roles_of_labs(), "PYTHON"})
    with tempfile.TemporaryDirectory(prefix="proving-room-", dir=STATE) as folder:
        context = Path(folder)
        _fill(context, engine, ready.values())
        with Progress("the image of a seat") as progress:
            image = Image(
                engine,
                context,
                tag=tag,
                bases={"PYTHON": ready["PYTHON"].reference},
                on_line=progress.line,
            )
            image.takes_packages_from_kit = False  # a kit has none for this build
            image.build()
            progress.built(image.steps)
    return image


def requirements(text: str, hub_version: str) -> str:
    """Return what a seat installs: sections of the guide's own list, and the hub's own version."""
    sections = {
        match[1]: match[2] for match in re.finditer(r"^# (.+)\n((?:[^#\n].*\n)*)", text, re.M)
    }
    return "".join(sections[name] for name in SECTIONS) + f"jupyterhub=={hub_version}\n"


def _fill(context: Path, engine: Engine, ready: Iterable[Base]) -> None:
    """Put into a folder what the image is built of."""
    shutil.copy(HUB / "Dockerfile", context)
    wanted = context / "requirements.txt"
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    wanted.write_text(requirements(listed, version("jupyterhub")), encoding="utf-8")
    found = wheels.ready(wanted, engine.description.architecture)
    shutil.copytree(found, context / "wheels")
    guide = context / "guide"
    for source in (LABS, ROOT / "chapters", HUB, prepare.SITE):
        shutil.copytree(source, guide / source.relative_to(ROOT), ignore=_SKIPPED)
    _save(engine, [base.reference for base in ready], context / "bases.tar")


def _save(engine: Engine, references: Sequence[str], archive: Path) -> None:
    """Write images to one archive, in which layers that they share are there once."""
    command = [engine.builder.client, "save", f"--output={archive}", *references]
    saved = subprocess.run(
        command, env=engine.environment(), capture_output=True, text=True, check=False
    )
    if saved.returncode:
        raise EngineError(f"The bases were not saved:\n{last_lines(saved.stderr)}")
