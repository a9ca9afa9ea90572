"""A Kubernetes node of one machine, as the first process of a container.

It prepares the machine, makes certificates, starts the daemons, and says `NODE READY` when the
node can take pods. A daemon that ends before that is started again; afterwards the node ends with
it. It stops on SIGTERM.
NODE_ALSO names further addresses of the API server's, separated by commas, for its certificate.
The administrator's kubeconfig is /etc/kubernetes/admin.conf.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import api
import certificates
import machine

NAME = "node"
PODS = "10.244.0.0/24"
SERVICES, API_SERVICE, DNS_SERVICE = "10.96.0.0/16", "10.96.0.1", "10.96.0.10"
CONFIGURATIONS = Path("/etc/kubernetes")
PKI = api.PKI
OURS = Path("/opt/node")
CONTAINERD = "/run/containerd/containerd.sock"
READY_SECONDS = 240.0
STOP_SECONDS = 2.0
STARTS = 3
"""How often a daemon is started in all, where it ends before the node is ready."""

_began = time.monotonic()


class Stopped(Exception):
    """The node was told to stop."""


class Failed(Exception):
    """The node cannot run; the message says why."""


def say(sentence: str) -> None:
    """Say something in the container's log, with the seconds since its start."""
    print(f"[{time.monotonic() - _began:5.1f} s] {sentence}", flush=True)


def _stop(_signal: int, _frame: object) -> None:
    raise Stopped


def make_certificates(address: str) -> None:
    """Make all certificates, and a kubeconfig for each client of the API server."""
    certificates.service_account_keys(PKI)
    authority = certificates.Authority.made_in(PKI)
    service = [f"kubernetes{end}" for end in ("", ".default", ".default.svc")]
    names = [*service, f"{service[-1]}.cluster.local", "localhost", socket.gethostname(), NAME]
    also = [name for name in os.environ.get("NODE_ALSO", "").split(",") if name]
    addresses = [api.HOST, API_SERVICE, address]
    authority.server("apiserver", "kube-apiserver", [*names, *addresses, *also])
    authority.server("kubelet-serving", f"system:node:{NAME}", [NAME, address], "system:nodes")
    authority.client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters")
    authority.client("admin", "admin", "system:masters")
    authority.client("kubelet", f"system:node:{NAME}", "system:nodes")
    daemons = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
    for daemon in daemons:
        authority.client(daemon, f"system:{daemon}")
    for client in ("admin", "kubelet", *daemons):
        file = CONFIGURATIONS / f"{client}.conf"
        file.write_text(certificates.kubeconfig(PKI, client, api.SERVER))
        file.chmod(0o600)


def filled(template: str, target: Path, address: str) -> None:
    """Write one of our configurations with the node's own addresses."""
    text = (OURS / template).read_text()
    values = {"@ADDRESS@": address, "@PODS@": PODS, "@DNS@": DNS_SERVICE, "@NAME@": NAME}
    for word, value in values.items():
        text = text.replace(word, value)
    target.write_text(text)


ETCD = (
    "etcd",
    "--data-dir=/run/etcd",
    "--listen-client-urls=http://127.0.0.1:2379",
    "--advertise-client-urls=http://127.0.0.1:2379",
    "--listen-peer-urls=http://127.0.0.1:2380",
    "--initial-advertise-peer-urls=http://127.0.0.1:2380",
    "--initial-cluster=default=http://127.0.0.1:2380",
    "--logger=zap",
)


def api_server(address: str) -> list[str]:
    """Return the API server's command."""
    return [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={address}",
        f"--secure-port={api.PORT}",
        "--insecure-port=0",
        "--cert-dir=/run/certificates",
        f"--service-cluster-ip-range={SERVICES}",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/kubelet-client.crt",
        f"--kubelet-client-key={PKI}/kubelet-client.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def kubelet(address: str) -> list[str]:
    """Return the kubelet's command."""
    return [
        "kubelet",
        "--config=/run/kubelet.yaml",
        f"--kubeconfig={CONFIGURATIONS}/kubelet.conf",
        "--container-runtime=remote",
        f"--container-runtime-endpoint=unix://{CONTAINERD}",
        "--pod-infra-container-image=local/pause:3.2",
        f"--hostname-override={NAME}",
        f"--node-ip={address}",
        f"--root-dir={machine.DATA}/kubelet",
        "--cert-dir=/run/certificates",
        f"--volume-plugin-dir={machine.DATA}/plugins",
    ]


CONTROLLER_MANAGER = (
    "kube-controller-manager",
    f"--kubeconfig={CONFIGURATIONS}/kube-controller-manager.conf",
    "--bind-address=127.0.0.1",
    "--port=0",
    "--cert-dir=/run/certificates",
    "--leader-elect=false",
    "--use-service-account-credentials=true",
    f"--service-account-private-key-file={PKI}/sa.key",
    f"--root-ca-file={PKI}/ca.crt",
    f"--cluster-signing-cert-file={PKI}/ca.crt",
    f"--cluster-signing-key-file={PKI}/ca.key",
)

SCHEDULER = (
    "kube-scheduler",
    f"--kubeconfig={CONFIGURATIONS}/kube-scheduler.conf",
    "--bind-address=127.0.0.1",
    "--port=0",
    "--cert-dir=/run/certificates",
    "--leader-elect=false",
)


class Daemons:
    """The node's daemons, each with a log of its own."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: Counter[str] = Counter()

    def start(self, name: str, command: Iterable[str]) -> None:
        """Start a daemon."""
        self._starts[name] += 1
        with _log_of(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def check(self) -> None:
        """Start those again that have ended; raise `Failed` where one ends again and again."""
        for name, process in self._running.items():
            if process.poll() is None:
                continue
            ended = f"{name} ended with status {process.returncode}: {last_word(name)}"
            if self._starts[name] == STARTS:
                raise Failed(ended)
            say(f"{ended}\nIt is started again.")
            self.start(name, process.args)

    def wait_for(self, what: str, reached: Callable[[], bool]) -> None:
        """Wait until something is reached, while all daemons run."""
        while not reached():
            self.check()
            if time.monotonic() - _began > READY_SECONDS:
                raise Failed(f"{what} was not there within {READY_SECONDS:.0f} s")
            time.sleep(0.1)
        say(what)

    def serve(self) -> None:
        """Wait for the children that a first process inherits, until a daemon is among them."""
        names = {process.pid: name for name, process in self._running.items()}
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid in names:
                ended = f"{names[pid]} ended with status {os.waitstatus_to_exitcode(status)}"
                raise Failed(f"{ended}: {last_word(names[pid])}")

    def stop(self) -> None:
        """End the daemons and what runs in pods; what is left ends with the first process."""
        _signal_all(machine.pod_processes(), signal.SIGTERM)
        for name in reversed(self._running):
            self._running[name].terminate()
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until and self._any_left():
            time.sleep(0.05)

    def _any_left(self) -> bool:
        return any(process.poll() is None for process in self._running.values())


def _log_of(daemon: str) -> Path:
    return machine.LOGS / f"{daemon}.log"


def last_word(daemon: str) -> str:
    """Return why a daemon has ended, by its log: its last fatal error, or else its last line.

    A fatal error of Kubernetes' daemons begins with an F and the date (klog), and is followed by
    what all of its threads were doing.
    """
    lines = _log_of(daemon).read_text(errors="replace").splitlines()
    fatal = [line for line in lines if re.match(r"F\d{4} ", line)]
    return (fatal or lines or ["it said nothing"])[-1]


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _lives() -> bool:
    try:
        return api.ask("/livez") == b"ok"
    except api.NoAnswer:
        return False


def _takes_pods() -> bool:
    """Tell whether the node is Ready, and what pods need is there: an account, and the DNS."""
    try:
        node = api.get(f"/api/v1/nodes/{NAME}")
        api.get("/api/v1/namespaces/default/serviceaccounts/default")
        api.get("/api/v1/namespaces/kube-system/endpoints/kube-dns")
    except api.NoAnswer:
        return False
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node["status"].get("conditions", [])
    )


def start(daemons: Daemons) -> None:
    """Bring the node up to where it takes pods."""
    machine.prepare()
    address = machine.address()
    if not machine.network(PODS):
        say("No br_netfilter on this machine: Services may not be reached from pods.")
    filled("pods.conflist", Path("/etc/cni/net.d/10-pods.conflist"), address)
    filled("kubelet.yaml", Path("/run/kubelet.yaml"), address)
    filled("kube-proxy.yaml", Path("/run/kube-proxy.yaml"), address)
    daemons.start("etcd", ETCD)
    daemons.start("containerd", ["containerd", f"--config={OURS}/containerd.toml"])
    make_certificates(address)
    say("The certificates are made.")
    daemons.start("kube-apiserver", api_server(address))
    daemons.wait_for("containerd answers.", lambda: _succeeds("ctr", "version"))
    pause = ("ctr", "--namespace=k8s.io", "images", "import", f"{OURS}/pause.tar")
    if not _succeeds(*pause):
        raise Failed("containerd does not take the pause image")
    # the kubelet first waits 5 s for a Docker that is not there, so it does not wait for the API
    daemons.start("kubelet", kubelet(address))
    daemons.wait_for("The API server answers.", _lives)
    daemons.start("kube-controller-manager", CONTROLLER_MANAGER)
    daemons.start("kube-scheduler", SCHEDULER)
    daemons.start("kube-proxy", ["kube-proxy", "--config=/run/kube-proxy.yaml"])
    daemons.start("dns", [sys.executable, f"{OURS}/dns.py", address, DNS_SERVICE])
    daemons.wait_for("NODE READY", _takes_pods)


def main() -> int:
    """Run the node until it is told to stop, or fails; return its exit status."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    daemons = Daemons()
    status = 1
    try:
        start(daemons)
        daemons.serve()
    except Stopped:
        say("The node stops.")
        status = 0
    except Failed as error:
        say(f"The node failed: {error}.")
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip()
        say(f"The node failed: `{' '.join(error.cmd)}` says: {told}")
    except OSError as error:
        say(f"The node failed: {error}.")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        daemons.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
