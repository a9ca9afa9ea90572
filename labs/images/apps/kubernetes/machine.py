"""What a node needs of the machine, prepared within its own container.

What it changes lies in the container's own namespaces: the machine's settings stay as they are.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

DATA = Path("/var/lib/node")
LOGS = Path("/var/log/node")

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What an engine masks or makes read-only: a container may mount /proc only where nothing of it
is hidden from the one that starts it. An engine's client has `systempaths=unconfined` for that;
its API, as the Python client speaks it, has not."""

STAND_INS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
}
"""Settings of the whole machine's that the kubelet wants to write: it is shown files instead."""

FOLDERS = (
    *(DATA / name for name in ("kubelet", "containerd", "plugins", "pod-logs")),
    *(Path("/run", name) for name in ("sysctl", "containerd", "certificates", "etcd", "lock")),
    Path("/etc/cni/net.d"),
    Path("/etc/kubernetes/pki"),
    LOGS,
)


def prepare() -> None:
    """Unmask /proc and /sys, make folders, and stand in for what is the whole machine's."""
    _run("mount", "--make-rshared", "/")
    mounted = _mounted()
    for path in MASKED:
        if path in mounted:
            _run("umount", path)
    _run("mount", "-o", "remount,rw", "/sys")
    for path in mounted:
        if path.startswith("/sys/fs/cgroup"):
            _run("mount", "-o", "remount,rw,bind", path)
    for folder in FOLDERS:
        folder.mkdir(parents=True, exist_ok=True)
    _link(Path("/var/log/pods"), DATA / "pod-logs")
    _link(Path("/dev/kmsg"), Path("/dev/null"))  # the kubelet looks there for OOM kills
    Path("/run/empty-resolv.conf").touch()
    for setting, value in STAND_INS.items():
        stand_in = Path("/run/sysctl", setting.replace("/", "."))
        stand_in.write_text(f"{value}\n")
        _run("mount", "--bind", str(stand_in), f"/proc/sys/{setting}")


def network(pods: str) -> bool:
    """Let pods reach each other and the world; return whether Services work from within pods.

    They do where the kernel shows a bridge's packets to the packet filter (br_netfilter).
    """
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
    masquerade = ["-s", pods, "!", "-d", pods, "-j", "MASQUERADE"]
    _run("iptables", "-w", "-t", "nat", "-A", "POSTROUTING", *masquerade)
    filtered = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if filtered.exists():
        filtered.write_text("1\n")
    return filtered.exists()


def address() -> str:
    """Return the node's own address: the one from which it would reach the world."""
    routes = subprocess.run(
        ["ip", "-4", "-o", "route", "get", "192.0.2.1"], capture_output=True, text=True, check=True
    )
    found = re.search(r" src (\S+)", routes.stdout)
    if found is None:
        raise OSError(f"no address of this container is in: {routes.stdout.strip()}")
    return found[1]


def pod_processes() -> list[int]:
    """Return the PIDs of all that runs in pods, by their control groups."""
    return [
        int(pid)
        for root in Path("/sys/fs/cgroup").glob("**/kubepods")
        for file in root.rglob("cgroup.procs")
        for pid in file.read_text().split()
    ]


def _mounted() -> list[str]:
    """Return where something is mounted (proc_pid_mountinfo(5)); a bind of /proc on itself too."""
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _link(link: Path, target: Path) -> None:
    if not link.exists():
        link.symlink_to(target)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
