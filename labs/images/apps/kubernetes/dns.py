"""dns.py ADDRESS SERVICE_ADDRESS: the names of Services, answered by dnsmasq.

It has a Service of its own, `kube-dns`, whose address the kubelet tells every container.
Other names are passed to the resolver of the node's own container.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import api

HOSTS = Path("/run/services.hosts")
DOMAIN = "svc.cluster.local"
SYSTEM = "/api/v1/namespaces/kube-system"

Key = tuple[str, str]


def kube_dns(address: str, service_address: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the Service of the DNS, and its one endpoint, by the paths that take them."""
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    subset = {"addresses": [{"ip": address}], "ports": ports}
    return [
        (
            f"{SYSTEM}/services",
            {"metadata": metadata, "spec": {"clusterIP": service_address, "ports": ports}},
        ),
        (f"{SYSTEM}/endpoints", {"metadata": metadata, "subsets": [subset]}),
    ]


def lines(services: dict[Key, Any], endpoints: dict[Key, Any]) -> list[str]:
    """Return the lines of a hosts file (hosts(5)): a Service's own address, or its endpoints'."""
    found = []
    for (namespace, name), service in sorted(services.items()):
        full = f"{name}.{namespace}.{DOMAIN}"
        address = service["spec"].get("clusterIP")
        if address and address != "None":
            found.append(f"{address} {full}")
            continue
        for subset in (endpoints.get((namespace, name)) or {}).get("subsets") or []:
            for one in subset.get("addresses") or []:
                found.append(f"{one['ip']} {full}")
                if one.get("hostname"):
                    found.append(f"{one['ip']} {one['hostname']}.{full}")
    return found


class Names:
    """The hosts file, written anew when Services or endpoints change what it says."""

    def __init__(self, dnsmasq: subprocess.Popen[bytes]) -> None:
        self._dnsmasq = dnsmasq
        self._objects: dict[str, dict[Key, Any]] = {"services": {}, "endpoints": {}}
        self._lock = threading.Lock()

    def follow(self, kind: str) -> None:
        """Follow all objects of a kind, for ever; a watch that ends begins again with a list."""
        path = f"/api/v1/{kind}"
        while True:
            try:
                listed = api.get(path)
                self._take(kind, {_key(item): item for item in listed["items"]})
                for event in api.watch(path, listed["metadata"]["resourceVersion"]):
                    if event["type"] == "ERROR":
                        break
                    self._change(kind, event)
            except api.NoAnswer:
                time.sleep(0.5)

    def _take(self, kind: str, objects: dict[Key, Any]) -> None:
        with self._lock:
            self._objects[kind] = objects
            self._write()

    def _change(self, kind: str, event: dict[str, Any]) -> None:
        with self._lock:
            key = _key(event["object"])
            if event["type"] == "DELETED":
                self._objects[kind].pop(key, None)
            else:
                self._objects[kind][key] = event["object"]
            self._write()

    def _write(self) -> None:
        text = "".join(f"{line}\n" for line in lines(**self._objects))
        if text != HOSTS.read_text():
            HOSTS.write_text(text)
            self._dnsmasq.send_signal(signal.SIGHUP)


def _key(item: dict[str, Any]) -> Key:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def publish(address: str, service_address: str) -> None:
    """Make the DNS known to the cluster, as soon as its API server takes it."""
    for path, body in kube_dns(address, service_address):
        while True:
            try:
                api.ask(path, method="POST", body=body)
                break
            except api.NoAnswer as error:
                if error.status == HTTPStatus.CONFLICT:  # it is there from an earlier start
                    break
                time.sleep(0.2)


def main(address: str, service_address: str) -> int:
    """Answer until dnsmasq ends; return its status."""
    HOSTS.touch()
    # dnsmasq inherits this until it has a handler of its own: the first change of the names may be
    # told before, and would end it; the file is read after that anyway
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    dnsmasq = subprocess.Popen(
        [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-hosts",
            "--user=root",
            "--pid-file=",
            f"--listen-address={address}",
            "--bind-interfaces",
            "--local=/cluster.local/",
            "--local-ttl=1",
            f"--addn-hosts={HOSTS}",
        ]
    )
    signal.signal(signal.SIGTERM, lambda *_: dnsmasq.terminate())
    try:
        publish(address, service_address)
        names = Names(dnsmasq)
        for kind in ("services", "endpoints"):
            threading.Thread(target=names.follow, args=(kind,), daemon=True).start()
        return dnsmasq.wait()
    finally:
        dnsmasq.terminate()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
