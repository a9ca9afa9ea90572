"""What chapter 8 reads of pods that have ConfigMaps and Secrets, without a cluster."""

import json
import runpy
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from proving import manifests, pod_settings
from proving.errors import CouldNotMeasure, ProvingError
from proving.leaks import Token
from proving.manifests import MANIFESTS, read
from proving.paths import LABS

IMAGES = LABS / "images"
MOUNTS = """\
overlay / overlay rw,relatime 0 0
tmpfs /run tmpfs rw 0 0
/dev/sda1 /run/tokens ext4 ro 0 0
tmpfs /run/token tmpfs ro,relatime 0 0
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Ask again at once."""
    monkeypatch.setattr("time.sleep", lambda _: None)


class TestAskedAgain:
    """A question that a busy node does not take."""

    def test_a_question_is_asked_until_it_is_taken(self):
        """The container was there all the time."""
        answers = [CouldNotMeasure("container not found"), CouldNotMeasure("again"), "web"]

        def ask():
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        assert "web" == pod_settings.asked_again(ask)

    def test_it_is_not_asked_for_ever(self):
        """What it was refused by is told."""

        def ask():
            raise CouldNotMeasure("container not found")

        with pytest.raises(CouldNotMeasure, match="container not found"):
            pod_settings.asked_again(ask, seconds=0)

    def test_a_command_that_fails_is_told(self):
        """With the end of what it says."""
        failed = SimpleNamespace(status=1, output="", errors="no such file\n")
        ns = SimpleNamespace(exec=lambda *_: failed)

        with pytest.raises(CouldNotMeasure, match="`cat /x` failed in the pod web: no such file"):
            pod_settings.output_of(ns, "web", ["cat", "/x"], "web", seconds=0)


class TestStages:
    """R4: three stages of a café."""

    def test_a_page_has_a_currency_and_a_menu(self):
        """The same that a ConfigMap should make."""
        found = pod_settings.Page.parse('prices in EUR\ntitle = "Menu"\ncake = 4\n')

        data = {"CURRENCY": "EUR", "menu.toml": 'title = "Menu"\ncake = 4\n'}
        assert pod_settings.Page.of(data) == found

    def test_no_answer_is_no_page_of_any_stage(self):
        """It is neither the old nor the new one."""
        assert pod_settings.Page("", "") == pod_settings.Page.parse("")

    def test_the_arms_differ_in_their_images_alone(self):
        """So what differs in the answers is due to those."""
        bad, good = (read(MANIFESTS / "R4" / f"{arm}.yaml") for arm in ("bad", "good"))
        names = dict.fromkeys(bad.images, *good.images)

        assert list(good.documents) == list(manifests.with_images(bad.documents, names))

    def test_the_bad_images_have_what_their_configmaps_say(self):
        """The settings of a stage were right when its image was built."""
        for document in read(MANIFESTS / "R4" / "bad.yaml").documents:
            if document["kind"] == "ConfigMap":
                stage = document["metadata"]["name"].removeprefix("cafe-")
                folder = IMAGES / "R4" / stage
                baked = f"CURRENCY = '{document['data']['CURRENCY']}'"
                assert baked in (folder / "Dockerfile").read_text()
                assert document["data"]["menu.toml"] == (folder / "menu.toml").read_text()


class TestToken:
    """R5K: where a token is found."""

    @pytest.mark.parametrize("arm", ["bad", "good", "variable", "configmap"])
    def test_the_token_takes_the_placeholders_place(self, arm):
        """Once, and nothing else changes; the file's own objects stay as they are."""
        manifest = read(MANIFESTS / "R5K" / f"{arm}.yaml")
        token = Token.random()

        filled = manifests.filled(manifest, {pod_settings.PLACEHOLDER: token.value})

        before, after = json.dumps(manifest.documents), json.dumps(filled.documents)
        assert 1 == before.count(pod_settings.PLACEHOLDER)
        assert before.replace(pod_settings.PLACEHOLDER, token.value) == after
        assert token.value not in json.dumps(manifest.documents)

    def test_objects_that_tell_a_text_are_named_by_their_kind(self):
        """In the order in which they were searched."""
        objects = {
            "deployments": [{"env": [{"value": "s3cret"}]}],
            "pods": [{"env": []}, {"args": ["--token=s3cret"]}],
            "secrets": [{"data": {"token": "czNjcmV0"}}],
        }

        assert ("deployments", "pods") == pod_settings.telling(objects, "s3cret")

    def test_a_secret_has_its_values_in_base64(self):
        """One without values has none, and neither has what is no base64."""
        secrets = [{"metadata": {}}, {"data": {"other": "%%%"}}, {"data": {"token": "czNjcmV0"}}]

        assert pod_settings.in_base64(secrets, "s3cret")
        assert not pod_settings.in_base64(secrets[:2], "s3cret")

    def test_a_variable_that_only_refers_has_no_value_of_its_own(self):
        """What it refers to is told elsewhere."""
        reference = {"secretKeyRef": {"name": "token", "key": "token"}}
        env = [{"name": "A", "value": "1"}, {"name": "TOKEN", "valueFrom": reference}]

        assert {"A": "1"} == pod_settings.variables({"spec": {"containers": [{"env": env}]}})
        assert {} == pod_settings.variables({"spec": {"containers": [{}]}})

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("/run/token/token", "tmpfs"),
            ("/run/tokens/token", "ext4"),
            ("/etc/passwd", "overlay"),
            ("", pod_settings.NO_FILE),
        ],
    )
    def test_the_nearest_mount_has_a_file(self, path, expected):
        """A folder whose name only begins alike is another one."""
        assert expected == pod_settings.file_system(MOUNTS, path)

    def test_the_last_mount_at_a_place_counts(self):
        """It hides those before it."""
        mounts = "ext4 /run/token ext4 rw 0 0\ntmpfs /run/token tmpfs ro 0 0\n"

        assert "tmpfs" == pod_settings.file_system(mounts, "/run/token/token")

    def test_a_refusal_does_not_tell_the_token(self, monkeypatch):
        """An API server's sentence may quote what it refuses."""
        token = Token.random()

        def refuse(*_):
            raise ProvingError(f"the value {token.value} is refused")

        monkeypatch.setattr(pod_settings, "_searched", refuse)
        manifest = read(MANIFESTS / "R5K" / "bad.yaml")

        with pytest.raises(CouldNotMeasure, match="the value •••• is refused") as caught:
            pod_settings.token_of(None, manifest, token)
        assert caught.value.__context__ is None


class TestChange:
    """R7K: how long a change is looked for."""

    def change(self, *followed):
        """Return a change that other arms have followed after these seconds."""
        found = pod_settings.Change(bound_seconds=100, margin_seconds=10)
        for seconds in followed:
            found.follows(seconds)
        return found

    @pytest.mark.parametrize(
        ("followed", "volume_seconds", "expected"),
        [
            ([], 20.0, False),
            ([30.0], None, False),
            ([30.0], 20.0, True),
            ([30.0, 45.0], 20.0, False),
            ([30.0], 45.0, False),
        ],
    )
    def test_who_does_not_follow_is_watched_for_longer(self, followed, volume_seconds, expected):
        """Than any other took, and than its own volume took."""
        found = self.change(*followed)

        assert expected is found.is_over(50.0, volume_seconds=volume_seconds)

    def test_nobody_is_watched_for_ever(self):
        """Also where nobody follows."""
        assert self.change().is_over(101.0, volume_seconds=None)

    def test_the_first_sight_counts(self):
        """Later commands in the pod see it at once."""
        seen = pod_settings.Seen()
        for until, ago in ((8.0, {}), (16.0, {"file": 2.0}), (24.0, {"file": 8.0, "url": 1.0})):
            told = json.dumps({"ago": ago, "asked": 10, "lost": 1})
            seen.add(told, until_seconds=until)

        assert {"file": 14.0, "url": 23.0} == seen.after_seconds
        assert (30, 3) == (seen.asked, seen.lost)

    @pytest.mark.parametrize(
        ("arm", "expected"),
        [
            ("bad", []),
            ("good", [pod_settings.SETTINGS]),
            ("subpath", [pod_settings.WHOLE]),
        ],
    )
    def test_a_whole_volume_is_told_from_a_single_file(self, arm, expected):
        """Only the former is one that kubelet can change."""
        manifest = read(MANIFESTS / "R7K" / f"{arm}.yaml")
        places = (pod_settings.SETTINGS, pod_settings.WHOLE)

        assert expected == [path for path in places if pod_settings._mounts(manifest, path)]

    def test_the_pod_tells_how_long_ago_it_saw_the_change(self, tmp_path):
        """At an address and in a file; what it does not see is not there."""

        class After(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"after\n")

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), After)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        file, old = tmp_path / "new.json", tmp_path / "old.json"
        file.write_text("after")
        old.write_text("before")

        def watch(*places):
            command = [sys.executable, "-c", pod_settings._WATCH, "0.5", "after", *map(str, places)]
            return json.loads(subprocess.check_output(command, env={}))

        whole, half = watch(url, file), watch(url, old, tmp_path / "none.json")
        server.shutdown()
        server.server_close()
        gone = watch(url)

        assert {url, str(file)} == set(whole["ago"])
        assert {url} == set(half["ago"])
        assert half["asked"] > 1
        assert 0 == half["lost"]
        assert {} == gone["ago"]
        assert gone["asked"] == gone["lost"]

    def test_the_greeter_asks_its_environment_each_time(self, monkeypatch):
        """So it is not the application that keeps the old value."""
        monkeypatch.syspath_prepend(str(IMAGES / "apps"))
        monkeypatch.delitem(sys.modules, "greeter", raising=False)
        import greeter

        monkeypatch.setattr(greeter, "serve", lambda: None)
        monkeypatch.setenv("GREETING", "before")
        runpy.run_path(str(IMAGES / "R7K" / "variable" / "greeter_of_the_environment.py"))

        assert "before" == greeter.settings["greeting"]
        monkeypatch.setenv("GREETING", "after")
        assert "after" == greeter.settings["greeting"]
