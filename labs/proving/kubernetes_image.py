"""The image of the cluster's node: built once per machine from distribution packages, and kept.

Its Dockerfile is `labs/images/apps/kubernetes/Dockerfile`; most of the time goes into compiling
Kubernetes from Debian's source package.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from . import bases, system
from .claims import IMAGES
from .engine import Engine
from .errors import BuildError, CouldNotMeasure
from .paths import STATE
from .progress import Progress
from .spans import span

DOCKERFILE = Path("apps/kubernetes/Dockerfile")
"""The node's Dockerfile within `labs/images`, which is its build context."""

MINUTES = 6
"""About how long a build takes on two cores."""


def name() -> str:
    """Return the name of the image: a changed recipe changes it."""
    folder = IMAGES / DOCKERFILE.parent
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"proving-ground/kubernetes:{digest.hexdigest()[:12]}"


def is_there(engine: Engine) -> bool:
    """Tell whether the engine has the image."""
    from docker.errors import ImageNotFound

    try:
        engine.docker.images.get(name())
    except ImageNotFound:
        return False
    return True


def ready(engine: Engine) -> str:
    """Return the name of the node's image, which is built where the engine does not have it.

    Raises:
        CouldNotMeasure: it does not build; the sentence says why, and what else there is.
        BaseImageError: its base cannot be had.
    """
    from .image import Image

    with system.lock(STATE / "kubernetes.lock"):
        if is_there(engine):
            return name()
        roles = bases.roles_in(IMAGES / DOCKERFILE)
        references = {role: base.reference for role, base in bases.ready(engine, roles).items()}
        with Progress("a Kubernetes node") as progress, span("build", "kubernetes"):
            progress.note(
                "Building a Kubernetes node from the distribution's source package, once: "
                f"about {MINUTES} minutes on two cores."
            )
            image = Image(
                engine,
                IMAGES,
                tag=name(),
                dockerfile_path=str(DOCKERFILE),
                bases=references,
                on_line=progress.line,
            )
            image.takes_packages_from_kit = False  # a kit has none for this build
            try:
                image.build()
            except BuildError as error:
                raise CouldNotMeasure(
                    f"The Kubernetes node was not built. {error}\n"
                    "It needs the distribution's packages and sources from a Debian mirror. "
                    "Or name a cluster of your own: PROVING_KUBECONFIG=~/.kube/config."
                ) from error
            progress.built(image.steps)
    return name()
