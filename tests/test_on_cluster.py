"""What chapter 1 reads of a cluster, without one: who is told apart, waited for and given up."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import yaml
from proving import claims, on_cluster
from proving.errors import CouldNotMeasure
from proving.kube import Refused
from proving.paths import LABS
from proving.probes import Request

MANIFESTS = LABS / "manifests"

REFUSED = {
    "waiting": {
        "reason": "CreateContainerConfigError",
        "message": 'container has runAsNonRoot and image will run as root (pod: "web_x(1f)")',
    }
}
ENDED = {"terminated": {"reason": "Error", "exitCode": 1}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


def pod(name="web", state=None, *, ready=False, image="sha256:1", last=None, restarts=0, begun=""):
    """Return a pod as `kubectl get -o json` prints it."""
    status = {
        "name": "web",
        "state": state or {"running": {}},
        "lastState": last or {},
        "imageID": image,
        "containerID": begun,
        "restartCount": restarts,
    }
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 8080}]}]},
        "status": {
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": f"{ready}"}],
            "containerStatuses": [status],
        },
    }


class Namespace:
    """A namespace that is played: one pod after the other is found, and commands are answered."""

    def __init__(self, *found, outputs=(), log="", previous=""):
        self.found, self.outputs = list(found), list(outputs)
        self.log, self.previous, self.done = log, previous, []

    def _next(self):
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def get(self, _kind, name):
        return pod(name, ready=True) if name == on_cluster.CALLER else self._next()

    def pod_of(self, app):
        return next(one for one in self.found if one["metadata"]["name"] == app)

    def pods(self, _app=""):
        return self.found

    def logs(self, _pod, _container, *, previous):
        told = self.previous if previous else self.log
        if isinstance(told, Exception):
            raise told
        return told

    def exec(self, pod, command, _container):
        self.done.append((pod, command))
        output = self.outputs.pop(0)
        if isinstance(output, Exception):
            raise output
        return SimpleNamespace(status=0, output=output, errors="")

    def patch(self, kind, name, body):
        self.done.append((kind, name, body))

    def until(self, reached, _seconds, what):
        for _ in range(1000):
            if found := reached():
                return found
        pytest.fail(f"{what} was waited for")


def answered(body="", status=200):
    """Return what a pod that asks prints."""
    return json.dumps([[status, body]])


def greetings(*names):
    """Return the pages of the three environments."""
    return [f"Hello from {name}: release 1\n" for name in names]


class TestPromotion:
    """Q2K."""

    def test_images_are_told_apart_by_what_runs(self):
        """The names of images say nothing."""
        pods = [pod(name, image=f"sha256:{name}") for name in on_cluster.ENVIRONMENTS]
        found = on_cluster.promoted(Namespace(*pods, outputs=greetings("dev", "staging", "prod")))

        assert (3, False, 3) == tuple(
            found[name] for name in ("images", "tested_is_shipped", "own_greetings")
        )
        assert ("staging", "prod") == (found["staging_image"], found["prod_image"])

    def test_one_image_that_greets_wrongly_is_seen(self):
        """Each environment has to have its own settings."""
        pods = [pod(name) for name in on_cluster.ENVIRONMENTS]
        found = on_cluster.promoted(Namespace(*pods, outputs=greetings("dev", "dev", "prod")))

        assert (1, True, 2) == tuple(
            found[name] for name in ("images", "tested_is_shipped", "own_greetings")
        )

    def test_an_environment_that_does_not_answer_is_told(self):
        """Without its greeting nothing is known."""
        silent = Namespace(*(pod(name) for name in on_cluster.ENVIRONMENTS))
        silent.exec = lambda *_: SimpleNamespace(status=1, output="", errors="refused\n")

        with pytest.raises(CouldNotMeasure, match="guestbook dev does not answer: refused"):
            on_cluster.promoted(silent)


class TestLimits:
    """Q8K."""

    def test_a_pod_that_is_ready_has_no_trouble(self):
        """And it answers."""
        making = pod(state={"waiting": {"reason": "ContainerCreating"}})
        namespace = Namespace(making, pod(ready=True, begun="c1"), outputs=[answered("hello")])

        assert {
            "ready": True,
            "answers": True,
            "started": True,
            "reason": "none",
            "told": "nothing",
        } == on_cluster.under_limits(namespace, watch_seconds=60)

    def test_kubelet_says_why_a_container_is_not_made(self):
        """In its own words, without the pod's number."""
        namespace = Namespace(pod(state=REFUSED), outputs=[answered("refused", 0)])

        assert {
            "ready": False,
            "answers": False,
            "started": False,
            "reason": "CreateContainerConfigError",
            "told": "container has runAsNonRoot and image will run as root",
        } == on_cluster.under_limits(namespace, watch_seconds=0)

    def test_a_container_that_ends_says_why_in_its_log(self):
        """The first end counts, and a later back-off does not hide it."""
        states = [pod(state=ENDED, begun="c1"), pod(state=BACK_OFF, last=ENDED, begun="c1")]
        log = "first\n2026/11/28 08:31:50 [emerg] 1#1: mkdir() failed (30: Read-only)\n"
        namespace = Namespace(
            *states, outputs=[answered("", 0)], log=Refused("starting", 400), previous=log
        )

        found = on_cluster.under_limits(namespace, watch_seconds=0)

        assert (True, "Error, exit status 1", "[emerg] 1#1: mkdir() failed (30: Read-only)") == (
            found["started"],
            found["reason"],
            found["told"],
        )

    def test_a_pod_that_recovers_is_ready(self):
        """A trouble that passes within the time is none."""
        namespace = Namespace(
            pod(state=REFUSED), pod(ready=True, begun="c1"), outputs=[answered("hello")]
        )
        found = on_cluster.under_limits(namespace, watch_seconds=60)

        assert (True, "none") == (found["ready"], found["reason"])

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            (pod(), None),
            (pod(state={"waiting": {"reason": "PodInitializing"}}), None),
            ({"metadata": {"name": "web"}, "status": {}}, None),
            (pod(state=BACK_OFF), ("CrashLoopBackOff", "back-off 10s")),
        ],
    )
    def test_a_pod_that_is_being_made_has_no_trouble_yet(self, found, expected):
        """One that waits for anything else has."""
        assert expected == on_cluster.trouble(found)


class TestUse:
    """Q7."""

    def test_settings_are_followed_or_not_by_each_pod(self):
        """The slowest counts, and one that does not follow is enough."""
        pods = [pod("a"), pod("b")]

        quick = Namespace(*pods, outputs=["[true, 0.4]", "[true, 0.7]"])
        assert (True, 0.7) == on_cluster._changed(quick, 10)
        assert ("configmaps", "web", {"data": {"greeting": "Good evening"}}) == quick.done[0]
        slow = Namespace(*pods, outputs=["[true, 0.4]", "[false, 10.1]"])
        assert (False, 10.1) == on_cluster._changed(slow, 10)

    def test_a_restart_hides_what_was_read_at_the_start(self):
        """It is no measurement."""
        restarted = Namespace(pod("a", restarts=1), outputs=["[true, 0.4]"])

        with pytest.raises(CouldNotMeasure, match="has read its settings anew"):
            on_cluster._changed(restarted, 10)

    def test_a_pod_is_asked_again_until_it_is_shown_the_file(self):
        """Each time it is changed, so that kubelet looks at it; a failed try is none."""
        failed = CouldNotMeasure("not run")
        namespace = Namespace(pod("a"), outputs=["null", failed, "[true, 0.1]"])

        assert (True, 0.1) == on_cluster._follows(namespace, "a", bound_seconds=10)
        assert 3 == sum(one[0] == "pods" for one in namespace.done)

    def test_a_pod_that_is_never_shown_the_file_is_told(self, monkeypatch):
        """With the last try."""
        monkeypatch.setattr(on_cluster, "SHOWN_SECONDS", 0.0)

        with pytest.raises(CouldNotMeasure, match="pod a is not shown its new settings"):
            on_cluster._follows(Namespace(pod("a")), "a", bound_seconds=10)

    def test_only_the_pod_that_hung_counts_as_one_that_answers_again(self):
        """The others answer all the time; one that was under way is no sign of life."""

        def asked(began, ended, name, cause=""):
            return Request("/", began, ended, 0 if cause else 200, name, cause)

        hung = Request("/hang", 10.0, 10.1, 200, "a", "")
        requests = [
            asked(10.0, 10.2, "a"),
            asked(11.0, 11.1, "b"),
            asked(12.0, 20.0, "", "no answer in time"),
        ]

        assert {"answers_again": False, "hung_seconds": 1.9, "hung_failed": 1} == (
            on_cluster.after_hang(requests, hung)
        )
        again = [*requests, asked(30.0, 30.1, "a")]
        assert {"answers_again": True, "hung_seconds": 20.0, "hung_failed": 1} == (
            on_cluster.after_hang(again, hung)
        )

    @pytest.mark.parametrize(
        ("served", "failed", "again", "expected"),
        [(True, 0, True, 0), (False, 0, True, 1), (True, 7, False, 2), (False, 1, False, 3)],
    )
    def test_faults_are_counted(self, served, failed, again, expected):
        """Each once, however many requests it took."""
        told = {"settings_served": served, "roll_out_failed": failed, "answers_again": again}

        assert expected == on_cluster.faults_in(told)


class TestManifests:
    """The arms differ in what their claim is about."""

    @staticmethod
    def containers(name):
        """Return the objects of a manifest, and apart from them the containers of its pods."""
        objects = list(yaml.safe_load_all((MANIFESTS / name).read_text("utf-8")))
        specs = [one["spec"].get("template", one)["spec"] for one in objects if has_pods(one)]
        return objects, [spec.pop("containers")[0] for spec in specs]

    def test_q7_runs_one_image_with_and_without_probes(self):
        """And an argument that the image knows."""
        bad, (one,) = self.containers("Q7/bad.yaml")
        good, (two,) = self.containers("Q7/good.yaml")

        assert bad == good
        assert one["image"] == two["image"]
        assert {"args", "livenessProbe", "readinessProbe"} == {
            key for key in {*one, *two} if one.get(key) != two.get(key)
        }

    def test_q7_says_in_its_row_what_the_run_goes_by(self):
        """The grace period is that of both manifests, and the bound is exceeded by the watching."""
        row = claims.get("Q7")
        (patience,) = (check for check in row.must if check.left == "bad.hung_seconds")

        for arm in ("bad", "good"):
            (deployment,) = (
                one
                for one in yaml.safe_load_all((MANIFESTS / f"Q7/{arm}.yaml").read_text("utf-8"))
                if one["kind"] == "Deployment"
            )
            spec = deployment["spec"]["template"]["spec"]
            assert row.settings["grace_seconds"] == spec["terminationGracePeriodSeconds"]
        assert patience.factor == on_cluster.WATCHED

    def test_q2k_has_three_images_or_one(self):
        """Only the good arm has settings."""
        _, bad = self.containers("Q2K/bad.yaml")
        _, good = self.containers("Q2K/good.yaml")

        assert (3, 1) == tuple(len({one["image"] for one in arm}) for arm in (bad, good))
        assert not any("envFrom" in one for one in bad)
        assert all("envFrom" in one for one in good)

    def test_q8k_sets_the_same_limits_in_each_arm(self):
        """But for the user of the third."""
        limits = {}
        for arm in ("bad", "good", "numbered"):
            _, (container,) = self.containers(f"Q8K/{arm}.yaml")
            limits[arm] = container["securityContext"]

        assert limits["bad"] == limits["good"]
        assert {**limits["bad"], "runAsUser": 10001} == limits["numbered"]


class TestWithinPods:
    """What is run in a container, run here."""

    @pytest.fixture
    def server(self, tmp_path):
        """Have a server that serves what a file has, or that always serves the same."""
        file, served = tmp_path / "greeting", {"/settings": "Good morning"}

        class Settings(BaseHTTPRequestHandler):
            def do_GET(self):
                body = served.get(self.path, "") or file.read_text()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_request(self, *_):
                pass

        file.write_text("Good morning")
        with ThreadingHTTPServer(("127.0.0.1", 0), Settings) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            yield SimpleNamespace(file=file, place=f"http://127.0.0.1:{running.server_port}")
            running.shutdown()

    @staticmethod
    def said(code, *arguments):
        """Run it, and return what it has written."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def test_settings_that_are_followed_are_told_with_the_seconds(self, server):
        """Those that are read once are told when the bound is over."""
        new = on_cluster.CHANGED_GREETING
        server.file.write_text(new)
        followed = (server.file, f"{server.place}/", new, 5, 5)
        read_once = (server.file, f"{server.place}/settings", new, 5, 0.2)

        served, seconds = json.loads(self.said(on_cluster._FOLLOWS, *followed))
        assert served
        assert seconds < 5
        served, seconds = json.loads(self.said(on_cluster._FOLLOWS, *read_once))
        assert not served
        assert seconds >= 0.2

    def test_a_file_that_does_not_change_is_told(self, server):
        """Nobody knows then whether it would have been followed."""
        said = self.said(on_cluster._FOLLOWS, server.file, server.place, "Good night", 0.1, 5)

        assert json.loads(said) is None

    def test_a_page_is_read(self, server):
        """As it is."""
        assert "Good morning\n" == self.said(on_cluster._GREETS, 1, f"{server.place}/")

    def test_nobody_there_is_an_error(self):
        """It was tried until the time was over."""
        with pytest.raises(subprocess.CalledProcessError) as caught:
            self.said(on_cluster._GREETS, 0, "http://127.0.0.1:1/")

        assert "refused" in caught.value.stderr


def has_pods(document):
    """Tell whether an object is a pod, or makes pods."""
    return document["kind"] in ("Pod", "Deployment")
