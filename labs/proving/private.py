"""The private engine: `dockerd` from the distribution's packages, for this checkout alone.

Its data lie in the checkout's git-ignored `.engine` folder; its socket and run-time state in a
short path, since a socket's path ends at 107 characters (unix(7)).
It has a bridge, a containerd namespace and a subnet of its own, so that it does not meddle with
another engine of the machine.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import system
from .errors import EngineError
from .paths import ROOT, STATE
from .system import Say, say

if TYPE_CHECKING:
    import psutil

PACKAGES = {"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"}
CLIENT_PACKAGES = ("docker-cli", "docker-buildx")
"""The client, and its builder, where the distribution has them as packages of their own."""

START_SECONDS = 60
SETTLE_SECONDS = 2
_PROGRAMS = ("dockerd", "containerd", "docker-proxy")


def _name() -> str:
    return f"proving-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"


def _runtime() -> Path:
    return Path("/run") / _name()


def socket() -> Path:
    """Return the socket of this checkout's private engine, whether or not it runs."""
    return _runtime() / "docker.sock"


def url() -> str:
    """Return the private engine's address in the form of `DOCKER_HOST`."""
    return f"unix://{socket()}"


def how_to_get_one() -> str:
    """Return what a person can do, on this platform, to have an engine."""
    if sys.platform == "darwin":
        return "Install Docker Desktop or colima, start it, and run the same command again."
    if sys.platform == "win32":
        return "Install Docker Desktop with the WSL 2 backend, start it, and run this again."
    if shutil.which("apt-get"):
        return (
            "Run the same command as root or as a user with sudo, and a private engine is "
            "installed and started; or install one yourself: apt-get install docker.io."
        )
    return "Install Docker Engine 20.10 or newer from your distribution, start it, and try again."


def missing_packages() -> list[str]:
    """Return the packages that a private engine still needs; empty where none is possible."""
    if not sys.platform.startswith("linux"):
        return []
    return [package for program, package in PACKAGES.items() if not system.which(program)]


def install(tell: Say = say) -> None:
    """Install what a private engine needs, after saying so.

    Raises:
        EngineError: packages cannot be installed here.
    """
    if not system.can_install():
        raise EngineError(f"No container engine answers here. {how_to_get_one()}")
    why = "run a private container engine"
    system.install(*missing_packages(), why=why, tell=tell, if_known=CLIENT_PACKAGES)


def start(tell: Say = say) -> str:
    """Start the private engine, or leave the one that runs, and return its address.

    Raises:
        EngineError: it cannot be started here; the sentence quotes the end of its log.
    """
    prefix = system.elevation()
    if not sys.platform.startswith("linux") or prefix is None or missing_packages():
        raise EngineError(f"No container engine answers here. {how_to_get_one()}")
    with system.lock(STATE / "lock"):
        if _answers():
            return url()
        began = time.monotonic()
        _forget_dead_engine()
        system.run(["mkdir", "-p", str(_runtime())], why="make the socket's folder", as_root=True)
        _make_bridge()
        log = STATE / "dockerd.log"
        with log.open("ab") as output:
            # setsid, and not a session of ours: sudo may have to ask on this terminal
            subprocess.run(
                [*prefix, "setsid", "--fork", *_command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        while not _answers():
            waited = time.monotonic() - began
            if waited > START_SECONDS or (waited > SETTLE_SECONDS and not _processes()):
                end = system.last_lines(log.read_text(errors="replace"))
                raise EngineError(f"The private engine did not start. The end of its log:\n{end}")
            time.sleep(0.1)
        tell(f"Started a private engine in {time.monotonic() - began:.1f} s ({url()}).")
    return url()


def _command() -> list[str]:
    runtime, namespace = _runtime(), _name()
    return [
        str(system.which("dockerd")),
        f"--host={url()}",
        f"--group={os.getgid()}",
        f"--data-root={STATE / 'data'}",
        f"--exec-root={runtime / 'exec'}",
        f"--pidfile={runtime / 'dockerd.pid'}",
        f"--bridge={_bridge()}",
        f"--containerd-namespace={namespace}",
        f"--containerd-plugins-namespace={namespace}-plugins",
        f"--config-file={_configuration()}",
    ]


def _configuration() -> Path:
    """Return an empty configuration, so that the machine's own is neither read nor in the way."""
    path = STATE / "daemon.json"
    path.write_text("{}\n", encoding="utf-8")
    return path


def _bridge() -> str:
    return _name().replace("proving-", "pg-")


def _make_bridge() -> None:
    if Path(f"/sys/class/net/{_bridge()}").exists():
        return
    why = "make a network bridge for the private engine"
    gateway = _free_subnet()[1]
    # Without a hardware address of its own, a bridge takes the lowest of its ports: it would change
    # when a container goes, and cut the others off until they have asked for it again.
    hardware = "02:42:" + ":".join(f"{byte:02x}" for byte in gateway.packed)
    bridge = ["link", "add", _bridge(), "address", hardware, "type", "bridge"]
    system.run([_ip(), *bridge], why=why, as_root=True)
    address = f"{gateway}/24"
    system.run([_ip(), "address", "add", address, "dev", _bridge()], why=why, as_root=True)
    system.run([_ip(), "link", "set", _bridge(), "up"], why=why, as_root=True)


def _ip() -> str:
    return str(system.which("ip"))


def _free_subnet() -> ipaddress.IPv4Network:
    routes = system.run([_ip(), "-4", "route", "show"], why="read the routes").splitlines()
    taken = [
        ipaddress.ip_network(route.split()[0], strict=False)
        for route in routes
        if route[:1].isdigit()
    ]
    candidates = ipaddress.ip_network("10.213.0.0/16").subnets(new_prefix=24)
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken if network.version == 4):
            return ipaddress.IPv4Network(candidate)
    raise EngineError("Every subnet of 10.213.0.0/16 is routed here; none is left for an engine.")


def _answers() -> bool:
    import docker
    from docker.errors import DockerException

    if not socket().exists():
        return False
    try:
        with_client = docker.DockerClient(base_url=url(), version="auto", timeout=5)
    except (DockerException, OSError):
        return False
    with_client.close()
    return True


def stop(tell: Say = say) -> None:
    """Stop the private engine, and keep its data for the next time.

    Raises:
        EngineError: it cannot be stopped.
    """
    with system.lock(STATE / "lock"):
        _end()
    tell(f"Stopped the private engine; its data stay in {STATE}.")


def _end() -> None:
    """End the engine's processes, and remove all that it has had outside of its data."""
    _end_processes()
    _remove_network()
    _unmount(f"{STATE / 'data'}/", f"{_runtime()}/")
    system.run(["rm", "-rf", str(_runtime())], why="stop the private engine", as_root=True)


def can_start() -> bool:
    """Tell whether a private engine can be started here, once its packages are installed."""
    if not sys.platform.startswith("linux") or system.elevation() is None:
        return False
    return not missing_packages() or system.can_install()


def erase(tell: Say = say) -> bool:
    """Stop the private engine and erase its data; return whether there was anything to erase.

    An engine that was killed is started once more, so that its containers end too.

    Raises:
        EngineError: it cannot be stopped, or its data cannot be erased.
    """
    if not _runtime().exists() and not (STATE / "data").exists():
        shutil.rmtree(STATE, ignore_errors=True)
        return False
    if (STATE / "data").exists() and not _answers() and not missing_packages():
        start(tell)
    with system.lock(STATE / "lock"):
        if _answers():
            _remove_containers()
        _end()
        _unmount(f"{STATE}/")
        system.run(["rm", "-rf", str(STATE)], why="erase the private engine", as_root=True)
    tell("Stopped the private engine and erased its data.")
    return True


def _remove_containers() -> None:
    import docker

    client = docker.DockerClient(base_url=url(), version="auto")
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.close()


def _forget_dead_engine() -> None:
    """Remove what an engine that was killed has left, so that it can be started again.

    A containerd that still runs is taken up by the new engine, with its containers.
    """
    dead = [_runtime() / "dockerd.pid", socket()]
    if not any(process.name() == "containerd" for process in _processes()):
        state = _runtime() / "exec" / "containerd"
        dead += [state / "containerd.pid", state / "containerd.sock"]
    for path in dead:
        if path.exists():
            system.run(["rm", "-f", str(path)], why="tidy up a dead engine", as_root=True)


def _processes() -> list[psutil.Process]:
    """Return dockerd and the containerd and shims of its exec root, as far as they run."""
    import psutil

    mark = f"{_runtime()}/"
    return [
        process
        for process in psutil.process_iter(["name", "cmdline", "status"])
        if process.info["name"].startswith(_PROGRAMS)
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and any(mark in word for word in process.info["cmdline"] or [])
    ]


def _end_processes() -> None:
    """End the engine's processes: TERM first, then KILL."""
    import psutil

    for signal_name, seconds in (("TERM", 15), ("KILL", 5)):
        alive = _processes()
        if not alive:
            return
        command = [*(system.elevation() or []), "kill", f"-{signal_name}"]
        command += [str(process.pid) for process in alive]
        subprocess.run(command, capture_output=True, check=False)
        psutil.wait_procs(alive, timeout=seconds)


def _unmount(*folders: str) -> None:
    """Unmount what an engine that was killed has left mounted below these folders."""
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    for mount in reversed([line.split()[1] for line in mounts]):
        if mount.startswith(folders):
            system.run(["umount", "--lazy", mount], why="erase the private engine", as_root=True)


def _remove_network() -> None:
    """Remove the bridge and the packet-filter rules that name it."""
    bridge, iptables = _bridge(), system.which("iptables")
    for table in ("nat", "filter"):
        if iptables is None:
            break
        rules = system.run([iptables, "-t", table, "-S"], why="read the rules", as_root=True)
        for rule in rules.splitlines():
            words = rule.split()
            if bridge in words and words[0] == "-A":
                delete = [iptables, "-t", table, "-D", *words[1:]]
                system.run(delete, why="remove the private engine's rules", as_root=True)
    if Path(f"/sys/class/net/{bridge}").exists():
        system.run([_ip(), "link", "delete", bridge], why="remove the bridge", as_root=True)
