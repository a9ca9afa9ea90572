"""What labs say to a cluster, tried on a small API server of the tests'."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubeconfigs import kubeconfig
from proving import kube
from proving.container import LIST_PROCESSES, Process
from proving.errors import CouldNotMeasure, ProvingError
from proving.kube import Api, Namespace, NotFound, NotStarted, Refused

PODS = "/api/v1/namespaces/{}/pods"


class Cluster(BaseHTTPRequestHandler):
    """An API server that answers what a test has told it, and keeps what it was asked."""

    def log_message(self, *_):
        """Say nothing."""

    def answer(self):
        """Answer any method."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, self.path, body, self.headers["Content-Type"]))
        status, told = self.server.answers.get(
            (self.command, path), (200 if self.command != "GET" else 404, {"message": "none"})
        )
        content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = answer


@pytest.fixture
def server():
    """An API server."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    found.asked, found.answers = [], {}
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def api(server):
    """The server, as it is spoken to."""
    return Api.of(kubeconfig(server.server_port))


@pytest.fixture
def namespace(server, api):
    """A namespace that is there already."""
    found = Namespace(api, "run-1", lambda manifest: manifest.documents)
    server.answers["GET", f"/api/v1/namespaces/{found.name}/serviceaccounts/default"] = (200, {})
    with found:
        yield found


def pod(name="web", *, ready=True, owner=None, **more):
    """Return a pod as an API server tells it."""
    metadata = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", **more}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner}]
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [
            {
                "name": "web",
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "imageID": "sha256:1",
            },
            {"name": "helper", "restartCount": 0, "state": {"running": {}}, "imageID": "sha256:2"},
        ],
    }
    return {"metadata": metadata, "status": status}


def deployment(**status):
    """Return a Deployment of two replicas, rolled out unless told otherwise."""
    whole = {"observedGeneration": 3, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}
    return {
        "metadata": {"name": "web", "generation": 3},
        "spec": {"replicas": 2},
        "status": {**whole, **status},
    }


class TestApi:
    """Requests and their answers."""

    def test_the_version_is_told_without_its_letter(self, server, api):
        """As the manuals write it."""
        server.answers["GET", "/version"] = (200, {"gitVersion": "v1.20.2"})

        assert "1.20.2" == api.version()

    def test_a_refusal_is_the_servers_own_sentence(self, server, api):
        """With its status."""
        server.answers["POST", "/api/v1/namespaces"] = (403, {"message": "you may not"})

        with pytest.raises(Refused, match="with 403: you may not") as caught:
            api.ask("POST", "/api/v1/namespaces", {})

        assert 403 == caught.value.status

    def test_what_is_not_there_is_told(self, api):
        """By an error of its own."""
        with pytest.raises(NotFound, match="GET /nothing with 404"):
            api.ask("GET", "/nothing")

    def test_a_server_that_is_gone_is_told(self):
        """The sentence names its address; nothing is tried for long."""
        api = Api.of(kubeconfig(1))

        with pytest.raises(CouldNotMeasure, match=r"API server at http://127\.0\.0\.1:1 does not"):
            api.version()

    def test_a_context_that_is_not_there_is_told(self, server):
        """In a sentence."""
        with pytest.raises(ProvingError, match="names no cluster: .*elsewhere"):
            Api.of(kubeconfig(server.server_port), "elsewhere")

    def test_missing_rights_are_listed(self, server, api):
        """Each is asked for, as `kubectl auth can-i` does."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        server.answers["POST", path] = (201, {"status": {"allowed": False}})

        missing = api.missing_rights()

        assert "create namespaces" in missing
        assert "create pods/exec" in missing
        attributes = server.asked[-1][2]["spec"]["resourceAttributes"]
        assert {"group": "apps", "resource": "deployments"}.items() <= attributes.items()

    def test_the_namespaces_of_a_run_are_deleted(self, server, api):
        """By their label, and no others."""
        found = {"items": [{"metadata": {"name": "proving-1"}}]}
        server.answers["GET", "/api/v1/namespaces"] = (200, found)

        assert 1 == api.remove_namespaces("run-1")

        assert "labelSelector=proving-ground.run%3Drun-1" in server.asked[0][1]
        assert ("DELETE", "/api/v1/namespaces/proving-1") == server.asked[1][:2]


class TestNamespace:
    """What is done within one."""

    def test_it_is_labelled_and_deleted_in_the_end(self, server, api):
        """Also after an error."""
        found = Namespace(api, "run-1", lambda manifest: manifest.documents)
        path = f"/api/v1/namespaces/{found.name}"
        server.answers["GET", f"{path}/serviceaccounts/default"] = (200, {})

        with pytest.raises(RuntimeError), found:
            raise RuntimeError

        created = server.asked[0]
        assert {kube.RUN_LABEL: "run-1"} == created[2]["metadata"]["labels"]
        assert ("DELETE", path) == server.asked[-1][:2]

    def test_what_exists_is_patched(self, server, namespace):
        """By a strategic merge patch."""
        path = f"/api/v1/namespaces/{namespace.name}/configmaps"
        server.answers["POST", path] = (409, {"message": "exists"})
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}

        namespace.apply([document])

        method, asked, body, content = server.asked[-1]
        assert ("PATCH", f"{path}/settings", document) == (method, asked, body)
        assert "application/strategic-merge-patch+json" == content

    def test_the_first_pods_wait_for_the_accounts_token(self, server, namespace, monkeypatch):
        """A server before 1.24 refuses them until it has made it."""
        told = 'pods is forbidden: No API token found for service account "default", retry'
        pods = ("POST", PODS.format(namespace.name))
        server.answers[pods] = (500, {"message": told})
        monkeypatch.setattr("time.sleep", lambda _: server.answers.pop(pods))
        namespace.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}])

        assert 2 == sum((method, path) == pods for method, path, *_ in server.asked)

    def test_a_refused_manifest_is_told(self, server, namespace):
        """In the server's own words."""
        path = f"/api/v1/namespaces/{namespace.name}/pods"
        server.answers["POST", path] = (422, {"message": "spec.containers: Required value"})

        with pytest.raises(Refused, match="Required value"):
            namespace.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}])

    def test_it_waits_for_pods_and_tells_their_states(self, server, namespace):
        """Where they do not become Ready."""
        base = f"/api/v1/namespaces/{namespace.name}"
        server.answers["GET", f"{base}/pods"] = (200, {"items": [pod(ready=False)]})
        path = f"/apis/apps/v1/namespaces/{namespace.name}/deployments"
        server.answers["GET", path] = (200, {"items": []})

        with pytest.raises(CouldNotMeasure, match="CrashLoopBackOff: back-off 10s.*2 times"):
            namespace.wait_ready(0.3)

        server.answers["GET", f"{base}/pods"] = (200, {"items": [pod(), pod("x", owner="Job")]})
        namespace.wait_ready(1)

    def test_the_youngest_pod_that_stays_is_told(self, server, namespace):
        """Not one that is terminating."""
        pods = [
            pod("old"),
            pod("new", creationTimestamp="2026-01-01T00:00:05Z"),
            pod("leaving", creationTimestamp="2026-01-01T00:00:09Z", deletionTimestamp="now"),
        ]
        path = PODS.format(namespace.name)
        server.answers["GET", path] = (200, {"items": pods})

        assert "new" == namespace.pod_of("web")["metadata"]["name"]
        assert "labelSelector=app%3Dweb" in server.asked[-1][1]

    def test_endpoints_are_those_that_are_ready(self, server, namespace):
        """A Service that has none yet has none."""
        assert () == namespace.endpoints("web")

        subset = {"addresses": [{"ip": "10.0.0.2"}], "notReadyAddresses": [{"ip": "10.0.0.3"}]}
        path = f"/api/v1/namespaces/{namespace.name}/endpoints/web"
        server.answers["GET", path] = (200, {"subsets": [subset]})

        assert ("10.0.0.2",) == namespace.endpoints("web")

    def test_logs_are_text_also_where_they_are_json(self, server, namespace):
        """A log that happens to be JSON stays a log."""
        path = f"{PODS.format(namespace.name)}/web/log"
        server.answers["GET", path] = (200, "first\nsecond\n")

        assert "first\nsecond\n" == namespace.logs("web", "web", previous=True)
        assert "container=web&previous=true" in server.asked[-1][1]

    def test_an_unknown_kind_is_refused(self, namespace):
        """The sentence lists those there are."""
        with pytest.raises(ProvingError, match="no kind 'pod' here; use one of configmaps"):
            namespace.get("pod", "web")

    def test_a_pod_that_runs_nothing_cannot_run_a_command(self, namespace):
        """The sentence has the command and the pod."""
        with pytest.raises(CouldNotMeasure, match="`true` was not run in the pod web"):
            namespace.exec("web", ["true"])

    def test_what_happens_to_a_pod_is_told_from_a_version_on(self, server, namespace):
        """Each change, as the server streams it: one object on a line."""
        events = [{"type": kind, "object": pod()} for kind in ("MODIFIED", "DELETED")]
        path = PODS.format(namespace.name)
        server.answers["GET", path] = (200, "\n".join([*map(json.dumps, events), ""]))

        found = list(namespace.watch("pods", pod(resourceVersion="41"), 20))

        assert events == found
        assert "fieldSelector=metadata.name%3Dweb&resourceVersion=41" in server.asked[-1][1]
        assert "watch=true&timeoutSeconds=20" in server.asked[-1][1]

    def test_a_version_that_is_too_old_is_told(self, server, namespace):
        """By the server, among the events."""
        event = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
        path = PODS.format(namespace.name)
        server.answers["GET", path] = (200, f"{json.dumps(event)}\n")

        with pytest.raises(Refused, match="with 410: too old"):
            list(namespace.watch("pods", pod(resourceVersion="1"), 20))

    def test_a_watch_that_is_refused_is_told(self, server, namespace):
        """In the server's own words."""
        path = PODS.format(namespace.name)
        server.answers["GET", path] = (403, {"message": "you may not"})

        with pytest.raises(Refused, match="you may not"):
            list(namespace.watch("pods", pod(resourceVersion="1"), 20))


def test_events_are_read_however_they_are_cut():
    """A chunk may end within one."""
    assert [{"a": 1}, {"b": 2}] == list(kube._lines([b'{"a"', b': 1}\n{"b": 2}', b"\n", b"{"]))


EXIT_CODE = {"causes": [{"reason": "ExitCode", "message": "3"}]}
FAILED = {"status": "Failure", "reason": "InternalError", "message": 'exec: "sh": not found'}


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "reason": "NonZeroExitCode", "details": EXIT_CODE}, 3),
        ("", None),
    ],
)
def test_a_commands_end_is_told_by_a_status_of_the_api(told, status):
    """Where it has not ended, nothing is told."""
    assert status == kube.exit_status(json.dumps(told) if told else "", "true", "web")


@pytest.mark.parametrize("details", [{}, {"causes": [{"message": "exec failed"}]}])
def test_a_command_that_was_not_started_has_no_exit_status(details):
    """What the node's runtime says of it is kept."""
    with pytest.raises(NotStarted, match="`sh` was not started in the pod web") as caught:
        kube.exit_status(json.dumps({**FAILED, "details": details}), "sh", "web")

    assert FAILED["message"] == caught.value.told


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (deployment(), True),
        (deployment(observedGeneration=2), False),
        (deployment(updatedReplicas=1), False),
        (deployment(replicas=3), False),
        (deployment(availableReplicas=1), False),
    ],
)
def test_a_roll_out_has_an_end(told, expected):
    """As `kubectl rollout status` understands it: no old replica is left."""
    assert expected is kube.rolled_out(told)


def test_a_pods_containers_are_told_one_by_one():
    """By their names; the first unless one is named."""
    told = pod()

    assert (2, 0) == (kube.restarts(told), kube.restarts(told, "helper"))
    assert not kube.running(told)
    assert kube.running(told, "helper")
    assert not kube.running(told, "nobody")
    assert {"web": "sha256:1", "helper": "sha256:2"} == kube.image_ids(told)
    with pytest.raises(CouldNotMeasure, match="nothing of its container nobody"):
        kube.restarts(told, "nobody")


def test_a_kind_that_not_all_servers_have_is_refused():
    """The sentence tells those that labs use."""
    with pytest.raises(ProvingError, match=r"may not have a Ingress of networking\.k8s\.io/v1"):
        kube.resource({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"})


def test_the_shell_that_lists_processes_is_not_one_of_them():
    """Where a pod's containers share their processes, several have a parent outside."""
    shell = f"sh -c {LIST_PROCESSES.replace(chr(10), ' ')}"
    there = [Process(1, 0, "S", "pause", "/pause"), Process(7, 0, "S", "python", "python app.py")]
    lister = [
        Process(59, 0, "R", "sh", shell),
        Process(60, 59, "R", "sh", shell),
        Process(61, 60, "Z", "tr", ""),
    ]

    assert tuple(there) == kube.without_lister([*there, *lister])
