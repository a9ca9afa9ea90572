"""What the preflight asks, every answer that there is, and what to do about it, system by system.

A code for a trainer's list is made of the places of answers in this catalogue: whoever changes
their order or number raises `VERSION`, so that an older code is refused and not misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..kubernetes_image import MINUTES

VERSION = 1
"""Of the catalogue, as a code carries it; up to 15."""


class Level(StrEnum):
    """What an answer means for whoever wants to run the labs."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    NOT_CHECKED = "not checked"


SYSTEMS = ("debian", "fedora", "linux", "macos", "wsl", "windows")
"""What this machine may be: Debian or Ubuntu, Fedora or RHEL, another Linux, …"""

FLAVOURS = (
    "none",
    "docker",
    "docker-desktop",
    "rootless",
    "podman",
    "colima",
    "remote",
    "private",
)
"""What kind of engine there may be; `private` is the one that the guide starts by itself."""

NAMES: Mapping[str, str] = {
    "debian": "Debian or Ubuntu",
    "fedora": "Fedora or RHEL",
    "linux": "another Linux",
    "macos": "macOS",
    "wsl": "Windows with WSL 2",
    "windows": "Windows",
    "none": "no engine",
    "docker": "Docker Engine",
    "docker-desktop": "Docker Desktop",
    "rootless": "rootless Docker",
    "podman": "Podman",
    "colima": "colima",
    "remote": "an engine on another machine",
    "private": "the guide's private engine",
}


@dataclass(frozen=True)
class Outcome:
    """An answer: its level, what it says in general, and the cure by kind of engine or by system.

    The kind of engine is looked up first, then the system; the key "" is for all others.
    """

    id: str
    level: Level
    says: str
    cures: Mapping[str, str] = field(default_factory=dict)

    def cure(self, system: str, flavour: str) -> str:
        """Return what to do here; empty where nothing needs to be done."""
        return next((self.cures[key] for key in (flavour, system, "") if key in self.cures), "")


@dataclass(frozen=True)
class Check:
    """What is asked, and its answers; the first of them is always that it was not asked."""

    id: str
    title: str
    outcomes: tuple[Outcome, ...]

    def outcome(self, name: str) -> Outcome:
        """Return an answer by its id."""
        return next(one for one in self.outcomes if one.id == name)


NOT_CHECKED = "not-checked"

_AGAIN = "then run the preflight again"
_INSTALL = {
    "debian": "Install one: sudo apt-get install docker.io, or follow "
    f"https://docs.docker.com/engine/install/; {_AGAIN}. As root or with sudo, the guide starts "
    "a private engine by itself.",
    "fedora": "Install one: sudo dnf install moby-engine docker-buildx, start it by sudo systemctl "
    "enable --now docker; on RHEL follow https://docs.docker.com/engine/install/rhel/; "
    f"{_AGAIN}. Podman alone does not do: it has no BuildKit.",
    "macos": f"Install Docker Desktop or colima, and start it; {_AGAIN}.",
    "wsl": "Install Docker Desktop for Windows and switch on its WSL integration for this "
    f"distribution, or install docker.io within it; {_AGAIN}.",
    "windows": "Install WSL 2 (wsl --install) and Docker Desktop, and work within WSL: the guide's "
    "commands run there.",
    "": f"Install Docker Engine 20.10 or newer from your distribution, and start it; {_AGAIN}.",
}
_BUILDX = {
    "debian": "sudo apt-get install docker-buildx, or docker-buildx-plugin where Docker came from "
    "Docker's own packages.",
    "fedora": "sudo dnf install docker-buildx, or docker-buildx-plugin where Docker came from "
    "Docker's own packages.",
    "macos": "Docker Desktop has it; with colima: brew install docker docker-buildx.",
    "wsl": "Switch on Docker Desktop's WSL integration, or sudo apt-get install docker-buildx.",
    "docker-desktop": "Start Docker Desktop and have it updated: its client has buildx.",
    "": "Install a docker client with its buildx plugin.",
}
_OTHER_DOCKER = (
    "Install Docker Engine beside Podman, and name it: export DOCKER_HOST="
    "unix:///var/run/docker.sock. The labs build with BuildKit, which Podman does not have."
)
_MORE_MEMORY = {
    "docker-desktop": "Docker Desktop: Settings, Resources, Memory: give it 4 GB or more.",
    "colima": "colima stop, then colima start --memory 4.",
    "wsl": "Give WSL more: memory=6GB below [wsl2] in .wslconfig, then wsl --shutdown.",
    "": "Close other programs, or use a machine with more memory. PROVING_CLUSTER=none leaves out "
    "what needs most.",
}
_MORE_DISK = {
    "docker-desktop": "Docker Desktop: Settings, Resources, Disk: give it more; `docker system "
    "df` tells what holds its space.",
    "colima": "colima start --disk 60 gives it more; `docker system df` tells what holds it.",
    "": "`docker system df` tells what holds the engine's space, `docker builder prune` empties "
    "the build cache, and `nox -s clean` removes all that is the guide's.",
}
_KUBECONFIG = "PROVING_KUBECONFIG=~/.kube/config"
_CLUSTER = (
    "Name a cluster of your own, of kind, minikube or Docker Desktop for example: export "
    f"{_KUBECONFIG}."
)
_RESTART = {
    "docker-desktop": "Quit Docker Desktop and start it again.",
    "macos": "Quit Docker Desktop and start it again; with colima: colima restart.",
    "wsl": "Quit Docker Desktop and start it again, or sudo service docker restart.",
    "rootless": "systemctl --user restart docker.",
    "": "sudo systemctl restart docker.",
}


def _check(name: str, title: str, *outcomes: Outcome) -> Check:
    not_asked = Outcome(NOT_CHECKED, Level.NOT_CHECKED, "This was not checked.")
    return Check(name, title, (not_asked, *outcomes))


CHECKS: tuple[Check, ...] = (
    _check(
        "engine",
        "Engine",
        Outcome("answers", Level.GREEN, "A container engine answers."),
        Outcome(
            "startable",
            Level.AMBER,
            "No engine answers, and the guide can start a private one.",
            {
                "": "`nox -s guide` starts it, after saying so. To have it tried now: nox -s "
                "preflight -- --start, which stops it again."
            },
        ),
        Outcome("none", Level.RED, "No engine answers.", _INSTALL),
        Outcome(
            "forbidden",
            Level.RED,
            "An engine's socket is there, and this user may not use it.",
            {
                "": "sudo usermod -aG docker $USER, log out and in again, "
                f"{_AGAIN}; or run it with sudo."
            },
        ),
        Outcome(
            "named-gone",
            Level.RED,
            "DOCKER_HOST or DOCKER_CONTEXT names an engine that does not answer.",
            {"": "Start that engine, or unset DOCKER_HOST DOCKER_CONTEXT to have one found."},
        ),
        Outcome("silent", Level.RED, "An engine takes the question and does not answer.", _RESTART),
    ),
    _check(
        "version",
        "Version",
        Outcome("new-enough", Level.GREEN, "It is Docker 20.10 or newer."),
        Outcome(
            "old",
            Level.RED,
            "It is older than Docker 20.10.",
            {
                "docker-desktop": "Have Docker Desktop updated.",
                "debian": "sudo apt-get update && sudo apt-get install docker.io.",
                "fedora": "sudo dnf upgrade moby-engine.",
                "colima": "brew upgrade colima docker, then colima delete and colima start.",
                "": "Update it, or name another engine by DOCKER_HOST.",
            },
        ),
    ),
    _check(
        "builder",
        "Builder",
        Outcome("buildx", Level.GREEN, "The client builds with BuildKit, by buildx."),
        Outcome("within", Level.GREEN, "The client builds with the engine's own BuildKit."),
        Outcome("none", Level.RED, "No docker client here can build with BuildKit.", _BUILDX),
        Outcome("podman", Level.RED, "The engine is Podman.", {"": _OTHER_DOCKER}),
    ),
    _check(
        "store",
        "Image store",
        Outcome("overlay", Level.GREEN, "Layers are kept by overlay2, or by containerd."),
        Outcome(
            "other",
            Level.AMBER,
            "Layers are kept in a way that the labs were never tried on, or that is slow.",
            {
                "rootless": "A Linux kernel from 5.11 on lets rootless Docker use overlay2: remove "
                "another storage-driver from ~/.config/docker/daemon.json.",
                "": 'Set "storage-driver": "overlay2" in /etc/docker/daemon.json, or leave it be: '
                "it only takes longer.",
            },
        ),
        Outcome(
            "copies",
            Level.AMBER,
            "Every layer is a whole copy (vfs): builds take longer and several times the space.",
            {
                "": "Set overlay2 as storage-driver, or have the engine's data on a file system "
                "that overlayfs can use, such as ext4 or xfs."
            },
        ),
    ),
    _check(
        "architecture",
        "Architecture",
        Outcome("native", Level.GREEN, "It is amd64 or arm64, the same as this machine."),
        Outcome(
            "foreign",
            Level.AMBER,
            "The engine has another architecture than this Python.",
            {
                "macos": "Use a Python for this processor (python3 -c 'import platform; "
                "print(platform.machine())' says arm64 on Apple silicon).",
                "": "It works where a registry gives the bases; built from packages they have this "
                "machine's architecture.",
            },
        ),
        Outcome(
            "other",
            Level.AMBER,
            "It is neither amd64 nor arm64: public images may not be there for it.",
            {"": "Where a lab fails for that, use an engine on amd64 or arm64 by DOCKER_HOST."},
        ),
    ),
    _check(
        "cgroups",
        "Control groups",
        Outcome("limits", Level.GREEN, "The engine limits memory and processes."),
        Outcome(
            "no-limits",
            Level.AMBER,
            "The engine limits neither memory nor processes, or one of them.",
            {
                "rootless": "Have systemd delegate the controllers to users: "
                "https://rootlesscontaine.rs/getting-started/common/cgroup2/.",
                "debian": "Add cgroup_enable=memory to the kernel's command line and start anew. "
                "Only `nox -s audit` needs it.",
                "": "Only `nox -s audit` needs it: it cages images by such limits.",
            },
        ),
    ),
    _check(
        "memory",
        "Memory",
        Outcome("enough", Level.GREEN, "The engine has enough memory for a cluster as well."),
        Outcome(
            "little",
            Level.AMBER,
            "The labs run one by one; a cluster may be short of memory.",
            _MORE_MEMORY,
        ),
        Outcome(
            "busy",
            Level.AMBER,
            "There is enough memory, and other programs have most of it now.",
            {"": "Close what you do not need before the labs start."},
        ),
        Outcome("too-little", Level.RED, "The engine has too little memory.", _MORE_MEMORY),
    ),
    _check(
        "disk",
        "Disk",
        Outcome("enough", Level.GREEN, "The engine has room for all labs."),
        Outcome("little", Level.AMBER, "There is room for some labs, not for all.", _MORE_DISK),
        Outcome("full", Level.RED, "The engine's disk is full, or nearly so.", _MORE_DISK),
    ),
    _check(
        "ports",
        "Ports",
        Outcome("free", Level.GREEN, "The guide's usual port is free."),
        Outcome(
            "another",
            Level.AMBER,
            "The guide's usual port is taken; it will use another one.",
            {"": "Use the address that the guide prints, or stop the other program."},
        ),
        Outcome(
            "none",
            Level.RED,
            "No port that the guide tries is free.",
            {"": "Give it one: nox -s guide -- --port 9999."},
        ),
    ),
    _check(
        "browser",
        "Browser",
        Outcome("here", Level.GREEN, "A browser opens here."),
        Outcome(
            "elsewhere",
            Level.AMBER,
            "No browser opens here.",
            {
                "wsl": "Open the address that the guide prints in a browser of Windows.",
                "": "On the machine in front of you: ssh -L PORT:127.0.0.1:PORT THIS-MACHINE, with "
                "the port of the address that the guide prints, and open that address.",
            },
        ),
    ),
    _check(
        "bases",
        "Base images",
        Outcome("here", Level.GREEN, "All base images are on the engine."),
        Outcome("pulled", Level.GREEN, "A registry gives those that are not on the engine."),
        Outcome(
            "packages",
            Level.AMBER,
            "No registry answers: base images are built from distribution packages, once.",
            {"": "Start the guide once before the day; it takes a few minutes longer, once."},
        ),
        Outcome(
            "none",
            Level.RED,
            "Base images are not here, no registry gives them, and they cannot be built here.",
            {
                "": "Have a network with a registry once, before the day, or set the registry "
                "mirror that your trainer names, and start the guide: it keeps what it needs."
            },
        ),
    ),
    _check(
        "trial",
        "Trial",
        Outcome("works", Level.GREEN, "An image was built, run, asked and stopped."),
        Outcome(
            "slow",
            Level.AMBER,
            "An image was built, run, asked and stopped, slowly.",
            {
                "docker-desktop": "Give Docker Desktop more processors, and close other programs.",
                "": "Close other programs. Labs that measure seconds will take longer.",
            },
        ),
        Outcome(
            "no-build",
            Level.RED,
            "An image does not build.",
            {"podman": _OTHER_DOCKER, "": "Where it was run, its line says why; mend that first."},
        ),
        Outcome("no-start", Level.RED, "An image was built, and does not run.", _RESTART),
        Outcome(
            "no-answer",
            Level.RED,
            "A container runs, and its published port does not answer from here.",
            {
                "docker-desktop": "Quit Docker Desktop and start it again; look whether a VPN or a "
                "firewall is in the way.",
                "remote": "The machine of the engine must be reached on its published ports: look "
                "at its firewall.",
                "": "Look whether a VPN or a firewall is in the way, and restart the engine.",
            },
        ),
        Outcome(
            "no-stop",
            Level.RED,
            "A container was asked to stop, and had to be killed.",
            {"": "Restart the engine, and run the preflight when the machine has less to do."},
        ),
    ),
    _check(
        "cluster",
        "Cluster",
        Outcome("named", Level.GREEN, "The cluster that you name answers."),
        Outcome("k3s", Level.GREEN, "K3s is to be had, and runs in a container."),
        Outcome("node", Level.GREEN, "The image of the guide's own node is on the engine."),
        Outcome(
            "to-build",
            Level.AMBER,
            "The guide's own node is built at the first run, from packages and sources.",
            {
                "": "Run `nox -s labs -- K1` once before the day: the build takes "
                f"{MINUTES} minutes or more. Or name a cluster of your own: export {_KUBECONFIG}."
            },
        ),
        Outcome(
            "none", Level.AMBER, "Claims about Kubernetes have no cluster here.", {"": _CLUSTER}
        ),
        Outcome(
            "left-out",
            Level.AMBER,
            "PROVING_CLUSTER leaves claims about Kubernetes out.",
            {"": "unset PROVING_CLUSTER to have them again."},
        ),
        Outcome(
            "rootless",
            Level.AMBER,
            "A cluster in a container needs an engine that runs as root.",
            {"": _CLUSTER},
        ),
        Outcome(
            "named-gone",
            Level.RED,
            "A cluster is named that the labs cannot use.",
            {
                "": "Start it, look at `kubectl get nodes`, or unset PROVING_KUBECONFIG and "
                "PROVING_CLUSTER to have another one."
            },
        ),
    ),
)


def check(name: str) -> Check:
    """Return a check by its id."""
    return next(one for one in CHECKS if one.id == name)
