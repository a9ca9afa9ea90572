"""A cluster that was started by hand and is named to the labs, and manifests by `kubectl` alone.

The cluster is a node of ours; its container has the label by which kind's nodes are known.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from manifest_files import MANIFEST_FILES
from proving import bases, cluster, kubernetes_image, leftovers, prepare
from proving import engine as engines
from proving.container import Container
from proving.images_for_cluster import KIND_LABEL
from proving.paths import LABS
from waiting import until

pytestmark = pytest.mark.engine

GONE_WITHIN_SECONDS = 90
RUN = "cluster-by-hand"

OBJECTS = (
    "kubectl get --all-namespaces --output=name "
    "$(kubectl api-resources --verbs=list --output=name | grep -vE '^(events|leases)' | paste -sd,)"
)
"""Names all objects of a cluster but what its own programs write all the time."""


@dataclass
class ByHand:
    """A cluster that somebody has started: its node, and the kubeconfig that names it."""

    node: Container
    kubeconfig: Path

    def sh(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run a command where `kubectl` is the administrator's; return its status and output."""
        words = ["sh", "-c", command, *arguments]
        status, output = self.node.get_wrapped_container().exec_run(words)
        return int(status), bytes(output).decode()

    def objects(self) -> list[str]:
        """Return the names of all objects there are."""
        status, output = self.sh(OBJECTS)
        assert 0 == status, output
        return sorted(output.split())


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """Have such a cluster, which goes on however a run of the labs ends."""
    found = engines.find()
    bases.ready(found, prepare.roles_of_labs())
    node = cluster.node_container(found, kubernetes_image.ready(found), RUN)
    node.with_kwargs(**{**node._kwargs, "labels": {**leftovers.label(RUN), KIND_LABEL: "by-hand"}})
    try:
        kubeconfig = cluster.node_config(node.start())
        kubeconfig["contexts"][0]["name"] = kubeconfig["current-context"] = "kind-by-hand"
        file = tmp_path_factory.mktemp("kube") / "config"
        file.write_text(json.dumps(kubeconfig), encoding="utf-8")
        yield ByHand(node, file)
    finally:
        node.stop()


@pytest.mark.usefixtures("nothing_left")
def test_labs_touch_nothing_but_namespaces_of_their_own(by_hand):
    """In the end the cluster has the objects that it had before."""
    before = by_hand.objects()
    named = {cluster.CONFIG_VARIABLE: str(by_hand.kubeconfig), "PYTHONPATH": str(LABS)}
    others = (cluster.CONTEXT_VARIABLE, cluster.SOURCE_VARIABLE, cluster.RUN_VARIABLE)
    unnamed = {name: value for name, value in os.environ.items() if name not in others}

    done = subprocess.run(
        [sys.executable, "-m", "proving.prove", "labs", "K6"],
        env={**unnamed, **named},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "a cluster of the reader's own, kind-by-hand" in done.stdout + done.stderr
    until(lambda: before == by_hand.objects(), GONE_WITHIN_SECONDS, pause_seconds=1)
    assert before == by_hand.objects()


def test_every_manifest_applies_by_kubectl_alone(by_hand):
    """The API server takes each as it stands in its file, without a warning."""
    assert MANIFEST_FILES
    told = {}
    for file in MANIFEST_FILES:
        apply = 'printf "%s" "$0" | kubectl apply --dry-run=server --filename=-'
        status, output = by_hand.sh(apply, file.read_text(encoding="utf-8"))
        if status or "warning" in output.lower():
            told["/".join(file.parts[-3:])] = output

    assert {} == told
