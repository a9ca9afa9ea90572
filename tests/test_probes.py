"""Pods under load, with a cluster that is played: what is counted, waited for and kept."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from proving import claims, pod_timeline, probes
from proving.errors import CouldNotMeasure
from proving.kube import NotFound, Refused
from proving.paths import LABS
from proving.probes import Load, Pod, Request, Sample, Trial, Watch

MANIFESTS = LABS / "manifests"


def request(began=0.0, cause="", *, path="/", ended=None, pod="a"):
    status = 200 if not cause else 0
    return Request(path, began, began + 0.1 if ended is None else ended, status, pod, cause)


def logged(*requests, sent=None):
    lines = [json.dumps(vars(one)) for one in requests]
    return "\n".join(["load on 10.0.0.1 80", *lines, *([json.dumps({"sent": sent})] * bool(sent))])


def manifest(name):
    """Read a manifest as the labs do."""
    file = MANIFESTS / name
    return SimpleNamespace(file=file, documents=tuple(yaml.safe_load_all(file.read_text("utf-8"))))


class Namespace:
    """A namespace that is played: its logs, its pods and its endpoints are given."""

    def __init__(self, *logs, pods=(), endpoints=(), phase="Running"):
        self.log, self.phase, self.found = list(logs), phase, list(pods)
        self.addresses, self.done = endpoints, []
        self.clock = f"{time.time():.9f}"

    def logs(self, _pod):
        log = self.log.pop(0) if len(self.log) > 1 else self.log[0]
        if isinstance(log, Exception):
            raise log
        return log

    def pods(self, _app):
        return self.found

    def endpoints(self, _service):
        return self.addresses

    def get(self, _kind, _name):
        return {"status": {"phase": self.phase}, "spec": {"replicas": len(self.found)}}

    def exec(self, _pod, command):
        self.done.append(command)
        return SimpleNamespace(status=0, output=f"{self.clock}\n", errors="")

    def apply(self, what):
        self.done.append(what)

    def patch(self, *what):
        self.done.append(what)

    def until(self, reached, _seconds, what):
        return reached() or pytest.fail(f"{what} was waited for")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often."""
    monkeypatch.setattr(probes, "SAMPLE_SECONDS", 0.01)


def pod(name="web-1", *, ready=True, ending=False, runs=True, restarts=0, release=None):
    metadata = {"name": name, **({"deletionTimestamp": "now"} if ending else {})}
    if release is not None:
        metadata["annotations"] = {"release": release}
    return {
        "metadata": metadata,
        "status": {
            "conditions": [{"type": "Ready", "status": f"{ready}"}],
            "containerStatuses": [
                {"restartCount": restarts, "state": {"running" if runs else "terminated": {}}}
            ],
        },
    }


class TestLoad:
    def test_failures_are_counted_by_their_cause(self):
        """The most frequent one first."""
        told = [request(), request(1, "cut"), request(2, "refused"), request(3, "refused")]

        assert {"sent": 4, "failed": 3, "causes": "refused: 2, cut: 1"} == probes.figures_of(told)

    def test_the_first_request_that_is_wanted_is_waited_for(self):
        """A pod that is not started yet has no log, which the API server tells by an error."""
        unknown, waiting = NotFound("pods/log load"), Refused("ContainerCreating", 400)
        load = Load(Namespace(unknown, waiting, logged(request(1, "cut")), logged(request(2))))

        assert 2 == load.first(lambda one: not one.failed, 5, "an answer").began

    def test_what_does_not_come_is_told_with_what_came(self):
        """Why there is no answer is in the causes."""
        load = Load(Namespace(logged(request(1, "refused"))))

        with pytest.raises(CouldNotMeasure, match="of 1 requests 1 failed: refused: 1"):
            load.first(lambda one: not one.failed, 0.05, "an answer")

    def test_enough_requests_are_waited_for(self):
        """Those before the moment do not count."""
        enough = logged(request(1), request(5), request(6))
        Load(Namespace(logged(request(1)), enough)).wait_for(2, since=5)

        with pytest.raises(CouldNotMeasure, match="1 requests are missing"):
            Load(Namespace(enough, phase="Succeeded")).wait_for(3, since=5)

    def test_a_log_that_lacks_a_line_is_no_record(self):
        """Every failed request is to be counted."""
        namespace = Namespace(logged(request(1), sent=2), phase="Succeeded")

        with pytest.raises(CouldNotMeasure, match="has sent 2 requests, and its log tells of 1"):
            Load(namespace).finish()
        assert ["sh", "-c", "kill -TERM 1"] == namespace.done[0]

    def test_a_load_that_broke_off_is_told(self):
        """With its last words."""
        with pytest.raises(CouldNotMeasure, match="broke off: boom"):
            Load(Namespace("boom", phase="Failed")).finish()

    def test_an_application_that_does_not_hang_when_it_is_told_is_no_measurement(self):
        """Its answer is the moment of the hang."""
        hung = request(3, path="/hang")
        assert hung == Load(Namespace(logged(request(2), hung))).hang()

        with pytest.raises(CouldNotMeasure, match="told to hang, and refused"):
            Load(Namespace(logged(request(3, "refused", path="/hang")))).hang()

    def test_clocks_that_cannot_be_told_apart_are_one(self):
        """Another machine's may be ahead, or behind."""
        here, there = Namespace(""), Namespace("")
        there.clock = f"{time.time() - 100:.9f}"

        here.exec = lambda *_: SimpleNamespace(status=0, output=f"{time.time()}", errors="")
        assert 0.0 == Load(here).clock()
        assert -100 == pytest.approx(Load(there).clock(), abs=5)

    def test_its_bounds_are_in_its_manifest(self):
        """It ends by itself, whatever becomes of the lab."""
        (container,) = Load(Namespace(""), TIMEOUT_SECONDS=2).manifest()["spec"]["containers"]
        told = {one["name"]: one["value"] for one in container["env"]}

        assert {"MOST_SECONDS", "MOST_REQUESTS", "RATE"} < set(told)
        assert "2" == told["TIMEOUT_SECONDS"]


class TestSamples:
    def test_a_pod_is_read_as_the_api_gives_it(self):
        """One that has just been made has neither conditions nor containers."""
        new = {"metadata": {"name": "new"}, "status": {}}

        assert Pod("new", "", False, False, 0) == Pod.of(new)
        assert Pod("web-1", "2", True, False, 3) == Pod.of(pod(restarts=3, release="2"))
        assert not Pod.of(pod(ending=True)).is_gone
        assert Pod.of(pod(ending=True, runs=False)).is_gone

    @pytest.mark.parametrize(
        ("pods", "expected"),
        [
            ([pod("a", release="1"), pod("b", release="1")], True),
            ([pod("a", release="1"), pod("b", release="1", ready=False)], False),
            ([pod("a", release="1"), pod("b", release="1"), pod("c", ending=True)], False),
            ([pod("a", release="1"), pod("b")], False),
        ],
    )
    def test_a_roll_out_is_over_when_the_old_pods_are_gone(self, pods, expected):
        """Those that are still ending may yet lose requests."""
        sample = Sample(0.0, tuple(Pod.of(one) for one in pods), 2)

        assert expected == sample.is_rolled_out("1", 2)

    def test_samples_are_taken_and_waited_for(self):
        """From the moment on at which somebody waits."""
        over = pod("over", ending=True, runs=False, restarts=5)
        namespace = Namespace("", pods=[pod(restarts=1), over], endpoints=("10.0.0.1",))
        with Watch(namespace) as watch:
            seen = watch.until(lambda sample: sample.endpoints == 1, 5, "an endpoint")
            with pytest.raises(CouldNotMeasure, match="not yet two endpoints"):
                watch.until(lambda sample: sample.endpoints == 2, 0.1, "two endpoints")

        assert (1, 1) == (len(seen.pods), seen.restarts)
        assert len(watch.finish()) >= 1

    def test_what_ends_the_samples_is_told_to_who_waits(self):
        """A thread's failure is nobody's otherwise."""
        namespace = Namespace("")
        namespace.pods = lambda _: (_ for _ in ()).throw(CouldNotMeasure("no API server"))
        with Watch(namespace) as watch, pytest.raises(CouldNotMeasure, match="no API server"):
            watch.until(lambda _: True, 5, "anything")

        with pytest.raises(CouldNotMeasure, match="no API server"):
            watch.finish()


class TestRecord:
    def test_samples_are_kept_where_they_differ_and_failures_all(self):
        """In seconds after the moment that counts, and each failure with its pod."""
        samples = [(9.0, (1, 1, 0)), (9.5, (1, 1, 0)), (11.0, (2, 1, 0)), (99.0, (0, 0, 0))]
        requests = [
            request(8.0),
            request(10.5, "status 503", pod="b"),
            request(10.2, "status 503", pod="b"),
            request(12.0, "refused", pod=""),
        ]

        assert {
            "start": -2.0,
            "end": 2.1,
            "sent": 4,
            "moments": [[0.0, "roll-out"]],
            "samples": [[-1.0, 1, 1, 0], [1.0, 2, 1, 0]],
            "failed": [
                {"cause": "status 503", "pod": "b", "at": [0.3, 0.6]},
                {"cause": "refused", "pod": "", "at": [2.1]},
            ],
        } == probes.timeline(samples, requests, [(10.0, "roll-out")], 10.0)


class TestManifests:
    def test_the_bound_is_in_the_manifest_that_has_a_probe(self):
        """In whichever place it stands; what is not written has its default."""
        good = manifest("H1/good.yaml")
        bare = {"httpGet": {"path": "/live", "port": 8080}}
        template = {"spec": {"containers": [{"name": "web", "livenessProbe": bare}]}}
        deployment = {"kind": "Deployment", "metadata": {"name": "web"}}
        defaults = SimpleNamespace(documents=({**deployment, "spec": {"template": template}},))

        assert 8.0 == probes.restart_seconds(manifest("H1/bad.yaml"), good)
        assert 8.0 == probes.restart_seconds(good, manifest("H1/bad.yaml"))
        assert 0 + 10 * 3 + 1 + 30 == probes.restart_seconds(defaults)
        with pytest.raises(CouldNotMeasure, match="no bound"):
            probes.restart_seconds(manifest("H1/bad.yaml"))
        with pytest.raises(CouldNotMeasure, match="has no Deployment web"):
            probes.restart_seconds(SimpleNamespace(file="x.yaml", documents=()))

    @pytest.mark.parametrize(
        ("claim_id", "differ"),
        [
            ("H1", {"livenessProbe"}),
            ("H2", {"readinessProbe"}),
            ("H3", {"livenessProbe"}),
            ("H4", {"startupProbe"}),
            ("H5", {"env", "lifecycle"}),
        ],
    )
    def test_arms_differ_in_what_their_claim_is_about(self, claim_id, differ):
        """And in nothing else."""
        bad, good = (manifest(f"{claim_id}/{arm}.yaml").documents for arm in ("bad", "good"))
        (one,), (two,) = (
            documents[0]["spec"]["template"]["spec"].pop("containers") for documents in (bad, good)
        )

        assert bad == good
        assert differ == {key for key in {*one, *two} if one.get(key) != two.get(key)}

    def test_a_pause_is_a_hook_before_the_stop(self):
        """Only a manifest without one may be rolled out until it loses something."""
        assert probes.pauses(manifest("H5/good.yaml"))
        assert not probes.pauses(manifest("H5/bad.yaml"))

    @pytest.mark.parametrize("file", sorted(MANIFESTS.glob("H*/*.yaml")), ids=str)
    def test_no_pod_is_replaced_before_another_one_is_there(self, file: Path):
        """Requests must not fail for want of pods."""
        web = manifest(file.relative_to(MANIFESTS)).documents[0]["spec"]

        assert {"maxUnavailable": 0, "maxSurge": 1} == web["strategy"]["rollingUpdate"]


class TestTrials:
    """The measurements, on a trial that is played."""

    @pytest.fixture
    def trial(self, monkeypatch):
        """Have every measurement get this trial."""
        namespace = Namespace("")
        trial = Trial(namespace, Load(namespace), Watch(namespace), 3)
        trial.requests, trial.applied_at = (), 99.0
        trial.answered = lambda *_: trial.requests[0]
        trial.steady = lambda: 100.0
        trial.now = lambda: 120.0
        trial.finish = lambda since: tuple(r for r in trial.requests if r.began >= since)
        trial.roll_out = trial.mark
        trial.load.requests = lambda: trial.requests
        trial.load.hang = lambda: request(101, path="/hang", ended=102.0)

        @contextmanager
        def under_load(*_arguments, **_environment):
            yield trial

        monkeypatch.setattr(probes, "under_load", under_load)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        return trial

    def watch(self, trial, *restarts):
        trial.watch.samples = [
            Sample(100.0 + at, (Pod("web", "", True, False, n),), 1)
            for at, n in enumerate(restarts)
        ]

    def test_a_hang_lasts_until_a_later_request_is_answered(self, trial):
        """One that was under way is no sign of life."""
        self.watch(trial, 0, 1)
        trial.requests = (
            request(100),
            request(101.9, ended=102.2),
            request(103, "no answer in time", ended=105),
            request(108, ended=108.5),
        )
        found = probes.hang(None, None, 7.0, 4)

        assert (6.5, True, 1) == tuple(found[k] for k in ("seconds", "answers_again", "restarts"))
        assert 8.1 == found["bound_seconds"]
        assert [[0.0, "hang"]] == found[probes.TIMELINE]["moments"]

    def test_a_hang_without_end_lasts_as_long_as_it_was_watched(self, trial):
        """To the last request that was begun."""
        self.watch(trial, 0)
        trial.requests = (request(100), request(130, "no answer in time"))
        found = probes.hang(None, None, 7.0, 4)

        assert (28, False) == (found["seconds"], found["answers_again"])

    def test_restarts_are_those_since_the_database_went(self, trial):
        """What was before is not its fault."""
        self.watch(trial, 2)
        trial.namespace.scale = lambda _, n: self.watch(trial, 5) if n == 0 else None
        trial.requests = (request(99, "refused"), request(101))
        found = probes.without_database(None, None, 12, 3)

        assert (3, 0, 1) == (found["restarts"], found["failed"], found["sent"])

    def test_restarts_count_up_to_the_first_answer(self, trial):
        """Or to the end of the time that it is watched."""
        self.watch(trial, 0, 1, 1, 2)
        trial.requests = (request(101.5, ended=102.5),)
        answered = probes.slow_start(None, None, 30, 3)

        def nothing(*_):
            raise CouldNotMeasure("no answer")

        trial.answered = nothing
        never = probes.slow_start(None, None, 30, 3)

        assert (1, True, 3.5) == tuple(answered[k] for k in ("restarts", "answers", "seconds"))
        assert (2, False, 21.0) == tuple(never[k] for k in ("restarts", "answers", "seconds"))

    def test_roll_outs_follow_one_another_until_one_has_lost_something(self, trial):
        """Up to a bound, and only where the manifest has no pause."""
        self.watch(trial, 0)
        trial.requests = (request(100), request(101))
        bad, good = manifest("H5/bad.yaml"), manifest("H5/good.yaml")

        assert 1 == probes.roll_outs(None, good, 3, seconds=20, at_most=4)["roll_outs"]
        with pytest.raises(
            CouldNotMeasure, match="4 roll-outs without a pause have lost no request"
        ):
            probes.roll_outs(None, bad, 3, seconds=20, at_most=4)
        trial.requests = (request(100), request(101, "refused"))
        assert 1 == probes.roll_outs(None, bad, 3, seconds=20, at_most=4)["roll_outs"]
        assert 4 == probes.roll_outs(None, bad, 3, seconds=21, at_most=4)["roll_outs"]


def test_every_claim_of_the_chapter_asks_for_a_thousand_requests():
    """In each arm."""
    for number in range(1, 6):
        claim = claims.get(f"H{number}")
        told = [check for check in claim.must if check.left.endswith(".sent")]

        assert claim.settings["requests"] >= 1000
        assert {"bad.sent", "good.sent"} == {check.left for check in told if check.precondition}


def test_the_measurement_and_the_figure_have_one_name_for_the_record():
    """One writes it, the other one reads it."""
    assert pod_timeline.KEY == probes.TIMELINE
