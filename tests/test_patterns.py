"""What chapter 7 reads of pods, of metrics and of settings, without a cluster."""

import json
import runpy
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from proving import patterns
from proving.container import Process
from proving.errors import CouldNotMeasure
from proving.manifests import MANIFESTS, dockerfile_of, read
from proving.paths import LABS

JSON = '{"requests": {"answered": 12, "not_found": 0}, "up": {"seconds": 3.5}}'
STUB_STATUS = (  # nginx ends three of its lines with a space
    "Active connections: 291 \n"
    "server accepts handled requests\n"
    " 16630948 16630948 31070465 \n"
    "Reading: 6 Writing: 179 Waiting: 106 \n"
)
ADAPTER = LABS / "images" / "K4" / "adapter" / "adapter.py"


def pod(*containers, name="web", annotations=None, **status):
    """Return a pod as `kubectl get -o json` prints it; a container is its name, or a mapping."""
    listed = [{"name": one} if isinstance(one, str) else one for one in containers]
    metadata = {
        "name": name,
        "annotations": annotations or {},
        "creationTimestamp": "2026-11-25T10:00:00Z",
    }
    return {"metadata": metadata, "spec": {"containers": listed}, "status": status}


def running(*containers):
    """Return the statuses of containers that run."""
    return [{"name": name, "state": {"running": {}}, "restartCount": 0} for name in containers]


class TestSettings:
    """What a manifest tells a container, and what differs between two of them."""

    APP = {  # noqa: RUF012 - it is never changed
        "name": "app",
        "image": "localhost/k3/bad:1",
        "args": ["--verbose"],
        "env": [
            {"name": "STORES", "value": "http://store:7000"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}},
        ],
        "ports": [{"containerPort": 8000}],
        "volumeMounts": [
            {"name": "site", "mountPath": "/srv"},
            {
                "name": "kube-api-access-x7",
                "mountPath": f"{patterns._ACCOUNT_MOUNT}/serviceaccount",
            },
        ],
    }

    def test_each_setting_has_a_name(self):
        """The account that each pod is given under a name of its own is no setting."""
        found = patterns.settings_of(pod(self.APP, "other"), ["app"])

        assert {
            "app.image": "localhost/k3/bad:1",
            "app.args": ["--verbose"],
            "app.env STORES": "http://store:7000",
            "app.env TOKEN": {"secretKeyRef": {"name": "token", "key": "token"}},
            "app.port 8000": True,
            "app.mount /srv": "site",
        } == found

    def test_what_differs_is_named(self):
        """A value that is another one, and a setting that is only on one side."""
        one = {"app.image": "a", "app.env STORES": "one", "app.env DEBUG": "1"}
        other = {"app.image": "a", "app.env STORES": "one two"}

        assert ("app.env DEBUG", "app.env STORES") == patterns.differing(one, other)


class TestPods:
    """What is read of a pod."""

    def test_a_container_is_found_in_whatever_pod_it_is(self):
        """Bad and good arms have it in pods of other names."""
        pods = [pod("web", name="one"), pod("writer", "other", name="two")]

        assert "two" == patterns.name_of(patterns.pod_with(pods, "writer"))
        with pytest.raises(CouldNotMeasure, match="name clock"):
            patterns.pod_with(pods, "clock")

    def test_a_pod_without_an_address_cannot_be_asked(self):
        """It has none before its network is made."""
        assert "10.0.0.7" == patterns.address_of(pod("web", podIP="10.0.0.7"))
        with pytest.raises(CouldNotMeasure, match="no address"):
            patterns.address_of(pod("web"))

    def test_only_what_runs_counts(self):
        """A pod whose container has ended is not among them, nor one without the container."""
        there = pod("app", "web", containerStatuses=running("app", "web"))
        half = pod("app", "web", containerStatuses=running("web"))

        assert 1 == patterns.running_in([there, half, pod("db")], "app")
        assert 2 == patterns.running_in([there, half, pod("db")], "web")

    def test_a_moment_has_the_state_of_each_container(self):
        """What is drawn of a pod; the oldest comes first."""
        new = pod("app", name="new", containerStatuses=running("app"))
        new["metadata"]["creationTimestamp"] = "2026-11-25T10:00:09Z"

        assert {
            "after": "the end",
            "pods": [[["app", False, 1], ["web", True, 0]], [["app", True, 0]]],
        } == patterns.moment("the end", [new, shop("terminated", 1)])

    @pytest.mark.parametrize(
        "told", ["sha256:0123456789abcdef", "docker.io/some/image@sha256:0123456789abcdef"]
    )
    def test_a_digest_is_shortened_whatever_stands_before_it(self, told):
        """Container runtimes name an image by its configuration, or by a name with a digest."""
        assert "0123456789ab" == patterns.short(told)

    def test_annotations_tell_where_metrics_are(self):
        """Port and path, at the pod's own address."""
        told = {"prometheus.io/port": "9000", "prometheus.io/path": "/metrics"}
        found = patterns.scrape_address(pod("app", annotations=told, podIP="10.0.0.7"))

        assert "http://10.0.0.7:9000/metrics" == found
        with pytest.raises(CouldNotMeasure, match=r"prometheus\.io/port"):
            patterns.scrape_address(pod("app", podIP="10.0.0.7"))


class TestMetrics:
    """What applications tell of themselves, and what a parser makes of it."""

    def test_numbers_are_counted_in_any_form(self):
        """Digits in a name are none."""
        assert ("12", "0", "3.5") == patterns.own_numbers(JSON)
        assert 7 == len(patterns.own_numbers(STUB_STATUS))
        assert () == patterns.own_numbers("http2 v1.2.3 x86_64")

    @pytest.mark.parametrize("text", [JSON, STUB_STATUS, f"requests 1\n{JSON}\n"])
    def test_one_bad_line_leaves_no_sample(self, text):
        """Prometheus takes a scrape as a whole or not at all."""
        assert {} == patterns.samples(text)

    def test_samples_have_names_labels_and_values(self):
        """Comments are none."""
        text = '# TYPE a_total counter\na_total{code="200"} 4\nb 0.5\n'

        assert {"a_total[('code', '200')]": 4.0, "b": 0.5} == patterns.samples(text)

    @pytest.mark.parametrize(
        ("form", "own", "name", "value"),
        [
            ("json", JSON, "app_requests_answered", 12.0),
            ("stub_status", STUB_STATUS, "nginx_requests_total", 31070465.0),
        ],
    )
    def test_the_adapter_translates_every_number(self, monkeypatch, form, own, name, value):
        """None is lost and none is made up."""
        monkeypatch.setenv("SOURCE", "http://localhost:8080/status")
        monkeypatch.setenv("FORM", form)
        translated = of_image(monkeypatch, ADAPTER, "translated", own)
        found = patterns.samples(translated())

        assert len(patterns.own_numbers(own)) == len(found)
        assert value == found[name]

    def test_the_adapter_takes_no_other_page_for_stub_status(self, monkeypatch):
        """A page of the site is not translated into numbers."""
        monkeypatch.setenv("SOURCE", "http://localhost:8080/")
        monkeypatch.setenv("FORM", "stub_status")
        translated = of_image(monkeypatch, ADAPTER, "translated", "hello 2026\n")

        with pytest.raises(ValueError, match="no stub_status"):
            translated()


def of_image(monkeypatch, program: Path, function: str, page: str):
    """Return a function of a server that is never started, with a page that answers it."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    silent = SimpleNamespace(serve_forever=lambda: None)
    monkeypatch.setattr("http.server.ThreadingHTTPServer", lambda *_: silent)
    answer = SimpleNamespace(read=page.encode)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: nullcontext(answer))
    return runpy.run_path(str(program))[function]


class Deleting:
    """A namespace whose pods are these, one list after the other."""

    def __init__(self, *lists) -> None:
        self.lists = list(lists)

    def pods(self):
        return self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]

    def until(self, reached, *_):
        while not reached():
            pass


class Watched:
    """A namespace in which time passes by itself: each question sees the next of these pods."""

    def __init__(self, *pods) -> None:
        self.pods = list(pods)

    def get(self, kind, name):
        assert ("pods", "shop") == (kind, name)
        return self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]

    def until(self, reached, *_):
        while not (found := reached()):
            pass
        return found


def shop(state, restarts):
    """Return the pod of K5 with its application in a state."""
    status = {"name": "app", "state": {state: {}}, "restartCount": restarts}
    return pod("app", "web", name="shop", containerStatuses=[status, *running("web")])


class TestRestarts:
    """Whether what has ended was started again."""

    def test_a_restart_ends_the_watch(self):
        """A container that still runs has not ended yet."""
        again = shop("running", 1)
        ns = Watched(shop("running", 0), shop("terminated", 0), shop("waiting", 0), again)

        assert again is patterns._watched(ns, "shop", "app", 60.0)

    def test_what_is_gone_for_a_while_was_not_restarted(self):
        """The watch is bounded."""
        gone = shop("terminated", 0)

        assert gone is patterns._watched(Watched(shop("running", 0), gone), "shop", "app", 0.01)


class TestReplacement:
    """Which pods are there after one was deleted."""

    OLD, NEW = (
        pod("app", name=name, conditions=[{"type": "Ready", "status": "True"}])
        for name in ("old", "new")
    )
    GOING = {**OLD, "metadata": {**OLD["metadata"], "deletionTimestamp": "now"}}  # noqa: RUF012

    def test_a_pod_that_takes_its_place_is_given_the_time_to_get_ready(self):
        """It is there long before it runs."""
        early = {**self.NEW, "status": {}}
        ns = Deleting([self.GOING], [self.GOING, early], [early], [self.NEW])

        assert [self.NEW] == patterns._pods_after(ns, 1)

    def test_nobody_replaces_a_bare_pod(self, monkeypatch):
        """The wait for it is bounded."""
        monkeypatch.setattr(patterns, "_REPLACED_SECONDS", 0.01)

        assert [] == patterns._pods_after(Deleting([self.GOING], []), 1)


class TestAnswers:
    """What is asked within a pod."""

    def test_answers_come_as_they_were_printed(self):
        """A status of none, where nothing answered."""
        found = patterns.parse_answers(json.dumps([[200, "hello"], [0, "refused"]]))

        assert (patterns.Answer(200, "hello"), patterns.Answer(0, "refused")) == found

    def test_python_that_fails_is_told(self):
        """An image without it, or a container that has ended."""
        failed = SimpleNamespace(status=126, output="", errors="python: not found")
        ns = SimpleNamespace(exec=lambda *_: failed)

        with pytest.raises(CouldNotMeasure, match="python: not found"):
            patterns.ask(ns, "web", "nginx", "http://localhost/")

    def test_the_question_is_a_program(self, capsys, monkeypatch):
        """It asks a server that is not there, and says so."""
        monkeypatch.setattr(sys, "argv", ["-c", "0", "http://127.0.0.1:1/"])
        exec(patterns._ASK, {})  # noqa: S102 - as `python -c` does

        (answer,) = patterns.parse_answers(capsys.readouterr().out)
        assert 0 == answer.status


def test_the_images_that_are_loaded_together_install_nothing():
    """So that a claim which needs no packages can be proved without any."""
    named = {image for file in MANIFESTS.glob("K*/*.yaml") for image in read(file).images}

    assert set(patterns.IMAGES) <= named
    for image in patterns.IMAGES:
        assert "RUN" not in (LABS / "images" / dockerfile_of(image)).read_text(encoding="utf-8")
    for image in named - set(patterns.IMAGES):
        assert "RUN" in (LABS / "images" / dockerfile_of(image)).read_text(encoding="utf-8")


class TestHelpers:
    """Which images a helper runs from."""

    def test_images_count_once(self):
        """However many pods run it, and however the image was named."""
        pods = {
            app: pod(
                "web",
                "sync",
                name=app,
                containerStatuses=[
                    {"name": "web", "imageID": f"sha256:{number}"},
                    {"name": "sync", "imageID": "sha256:9"},
                ],
            )
            for number, app in enumerate(patterns.SITES.values())
        }
        helping = Process(1, 0, "S", "python", "python /app/sync.py")
        ns = SimpleNamespace(
            pod_of=pods.__getitem__,
            processes=lambda _, container: [helping] if container == "sync" else [],
        )

        assert {
            "nginx_image": "0",
            "python_image": "1",
            "images_with_helper": 1,
        } == patterns.helped(ns)
