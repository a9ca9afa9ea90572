"""All that the labs and the local server need before they start: an engine, bases, the site.

Run as a module it makes packages ready too, so that the labs of chapter 3 need no network later.
The local server does not wait for them: its first card needs none, and a lab that does has its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import bases, claims, cluster, engine, node, registry, wheels
from . import packages as debian_packages
from .engine import Engine
from .errors import ProvingError
from .paths import LABS, ROOT
from .system import Say, last_lines, say

SITE = ROOT / "_build" / "html"
SPHINX = (sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-b", "html")


def roles_of_labs() -> list[str]:
    """Return the roles that the Dockerfiles of the labs and exercises name."""
    files = [
        file
        for folder in (claims.IMAGES, LABS / "exercises")
        for file in sorted(folder.rglob("Dockerfile"))
        if not {folder / "bases", folder / claims.CLUSTER} & set(file.parents)
    ]
    return sorted({role for file in files for role in bases.roles_in(file)} | {"SLIM"})


def engine_and_bases(roles: Iterable[str] | None = None, tell: Say = say) -> Engine:
    """Find or start an engine and make the bases ready; return the engine.

    Raises:
        EngineError: there is no engine, and no way to one.
        BaseImageError: a base cannot be had.
    """
    found = engine.find(tell)
    described = found.description
    tell(f"Engine: {described.engine} {described.engine_version}, {found.found}.")
    ready = bases.ready(found, roles_of_labs() if roles is None else roles, tell)
    tell("Bases: " + ", ".join(f"{base.reference} ({base.road})" for base in ready.values()) + ".")
    return found


def requirements_of_labs() -> list[Path]:
    """Return the lists of Python packages that the labs and the solutions of exercises install."""
    return [
        *sorted(claims.IMAGES.glob("*/context/requirements.txt")),
        *sorted((LABS / "exercises").glob("*/solution/requirements.txt")),
    ]


def packages(found: Engine, tell: Say = say) -> None:
    """Fetch the wheels, and have the layers of the labs' servers in the engine's build cache.

    The servers' images themselves are removed again, as after a lab.

    Raises:
        ProvingError: a wheel cannot be had, or a server's image is not built.
    """
    with ThreadPoolExecutor(1) as pool:
        servers = pool.submit(_servers_built)
        for requirements in requirements_of_labs():
            wheels.ready(requirements, found.description.architecture, tell)
        servers.result()


SERVERS = (debian_packages.DOCKERFILE, registry.DOCKERFILE, node.DOCKERFILE)
"""The Dockerfiles of what labs start beside their arms."""


def _servers_built() -> None:
    from .lab import Lab

    with Lab("prepare") as lab:
        lab.server_images(*SERVERS)


def ready(tell: Say = say) -> Path:
    """Make engine, bases and site ready, side by side, and return the site's folder.

    Raises:
        ProvingError: one of them cannot be had; the sentence says why.
    """
    builder = subprocess.Popen(
        [*SPHINX, str(ROOT), str(SITE)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        engine_and_bases(tell=tell)
        output, _ = builder.communicate()
    finally:
        if builder.poll() is None:
            builder.terminate()
            builder.wait()
    if builder.returncode:
        raise ProvingError(f"The site was not built. Sphinx says:\n{last_lines(output)}")
    return SITE


if __name__ == "__main__":
    try:
        found = engine_and_bases()
    except ProvingError as error:
        sys.exit(str(error))
    try:
        packages(found)
        cluster.prepare(found)
    except ProvingError as error:
        say(f"{error}\nWhat needs no packages and no cluster runs all the same.")
