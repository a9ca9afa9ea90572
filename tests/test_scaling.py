"""What workers cost is counted from what containers tell."""

import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from proving import manifests, scaling
from proving.claims import get
from proving.container import Process
from proving.errors import CouldNotMeasure
from proving.kube import Executed
from proving.manifests import MANIFESTS
from proving.scaling import Memory

V1 = "9000000\ncache 4000000\nrss 5000000\ntotal_cache 4000000\ntotal_rss 5000000\n"
V2 = "9000000\nanon 5000000\nfile 4000000\n"
MONOLITH = [
    Process(1, 0, "S", "nginx", "nginx: master"),
    Process(7, 1, "S", "gunicorn", "gunicorn"),
    Process(8, 1, "S", "nginx", "nginx: worker"),
    Process(9, 7, "S", "gunicorn", "gunicorn"),
    Process(10, 7, "S", "gunicorn", "gunicorn"),
]
WEB_SERVER = [MONOLITH[0], MONOLITH[2]]


@pytest.mark.parametrize("text", [V1, V2], ids=["version 1", "version 2"])
def test_the_memory_of_a_control_group(text):
    """What belongs to processes, and with the page cache."""
    assert Memory(own_bytes=5_000_000, used_bytes=9_000_000) == scaling.parse_memory(text)


@pytest.mark.parametrize("text", ["", "9000000\n", "cat: no such file\nanon 5\n"])
def test_a_control_group_that_is_not_seen(text):
    """Nothing is no figure."""
    with pytest.raises(CouldNotMeasure, match="does not see"):
        scaling.parse_memory(text)


def test_workers_are_those_that_their_like_has_started():
    """The first of the application's processes serves nobody."""
    assert 2 == scaling.workers(MONOLITH)
    assert 0 == scaling.workers(WEB_SERVER)


def test_processes_are_counted_over_all_pods():
    """Web servers by their containers."""
    figures = scaling.counted({"one": MONOLITH, "two": WEB_SERVER, "three": MONOLITH[1:2]})

    assert {"processes": 8, "workers": 2, "web_servers": 2} == figures


def test_a_load_tells_what_it_did():
    """Requests by the second are a whole number."""
    log = json.dumps({"answered": 300, "seconds": 2.4})

    assert {"answered": 300, "per_second": 125} == scaling.parse_load(log)


@pytest.mark.parametrize("log", ["", "Traceback", "{}", "3"])
def test_a_load_that_tells_nothing(log):
    """Its last words are quoted."""
    with pytest.raises(CouldNotMeasure, match="does not tell what it did"):
        scaling.parse_load(log)


class StandIn:
    """A namespace with two pods, to which a load comes."""

    def __init__(self):
        self.applied = []

    def apply(self, manifest):
        self.applied.append(manifest)

    def wait_ready(self):
        pass

    def pods(self):
        return [{"metadata": {"name": name}} for name in ("web-1", "web-2", scaling.LOAD)]

    def get(self, _kind, name):
        assert name == scaling.LOAD
        return {"status": {"phase": "Succeeded"}}

    def until(self, reached, _seconds, _what):
        assert reached()

    def logs(self, _pod):
        return json.dumps({"answered": 300, "seconds": 1})

    def processes(self, _pod):
        return MONOLITH

    def exec(self, _pod, _command):
        return Executed(0, V2, "")


def test_an_arm_costs_what_its_pods_cost():
    """The pod of the load is not one of them."""
    namespace = StandIn()

    @contextmanager
    def opened():
        yield namespace

    lab = SimpleNamespace(namespace=opened)
    figures = scaling.at_scale(lab, "an arm", "a load", threading.Lock())

    assert ["an arm", "a load"] == namespace.applied
    assert (10_000_000, 18_000_000) == (figures["memory_bytes"], figures["used_bytes"])
    assert (10, 4, 2) == (figures["processes"], figures["workers"], figures["web_servers"])
    assert 300 == figures["answered"]


def test_the_load_sends_what_the_claim_says():
    """To the Service that both arms have."""
    (pod,) = manifests.read(MANIFESTS / "F2" / "load.yaml").documents
    (container,) = pod["spec"]["containers"]

    assert ["http://web/", str(get("F2").settings["requests"])] == container["args"]
    for arm in ("bad", "good"):
        assert manifests.read(MANIFESTS / "F2" / f"{arm}.yaml").one("Service", "web")


def test_both_arms_ask_for_as_much_in_all_the_application():
    """What the parts ask for apart is no more than what they ask for together."""
    bad, good = (manifests.read(MANIFESTS / "F2" / f"{arm}.yaml") for arm in ("bad", "good"))

    assert requested(good) <= requested(bad)


def requested(manifest):
    """Return the mebibytes that the pods of a manifest ask for."""
    total = 0
    for one in manifest.documents:
        if one["kind"] == "Deployment":
            (container,) = one["spec"]["template"]["spec"]["containers"]
            memory = container["resources"]["requests"]["memory"]
            total += one["spec"]["replicas"] * int(memory.removesuffix("Mi"))
    return total
