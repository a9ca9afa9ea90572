"""The hub's proxy: the JupyterHub project's own, as the distribution packages it.

It stands between the seats and the network: so it is the one that the hub's makers run, and not a
lighter one, and it gets the distribution's security updates.
"""

from __future__ import annotations

from .. import system
from ..errors import EngineError

PROGRAM = "configurable-http-proxy"
PACKAGE = "node-configurable-http-proxy"
_MODULES = "/usr/share/nodejs"


def command() -> list[str]:
    """Return how the proxy is started.

    The distribution's modules lie in a folder that only the distribution's own Node.js looks into.
    """
    return ["env", f"NODE_PATH={_MODULES}", PROGRAM]


def ready() -> None:
    """Install the proxy where it is not there.

    Raises:
        EngineError: it cannot be installed here.
    """
    if system.which(PROGRAM) is not None:
        return
    if not system.can_install():
        raise EngineError(
            f"A room needs {PROGRAM}, and it cannot be installed here. Install it with "
            f"`npm install -g {PROGRAM}`, or run this as root on Debian or Ubuntu."
        )
    system.install(PACKAGE, why="serve a room")
