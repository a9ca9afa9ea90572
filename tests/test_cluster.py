"""Where a run's cluster comes from, what is said where there is none, and what it leaves."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest
from kubeconfigs import kubeconfig
from proving import bases, cluster, images_for_cluster, kubernetes_image, leftovers
from proving.engine import Engine
from proving.errors import ContainerError, CouldNotMeasure, NotApplicable, ProvingError
from proving.images_for_cluster import ByMinikube, ByRegistry, IntoContainers, SameEngine

VARIABLES = (
    cluster.CONFIG_VARIABLE,
    cluster.CONTEXT_VARIABLE,
    cluster.SOURCE_VARIABLE,
    cluster.RUN_VARIABLE,
    images_for_cluster.PUSH_TO,
)


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """Have none of the variables that choose a cluster."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def nowhere(monkeypatch):
    """An engine that is never asked."""
    found = Engine("unix:///nowhere.sock", "a test's")
    monkeypatch.setattr(Engine, "description", SimpleNamespace(cgroup="v1"))
    return found


@pytest.fixture
def asked(monkeypatch):
    """Which sources were asked; none of them has a cluster."""
    found = []

    def source(name, error):
        def ask(*_):
            found.append(name)
            raise error(f"no {name}")

        monkeypatch.setattr(cluster, name, ask)

    source("named", CouldNotMeasure)
    source("k3s", CouldNotMeasure)
    source("node", ContainerError)
    return found


class TestFind:
    """The order of the sources."""

    def test_k3s_comes_before_the_node(self, nowhere, asked):
        """And the sentence tells both reasons, and what else there is."""
        with pytest.raises(CouldNotMeasure, match="no k3s.*no node") as caught:
            cluster.find(nowhere, "run")

        assert ["k3s", "node"] == asked
        assert "PROVING_KUBECONFIG=~/.kube/config" in str(caught.value)

    def test_a_named_cluster_comes_first(self, nowhere, asked, monkeypatch):
        """Where it cannot be used, no other one is taken in its place."""
        monkeypatch.setenv(cluster.CONFIG_VARIABLE, "/somewhere")

        with pytest.raises(CouldNotMeasure, match="no named"):
            cluster.find(nowhere, "run")

        assert ["named"] == asked

    @pytest.mark.parametrize(
        ("forced", "expected"),
        [("kubeconfig", ["named"]), ("k3s", ["k3s"]), ("node", ["node"]), ("none", [])],
    )
    def test_a_source_can_be_forced(self, nowhere, asked, monkeypatch, forced, expected):
        """Also to have no cluster."""
        monkeypatch.setenv(cluster.SOURCE_VARIABLE, forced)

        with pytest.raises(CouldNotMeasure):
            cluster.find(nowhere, "run")

        assert expected == asked

    def test_a_strange_source_is_refused(self, nowhere, monkeypatch):
        """The sentence lists those there are."""
        monkeypatch.setenv(cluster.SOURCE_VARIABLE, "minikube")

        with pytest.raises(ProvingError, match="set it to kubeconfig, k3s, node or none"):
            cluster.find(nowhere, "run")


class TestNamed:
    """A cluster of the reader's own."""

    def test_a_kubeconfig_that_is_not_there_is_told(self, nowhere, monkeypatch):
        """With the variable that names it, and the cure."""
        monkeypatch.setenv(cluster.CONFIG_VARIABLE, "/nowhere/config")

        with pytest.raises(ProvingError, match=r"PROVING_KUBECONFIG names /nowhere/config, .* ca"):
            cluster.named(nowhere)

    def test_a_file_that_is_none_is_told(self, nowhere, monkeypatch, tmp_path):
        """It is not taken for one."""
        (tmp_path / "config").write_text("a sentence")
        monkeypatch.setenv(cluster.CONFIG_VARIABLE, str(tmp_path / "config"))

        with pytest.raises(ProvingError, match="is no kubeconfig"):
            cluster.named(nowhere)

    def test_missing_rights_are_told(self, nowhere, monkeypatch, tmp_path):
        """Before anything is made."""
        (tmp_path / "config").write_text(json.dumps(kubeconfig(1)))
        monkeypatch.setenv(cluster.CONFIG_VARIABLE, str(tmp_path / "config"))
        monkeypatch.setattr(cluster.Api, "version", lambda _: "1.30.0")
        monkeypatch.setattr(cluster.Api, "missing_rights", lambda _: ["create namespaces"])

        with pytest.raises(CouldNotMeasure, match="you may not create namespaces"):
            cluster.named(nowhere)


class TestJoin:
    """The labs of a run have the cluster of its runner."""

    def test_what_is_told_can_be_joined(self, nowhere, tmp_path):
        """With the way for images."""
        told = cluster.Cluster(
            nowhere, kubeconfig(1), "here", "a test's", "1.20.2", IntoContainers(("c1",))
        )
        file = tmp_path / "cluster.json"
        file.write_text(json.dumps(told.to_join()))

        joined = cluster.join(nowhere, file)

        assert {"kubernetes": "1.20.2", "found": "a test's"} == joined.as_data()
        assert IntoContainers(("c1",)) == joined.loader
        assert "Kubernetes 1.20.2 · a test's" == str(joined)

    def test_the_runners_reason_is_passed_on(self, nowhere, monkeypatch, tmp_path):
        """No lab tries again what the runner has tried."""
        file = tmp_path / "cluster.json"
        file.write_text(json.dumps({"missing": "There is no cluster here."}))
        monkeypatch.setenv(cluster.RUN_VARIABLE, str(file))

        with pytest.raises(CouldNotMeasure, match=r"There is no cluster here\."):
            cluster.find(nowhere, "run")

    def test_a_run_that_is_over_is_told(self, nowhere, tmp_path):
        """With the cure."""
        with pytest.raises(CouldNotMeasure, match="Unset it"):
            cluster.join(nowhere, tmp_path / "gone.json")


class TestForRun:
    """The runner's cluster."""

    def test_a_run_that_needs_none_starts_none(self):
        """Not even an engine is asked for."""
        with cluster.for_run(lambda: pytest.fail("asked"), False):
            assert cluster.RUN_VARIABLE not in os.environ

    def test_a_run_without_cluster_goes_on(self, nowhere, asked, monkeypatch):
        """The labs are told why there is none, and the variable is gone afterwards."""
        awake = SimpleNamespace(dismiss=lambda: None)
        monkeypatch.setattr(cluster.watchdog, "start", lambda *_: awake)
        told = []

        with cluster.for_run(lambda: nowhere, True, told.append):
            with pytest.raises(CouldNotMeasure, match="no k3s"):
                cluster.find(nowhere, "run")
            assert ["k3s", "node"] == asked

        assert "There is no cluster here" in told[0]
        assert cluster.RUN_VARIABLE not in os.environ


class TestK3s:
    """K3s by testcontainers, as far as it goes without its image."""

    def test_a_registry_that_gives_none_is_told(self, nowhere, monkeypatch):
        """With the registry's reason."""
        monkeypatch.setattr(bases, "pull", lambda *_: "no such host")

        with pytest.raises(CouldNotMeasure, match=r"k3s.* is not to be had: no such host\."):
            cluster.k3s(nowhere, "run")

    def test_its_container_is_ours(self, nowhere, monkeypatch):
        """It carries the run's label, and publishes its API on an address of our choice."""
        monkeypatch.setattr(cluster, "point_testcontainers_at", lambda _: None)
        monkeypatch.setattr("testcontainers.core.container.DockerClient", SimpleNamespace)
        from testcontainers.community.k3s import K3SContainer

        monkeypatch.setattr(K3SContainer, "get_container_host_ip", lambda _: "192.0.2.1")

        container = cluster._k3s_container(nowhere, "run")

        assert leftovers.label("run") == container._kwargs["labels"]
        assert ("127.0.0.1", None) == container.ports["6443/tcp"]
        assert "--tls-san=127.0.0.1" in container._command

    def test_it_is_reached_where_it_is_published(self, nowhere, monkeypatch):
        """Its own kubeconfig has the address that testcontainers believes in."""
        config = kubeconfig(1)

        class Started:
            def start(self):
                return self

            def get_docker_client(self):
                return SimpleNamespace(port=lambda *_: 32768)

            def get_container_id(self):
                return "c1"

        monkeypatch.setattr(bases, "pull", lambda *_: "")
        monkeypatch.setattr(cluster, "_k3s_container", lambda *_: Started())
        monkeypatch.setattr(cluster, "_k3s_config", lambda _: config)
        monkeypatch.setattr(cluster.Api, "version", lambda _: "1.33.5+k3s1")

        found = cluster.k3s(nowhere, "run")

        assert "https://127.0.0.1:32768" == found.kubeconfig["clusters"][0]["cluster"]["server"]
        assert "K3s in a container, rancher/k3s" in found.found
        assert IntoContainers(("c1",)) == found.loader

    def test_one_that_does_not_start_is_removed(self, nowhere, monkeypatch):
        """And told, in a sentence."""
        stopped = []

        class Broken:
            def start(self):
                raise RuntimeError("no privileges")

            def stop(self):
                stopped.append(True)

        monkeypatch.setattr(bases, "pull", lambda *_: "")
        monkeypatch.setattr(cluster, "_k3s_container", lambda *_: Broken())

        with pytest.raises(CouldNotMeasure, match="K3s did not start: no privileges"):
            cluster.k3s(nowhere, "run")
        assert stopped


def test_control_groups_of_version_2_are_refused(nowhere, monkeypatch):
    """The node was never tried with them; the sentence says what else there is."""
    monkeypatch.setattr(Engine, "description", SimpleNamespace(cgroup="v2"))

    with pytest.raises(CouldNotMeasure, match=r"version 2\. Name a cluster of your own"):
        cluster.node(nowhere, "run")


class TestImages:
    """The ways into clusters."""

    @pytest.mark.parametrize(
        "loader",
        [IntoContainers(("a", "b")), SameEngine(), ByMinikube("m"), ByRegistry("r.example/x")],
    )
    def test_each_can_be_told(self, loader):
        """To the labs of a run."""
        assert loader == images_for_cluster.from_data(json.loads(json.dumps(loader.as_data())))

    def test_a_strange_cluster_needs_a_registry(self, nowhere, monkeypatch):
        """The sentence says how to name one."""
        monkeypatch.setattr("shutil.which", lambda _: None)

        with pytest.raises(CouldNotMeasure, match="PROVING_KUBE_IMAGES=registry"):
            images_for_cluster.of_named_cluster(nowhere, "production")

        monkeypatch.setenv(images_for_cluster.PUSH_TO, "registry.example/x")
        found = images_for_cluster.of_named_cluster(nowhere, "production")
        assert ByRegistry("registry.example/x") == found

    def test_docker_desktop_has_the_engines_images(self, nowhere):
        """They only get other names."""
        assert SameEngine() == images_for_cluster.of_named_cluster(nowhere, "docker-desktop")

    def test_a_kind_cluster_of_another_engine_is_told(self, nowhere, monkeypatch):
        """Its nodes are containers, and not here."""
        docker = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: []))
        monkeypatch.setattr(Engine, "docker", docker)

        with pytest.raises(CouldNotMeasure, match="kind-test has no node"):
            images_for_cluster.of_named_cluster(nowhere, "kind-test")

    def test_a_kind_cluster_is_loaded_into_its_nodes(self, nowhere, monkeypatch):
        """All of them, found by kind's own label."""
        filters = []
        nodes = [SimpleNamespace(id="n1"), SimpleNamespace(id="n2")]
        listed = SimpleNamespace(list=lambda **told: filters.append(told) or nodes)
        monkeypatch.setattr(Engine, "docker", SimpleNamespace(containers=listed))

        found = images_for_cluster.of_named_cluster(nowhere, "kind-test")

        assert IntoContainers(("n1", "n2")) == found
        assert "io.x-k8s.kind.cluster=test" == filters[0]["filters"]["label"]

    def test_an_image_that_comes_by_its_tag_alone_has_no_digest(self, nowhere):
        """Which is no failure of the claim that needs it."""
        found = cluster.Cluster(nowhere, kubeconfig(1), None, "a test's", "1.20.2", SameEngine())

        with pytest.raises(NotApplicable, match="by their tags alone"):
            found.by_digest("localhost/b6:1")

    def test_an_images_digest_is_read_from_containerds_list(self):
        """The one of its own line."""
        digest, other = (f"sha256:{digit * 64}" for digit in "ab")
        listed = (
            "REF                  TYPE   DIGEST    SIZE\n"
            f"localhost/b6:1-rc1   type   {other}   3.3 MiB\n"
            f"localhost/b6:1       type   {digest}   3.3 MiB linux/amd64 -\n"
        )

        assert digest == images_for_cluster.listed_digest(listed, "localhost/b6:1")
        with pytest.raises(CouldNotMeasure, match="no image by the name localhost/b6:2"):
            images_for_cluster.listed_digest(listed, "localhost/b6:2")

    @pytest.mark.parametrize(
        ("name", "repository"),
        [
            ("localhost/b6:1", "localhost/b6"),
            ("registry.example:5000/b6:1", "registry.example:5000/b6"),
            ("registry.example:5000/b6", "registry.example:5000/b6"),
            ("b6", "b6"),
        ],
    )
    def test_a_name_without_its_tag(self, name, repository):
        """The port of a registry is no tag."""
        assert repository == images_for_cluster.repository(name)


@pytest.fixture
def node_image() -> str:
    """The image of the node: made before anybody counts what the engine holds."""
    from proving import engine

    return kubernetes_image.ready(engine.find())


@pytest.fixture
def real(node_image, nothing_left):
    """A real engine, which has in the end what it had before."""
    from proving import engine

    return engine.find()


@pytest.mark.engine
class TestNode:
    """A node of ours, on a real engine."""

    def test_it_is_ready_and_leaves_nothing(self, real):
        """No setting, mount, packet filter rule, cgroup or interface of the host's changes."""
        before, run = host(), "cluster-test"
        try:
            found = cluster.node(real, run, lambda _: None)
            with found.namespace(run) as namespace:
                assert namespace.name.startswith("proving-")
            assert 1 == len(found.api.ask("GET", "/api/v1/nodes")["items"])
        finally:
            leftovers.remove(real.docker, run)

        assert before == host()

    def test_it_stops_when_it_is_told_to(self, real, node_image):
        """Well within a grace period, by itself."""
        run = "cluster-stop"
        try:
            stop = cluster.node_container(real, node_image, run).start().stop_gracefully(20)
        finally:
            leftovers.remove(real.docker, run)

        assert not stop.killed
        assert 0 == stop.exit_status
        assert stop.seconds < 10


def host() -> dict[str, str]:
    """Return what a node must not change of the machine."""
    commands = {
        "settings": "sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops "
        "net.ipv4.ip_forward",
        "rules": "iptables-save 2>/dev/null | grep -E 'KUBE|10\\.244\\.'",
        "mounts": "grep -E 'kubelet|containerd/io.containerd.grpc' /proc/mounts | wc -l",
        "groups": "find /sys/fs/cgroup -name kubepods 2>/dev/null | wc -l",
        "interfaces": "ip -o link 2>/dev/null | grep -cE 'cni0'",
    }
    return {
        name: subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=False
        ).stdout
        for name, command in commands.items()
    }
