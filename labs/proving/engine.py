"""The container engine: find one, or start a private one, and tell what it is.

Engines are looked for in the order in which the docker client itself would find them:
`DOCKER_HOST`, the context in use, the usual sockets, and last the private engine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import private
from .errors import EngineError, EngineForbidden, NoSuchEngine
from .system import Say, say

if TYPE_CHECKING:
    from docker import DockerClient

LOOPBACK = "127.0.0.1"

OLDEST_API = (1, 41)
"""The API of Docker 20.10, the oldest engine on which the labs run."""

TIMEOUT_SECONDS = 180
"""How long an answer of the engine is waited for.

A newer engine answers a stop only when it has tidied up behind the container. On a machine with
much other work, Docker 26.1 was seen to take a minute for that: more than the usual timeout.
"""


_STUMBLED = "can't get final child's PID from pipe"
"""What the runtime says where a process it has just begun is gone: too much else to do, perhaps."""


@dataclass(frozen=True)
class Description:
    """What a result tells of the engine that it was measured on."""

    engine: str
    engine_version: str
    api_version: str
    builder: str
    store: str
    architecture: str
    cores: int
    operating_system: str
    cgroup: str

    def as_data(self) -> dict[str, Any]:
        """Return the description as plain data, for a record."""
        return asdict(self)


@dataclass(frozen=True)
class Builder:
    """A docker client that can build with BuildKit on the engine in use."""

    client: str
    name: str
    environment: Mapping[str, str]
    is_buildx: bool

    def command(self, *, provenance: bool = False) -> list[str]:
        """Return how a build begins: into the engine, without attestations, which name times.

        With `provenance` it has one, with all that the build was given, where the client makes any.
        """
        attested = "mode=max" if provenance else "false"
        options = ["--load", f"--provenance={attested}"] if self.is_buildx else []
        return [self.client, "build", *options]


class Engine:
    """A container engine that answers: the API, and a client that builds with BuildKit.

    `found` says how it was found, in words.
    """

    def __init__(self, url: str, found: str, *, tls: Any = None) -> None:
        self.url = url
        self.found = found
        self._tls = tls

    def __repr__(self) -> str:
        return f"Engine({self.url!r}, found={self.found!r})"

    @cached_property
    def docker(self) -> DockerClient:
        """The API client, its version negotiated with the engine."""
        return self.connect()

    def connect(self, timeout_seconds: float = TIMEOUT_SECONDS) -> DockerClient:
        """Return a new API client, which waits this long for an answer."""
        return _connect(self.url, self._tls, timeout_seconds)

    @property
    def host(self) -> str:
        """The address at which published ports are reached from here."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("tcp", "http", "https", "ssh") or parts.hostname is None:
            return LOOPBACK
        local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
        return LOOPBACK if local else parts.hostname

    @property
    def published_on(self) -> str:
        """The address that ports are published on: loopback, unless the engine is elsewhere."""
        return LOOPBACK if self.host == LOOPBACK else "0.0.0.0"  # noqa: S104

    @cached_property
    def builder(self) -> Builder:
        """A client that builds with BuildKit here.

        Raises:
            EngineError: there is none; the sentence says what to install.
        """
        return _find_builder(self)

    def environment(self) -> dict[str, str]:
        """Return the environment that points a docker client, or testcontainers, at this engine."""
        return {
            **os.environ,
            **self._tls_environment(),
            "DOCKER_HOST": self.url,
            "TESTCONTAINERS_RYUK_DISABLED": "true",
            "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
        }

    def _tls_environment(self) -> dict[str, str]:
        """Return where a docker client finds the certificates of a context."""
        authority = getattr(self._tls, "ca_cert", None)
        if not authority:
            return {}
        return {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(Path(authority).parent)}

    @cached_property
    def description(self) -> Description:
        """What this engine is; fields that an engine leaves out read "unknown"."""
        with talking_to(self):
            info, version = self.docker.info(), self.docker.version()
        return describe(info, version, self.builder.name)


def describe(info: Mapping[str, Any], version: Mapping[str, Any], builder: str) -> Description:
    """Read an engine's `/info` and `/version` answers, whose fields differ between versions."""
    status = dict(pair for pair in info.get("DriverStatus") or [] if len(pair) == 2)
    driver = info.get("Driver", "unknown")
    containerd = "containerd" in str(status.get("driver-type", ""))
    name = (version.get("Platform") or {}).get("Name") or "Docker Engine"
    return Description(
        engine=name.partition(" - ")[0],
        engine_version=version.get("Version", "unknown"),
        api_version=version.get("ApiVersion", "unknown"),
        builder=builder,
        store=f"containerd ({driver})" if containerd else driver,
        architecture=architecture(version.get("Arch") or info.get("Architecture", "unknown")),
        cores=int(info.get("NCPU") or 0),
        operating_system=info.get("OperatingSystem") or "unknown",
        cgroup=f"v{info.get('CgroupVersion') or '1'}",
    )


def architecture(machine: str) -> str:
    """Return an architecture's OCI name (`amd64`, `arm64`) for any of its usual names."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def has_stumbled(told: object) -> bool:
    """Tell whether what an engine says of a start is a fault of its own, and not the image's.

    Such a start may well go right when it is tried again.
    """
    return _STUMBLED in str(told)


@contextmanager
def talking_to(engine: Engine) -> Iterator[None]:
    """Turn a broken connection to the engine, or an answer that does not come, into a sentence.

    Raises:
        EngineError: the engine went away, or does not answer.
    """
    import requests
    import urllib3

    broken = (requests.ConnectionError, urllib3.exceptions.ProtocolError, ConnectionError)
    try:
        yield
    except requests.ReadTimeout as error:
        raise EngineError(
            f"The engine at {engine.url} has not answered within {TIMEOUT_SECONDS} s. Look whether "
            "other work keeps the machine busy, and run the same command again; "
            "`nox -s clean` removes what it may still hold of this run."
        ) from error
    except (*broken, requests.Timeout) as error:
        raise EngineError(
            f"The engine at {engine.url} went away in the middle of the work. "
            "Start it again (or run the same command again, which starts a private one); "
            "`nox -s clean` removes what it may still hold of this run."
        ) from error


def find(tell: Say = say, *, start: bool = True, any_version: bool = False) -> Engine:
    """Return an engine that answers; where none does and `start` allows it, start a private one.

    Raises:
        NoSuchEngine: the environment names one that does not answer.
        EngineForbidden: there is one, and this user may not use it.
        EngineError: no engine, and no way to one; the sentence says what to do on this platform.
            Or one that is too old, unless `any_version` will do.
    """
    engine = _found()
    if engine is None:
        _refuse_forbidden_engine()
    if engine is None and start:
        if private.missing_packages():
            private.install(tell)
            engine = _found()
        if engine is None:
            url = private.start(tell)
            engine = Engine(url, "a private engine, started for the labs")
    if engine is None:
        raise EngineError(f"No container engine answers here. {private.how_to_get_one()}")
    if not any_version:
        _check_version(engine)
    return engine


_pointed_at: Engine | None = None


def point_testcontainers_at(engine: Engine) -> None:
    """Have testcontainers use this engine, and clean up by our labels, not by its reaper.

    It is told by DOCKER_HOST alone; whether the reaper runs it reads once, when it is imported.
    """
    from testcontainers.core.config import testcontainers_config

    global _pointed_at  # noqa: PLW0603 - the environment variable is as global
    if os.environ.get("DOCKER_HOST") != engine.url:
        os.environ.update(engine.environment())
        _pointed_at = engine
    testcontainers_config.ryuk_disabled = True


def of_environment() -> Engine:
    """Return the engine that the environment names, without a look whether it answers."""
    return Engine(os.environ["DOCKER_HOST"], "the environment", tls=_tls_of_environment())


def _refuse_forbidden_engine() -> None:
    """Refuse to start an engine beside one that is there and may not be used.

    A second dockerd would begin by emptying the packet-filter chains of the first one.
    """
    socket = Path("/var/run/docker.sock")
    if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        raise EngineForbidden(
            f"An engine's socket is at {socket}, and you may not use it. Join its group (sudo "
            "usermod -aG docker $USER, then log in again), or run the same command as root."
        )


def _found() -> Engine | None:
    chosen = os.environ.get("DOCKER_HOST")
    if _pointed_at is not None and chosen == _pointed_at.url:
        if _answers(_pointed_at):
            return _pointed_at
        del os.environ["DOCKER_HOST"]
        chosen = None
    if chosen:
        engine = Engine(chosen, "the environment variable DOCKER_HOST", tls=_tls_of_environment())
        if not _answers(engine):
            raise NoSuchEngine(
                f"DOCKER_HOST names {chosen}, and no engine answers there. "
                "Start that engine, or unset DOCKER_HOST to have another one found."
            )
        return engine
    return next((engine for engine in _candidates() if _answers(engine)), None)


def _candidates() -> Iterator[Engine]:
    from docker.context import ContextAPI

    named = os.environ.get("DOCKER_CONTEXT")  # which docker-py does not read
    context = ContextAPI.get_context(named) if named else ContextAPI.get_current_context()
    if named and context is None:
        raise NoSuchEngine(
            f"DOCKER_CONTEXT names {named!r}, and there is no such context. "
            "`docker context ls` tells which there are; or unset DOCKER_CONTEXT."
        )
    if context is not None and context.name != "default" and context.Host:
        found = f"the docker context “{context.name}”"
        yield Engine(context.Host, found, tls=context.TLSConfig)
    home, runtime = Path.home(), os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")
    sockets = {
        Path("/var/run/docker.sock"): "Docker's socket",
        home / ".docker/run/docker.sock": "Docker Desktop",
        home / ".docker/desktop/docker.sock": "Docker Desktop",
        Path(runtime) / "docker.sock": "rootless Docker",
        home / ".colima/default/docker.sock": "colima",
        home / ".colima/docker.sock": "colima",
    }
    for socket, name in sockets.items():
        if socket.exists():
            yield Engine(f"unix://{socket}", name)
    if os.name == "nt":
        yield Engine("npipe:////./pipe/docker_engine", "Docker Desktop")
    if private.socket().exists():
        yield Engine(private.url(), "the private engine of an earlier run")


def _tls_of_environment() -> Any:
    from docker.utils import kwargs_from_env

    return kwargs_from_env().get("tls")


def _connect(url: str, tls: Any, timeout_seconds: float) -> DockerClient:
    import docker

    extra: dict[str, Any] = {"use_ssh_client": True} if url.startswith("ssh://") else {}
    return docker.DockerClient(
        base_url=url, version="auto", tls=tls, timeout=timeout_seconds, max_pool_size=32, **extra
    )


def _answers(engine: Engine) -> bool:
    from docker.errors import DockerException

    try:
        return bool(engine.docker.ping())
    except (DockerException, OSError):
        return False


def is_too_old(api_version: str) -> bool:
    """Tell whether an engine with this version of the API is older than the labs need."""
    found = re.match(r"(\d+)\.(\d+)", api_version)
    return found is None or (int(found[1]), int(found[2])) < OLDEST_API


def _check_version(engine: Engine) -> None:
    version = engine.docker.version()
    if is_too_old(version.get("ApiVersion", "")):
        raise EngineError(
            f"The engine at {engine.url} is {version.get('Version', 'unknown')}; "
            "the labs need Docker 20.10 or newer. Update it, or name another one by DOCKER_HOST."
        )


def _find_builder(engine: Engine) -> Builder:
    environment = engine.environment()
    seen = []
    for client in _clients():
        version = _output([client, "version", "--format", "{{.Client.Version}}"], environment)
        if version is None:
            seen.append(f"{client} does not understand the engine")
            continue
        buildx = _output([client, "buildx", "version"], environment)
        if buildx is not None:
            name = f"BuildKit (buildx {buildx.split()[1].removeprefix('v')})"
            extra = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
            return Builder(client, name, {**environment, **extra}, is_buildx=True)
        if int(version.partition(".")[0]) < 23:
            name = f"BuildKit (within the engine, client {version})"
            return Builder(client, name, {**environment, "DOCKER_BUILDKIT": "1"}, is_buildx=False)
        seen.append(f"{client} {version} has no buildx")
    raise EngineError(
        f"No docker client here can build with BuildKit ({'; '.join(seen) or 'none is installed'})."
        " Install the buildx plugin (the package docker-buildx or docker-buildx-plugin), or the"
        " distribution's docker.io package, and run the same command again."
    )


def _clients() -> Iterator[str]:
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    seen = set()
    for folder in folders:
        client = shutil.which("docker", path=folder)
        if client is None:
            continue
        real = Path(client).resolve()
        if real not in seen:
            seen.add(real)
            yield client


def _output(command: list[str], environment: Mapping[str, str]) -> str | None:
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
