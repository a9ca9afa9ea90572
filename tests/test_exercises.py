"""The reader's turn: every start is told its fault, every solution passes, whatever its syntax."""

from __future__ import annotations

import runpy
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from exercised import answer, in_cluster, mend, on_engine
from proving import bases, buildcache, exercises, manifests
from proving.errors import BuildError, ContainerError, ProvingError
from proving.exercises import Answer, Outcome
from proving.lab import Lab
from proving.paths import LABS
from proving.traffic import Outcome as Response
from proving.traffic import Request

CACHE, SIZE, PROCESSES = "03-layers-and-cache", "04-layer-size", "09-process-management"
SETTINGS = "08-runtime-configuration"
STAGES = "05-multi-stage"
FUNCTION = "06-one-function"
PODS = "07-pods"
PROBES = "10-health-probes"


class TestWithoutAnEngine:
    """Which of a check's functions judges, and what becomes of a failure."""

    CHECK = "from proving.exercises import Answer, Outcome\n"

    @pytest.fixture
    def check_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An exercise of our own, with a start and a check that is still empty."""
        place = tmp_path / "exercises" / "00-nothing"
        (place / "start").mkdir(parents=True)
        monkeypatch.setattr(exercises, "LABS", tmp_path)
        return place / "check.py"

    @pytest.fixture
    def lab(self) -> Any:
        """A lab that builds by saying so."""
        return SimpleNamespace(slug="00-nothing", build=lambda place: f"image of {place.name}")

    def test_a_check_gets_the_image(self, check_file, lab):
        """What most exercises judge is the image of the reader's folder."""
        check_file.write_text(
            self.CHECK + "def check(lab, image): return Answer(Outcome.PASSED, image)\n"
        )

        assert Answer(Outcome.PASSED, "image of start") == exercises.check(lab, "start")

    def test_a_second_exercise_is_asked_for_by_its_name(self, check_file, lab):
        """It has a folder and a check of its own, and the first one's is left alone."""
        check_file.write_text("def check(lab, image): raise AssertionError\n")
        other = check_file.parents[1] / "00-other"
        (other / "start").mkdir(parents=True)
        (other / "check.py").write_text(
            self.CHECK + "def check_folder(lab, folder): return folder.parent.name\n"
        )

        assert "00-other" == exercises.check(lab, "start", "00-other")

    def test_a_check_of_the_folder_builds_by_itself(self, check_file, lab):
        """Where building is what is judged, nothing is built before it."""
        check_file.write_text(
            self.CHECK
            + "def check_folder(lab, folder): return Answer(Outcome.HINT, str(folder.is_dir()))\n"
        )
        lab.build = None

        assert Answer(Outcome.HINT, "True") == exercises.check(lab, "start")

    def test_a_dockerfile_that_does_not_build_is_an_answer(self, check_file, lab):
        """Whoever has built it: the reader sees the step, not a traceback."""
        for body in ("check(lab, image): pass", "check_folder(lab, folder): lab.build(folder)"):
            check_file.write_text(f"def {body}\n")

            def broken(_place: Path) -> None:
                raise BuildError("The step RUN false failed.")

            lab.build = broken

            assert Answer(Outcome.FAILED, "The step RUN false failed.") == exercises.check(
                lab, "start"
            )

    @pytest.mark.usefixtures("check_file")
    def test_what_is_not_there_is_named(self, lab):
        """A folder that nobody has, and an exercise without a check."""
        with pytest.raises(ProvingError, match="no folder 'end' of an exercise '00-nothing'"):
            exercises.check(lab, "end")
        with pytest.raises(ProvingError, match="no folder 'start' of an exercise '00-other'"):
            exercises.check(lab, "start", "00-other")
        with pytest.raises(ProvingError, match="no check.py"):
            exercises.check(lab, "start")

    def test_files_that_are_to_stay_are_compared_to_the_byte(self, tmp_path):
        """One that is missing is another one, too; others are the reader's own matter."""
        own, folder = tmp_path / "own", tmp_path / "folder"
        for place in (own, folder):
            place.mkdir()
            for name in ("a.py", "b.py", "c.py", "Dockerfile"):
                (place / name).write_text(f"# {name}\n")
        (folder / "Dockerfile").write_text("FROM scratch\n")
        names = ["a.py", "b.py", "c.py"]

        assert [] == exercises.changed(folder, own, names)
        (folder / "a.py").write_bytes(b"# a.py\r\n")
        (folder / "c.py").unlink()
        assert ["a.py", "c.py"] == exercises.changed(folder, own, names)

    def test_an_answer_of_http_has_a_status_and_a_body(self):
        """The body is all after the first empty line."""
        found = exercises.parse_answer(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nnot\r\n\r\nhere")

        assert (404, "not\r\n\r\nhere") == found

    @pytest.mark.parametrize("said", [b"220 mail.test ESMTP\r\n", b"HTTP/1.1", b"HTTP/1.1 OK\r\n"])
    def test_another_answer_is_none(self, said):
        """Something listens, and it is no web server."""
        with pytest.raises(ContainerError, match="not HTTP"):
            exercises.parse_answer(said)


@on_engine
def test_a_container_that_ends_is_not_waited_for():
    """The reader sees its last lines, as soon as it is gone."""
    with Lab(SIZE) as lab:
        slim = bases.ready(lab.engine, ["SLIM"])["SLIM"].reference
        with (
            lab.start(slim, command=["sh", "-c", "echo no page to serve; exit 3"]) as app,
            pytest.raises(ContainerError, match=r"(?s)exit status 3 .*no page to serve"),
        ):
            exercises.request(lab, app, 80, seconds=60)


@on_engine
def test_a_server_that_does_not_end_its_answer_is_given_up():
    """It takes the question and is silent: the reader is told so, after the time that it had."""
    silent = "import socket, time; s = socket.create_server(('', 80)); time.sleep(60)"
    with Lab(SIZE) as lab:
        python = bases.ready(lab.engine, ["PYTHON"])["PYTHON"].reference
        with lab.start(python, command=["python3", "-c", silent]) as app:
            began = time.monotonic()
            with pytest.raises(ContainerError, match="Nothing in the container answers"):
                exercises.request(lab, app, 80, seconds=3)

            assert time.monotonic() - began < 30


class TestLayersAndCache:
    """Chapter 3: what is built again, after what change."""

    @on_engine
    def test_the_start_fails_with_its_reason(self):
        """An edit of one line installs all again: the answer names the steps and the bytes."""
        found = answer(CACHE, "start")

        assert Outcome.FAILED == found.outcome
        assert "COPY . ." in found.sentence
        assert "pip install" in found.sentence
        assert "downloaded again" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """Neither an edit nor another commit installs anything, and a measurement does nothing."""
        assert Outcome.PASSED == answer(CACHE, "solution").outcome

    @on_engine
    def test_half_a_solution_gets_a_hint(self, turns):
        """With the files in order, REVISION still changes before the installation."""
        mend(
            turns / CACHE / "start" / "Dockerfile",
            ("COPY . .\n", "COPY requirements.txt .\n"),
            ("EXPOSE", "COPY . .\nEXPOSE"),
        )
        found = answer(CACHE, "start")

        assert Outcome.HINT == found.outcome
        assert "another REVISION" in found.sentence

    @on_engine
    def test_another_way_passes_too(self, turns):
        """No COPY of requirements.txt and no .dockerignore, and yet all is reused."""
        folder = turns / CACHE / "solution"
        (folder / ".dockerignore").unlink()
        requirements = "--mount=type=bind,source=requirements.txt,target=/tmp/needed.txt"
        mend(
            folder / "Dockerfile",
            ("COPY requirements.txt .\nRUN ", f"RUN {requirements} "),
            ("-r requirements.txt", "-r /tmp/needed.txt"),
            ("COPY . .\n", "COPY app.py weather.py ./\n"),
        )

        assert Outcome.PASSED == answer(CACHE, "solution").outcome

    @on_engine
    def test_a_cache_of_downloads_is_half_a_solution(self, turns, engine):
        """Nothing is downloaded, and all is installed: a hint, and no record is left of it."""
        word = secrets.token_hex(8)
        mend(
            turns / CACHE / "start" / "Dockerfile",
            ("COPY . .", 'SHELL ["/bin/bash", "-c"]\nCOPY . .'),
            ("RUN pip install --no-cache-dir", "RUN --mount=type=cache,target=/root/.cache \\\n"),
            ("-r requirements.txt", f"pip install -r requirements.txt && echo {word}"),
        )
        found = answer(CACHE, "start")
        left = [r for r in buildcache.records(engine.docker).values() if word in r.description]

        assert Outcome.HINT == found.outcome
        assert "nothing is downloaded again" in found.sentence
        assert [] == left

    @on_engine
    def test_edited_sources_are_told(self, turns):
        """The check edits its copy of them; without a build it says what must stay."""
        mend(turns / CACHE / "start" / "weather.py", ("Sunny spells", "Fog"))
        found = answer(CACHE, "start")

        assert Outcome.FAILED == found.outcome
        assert found.sentence.startswith("weather.py must stay")


class TestLayerSize:
    """Chapter 4: what the layers carry in vain."""

    @on_engine
    def test_the_start_gets_a_hint(self):
        """The server works; the most of its waste are the lists, by the layer that has them."""
        found = answer(SIZE, "start")

        assert Outcome.HINT == found.outcome
        assert "`RUN apt-get update`" in found.sentence
        assert "a later layer removes" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """A container sees all that its layers carry."""
        assert Outcome.PASSED == answer(SIZE, "solution").outcome

    @on_engine
    def test_half_a_solution_gets_the_next_hint(self, turns):
        """With the lists mended, the pages are found to be there twice."""
        mend(
            turns / SIZE / "start" / "Dockerfile",
            (
                "RUN apt-get update\n"
                "RUN apt-get install -y --no-install-recommends nginx\n"
                "RUN rm -rf /var/lib/apt/lists\n",
                "RUN apt-get update \\\n"
                " && apt-get install -y --no-install-recommends nginx \\\n"
                " && rm -rf /var/lib/apt/lists/*\n",
            ),
        )
        found = answer(SIZE, "start")

        assert Outcome.HINT == found.outcome
        assert "`COPY site /var/www/html/`" in found.sentence
        assert "once more" in found.sentence

    @on_engine
    def test_not_to_clean_up_is_no_solution(self, turns):
        """Nothing is hidden then, and the lists are there for all to see."""
        mend(
            turns / SIZE / "solution" / "Dockerfile",
            (
                "RUN apt-get update \\\n"
                " && apt-get install -y --no-install-recommends nginx \\\n"
                " && rm -rf /var/lib/apt/lists/*\n",
                "RUN apt-get update && apt-get install -y --no-install-recommends nginx\n",
            ),
        )
        found = answer(SIZE, "solution")

        assert Outcome.FAILED == found.outcome
        assert "package lists" in found.sentence

    @on_engine
    def test_a_server_that_does_less_is_no_solution(self, turns):
        """Pages that are nobody's cost nothing, and were not asked for."""
        mend(turns / SIZE / "solution" / "Dockerfile", ("COPY --chown=www-data:www-data", "COPY"))
        found = answer(SIZE, "solution")

        assert Outcome.FAILED == found.outcome
        assert "belongs to root" in found.sentence


class TestMultiStage:
    """Chapter 5: what the last stage has, and which stages are run for it."""

    @on_engine
    def test_the_start_gets_a_hint(self):
        """The service works; the compiler that nobody uses is named."""
        found = answer(STAGES, "start")

        assert Outcome.HINT == found.outcome
        assert "gcc" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """No compiler, no sources, and a faulty library does not build."""
        assert Outcome.PASSED == answer(STAGES, "solution").outcome

    @on_engine
    def test_a_test_that_nothing_needs_gets_a_hint(self, turns):
        """BuildKit leaves the stage out, and a faulty library gets into the image."""
        mend(turns / STAGES / "solution" / "Dockerfile", ("--from=test", "--from=build"))
        found = answer(STAGES, "solution")

        assert Outcome.HINT == found.outcome
        assert "the test was not run" in found.sentence

    @on_engine
    def test_the_whole_folder_gets_a_hint(self, turns):
        """The sources and the test come along with the library."""
        mend(turns / STAGES / "solution" / "Dockerfile", ("/app/libpeak.so .", "/app ."))
        found = answer(STAGES, "solution")

        assert Outcome.HINT == found.outcome
        assert "peak.c, test-peak, test_peak.c" in found.sentence

    @on_engine
    def test_what_is_missing_at_run_time_is_told(self, turns):
        """The service ends, and its last line names the library."""
        mend(turns / STAGES / "solution" / "Dockerfile", ("libgomp1", "tzdata"))
        found = answer(STAGES, "solution")

        assert Outcome.FAILED == found.outcome
        assert "libgomp.so.1" in found.sentence
        assert "which package has it?" in found.sentence

    @on_engine
    def test_an_edited_source_is_told(self, turns):
        """The check puts a fault into it; without a build it says what must stay."""
        mend(turns / STAGES / "start" / "peak.c", ("values[i] > found", "found < values[i]"))
        found = answer(STAGES, "start")

        assert Outcome.FAILED == found.outcome
        assert found.sentence.startswith("peak.c must stay")


class TestOneFunction:
    """Chapter 6: a web server, and the application that is released behind it."""

    @staticmethod
    def judged(*told: tuple[float, str]) -> Answer:
        """Judge requests by when each began, and by what came of it; the release began at 10."""
        bodies = {"old": b"release 1\n", "new": b"release 2\n", "failed": b""}
        requests = [
            Request(
                id="id",
                began_at=began_at,
                headers_at=began_at,
                ended_at=began_at + 1,
                outcome=Response.ANSWERED,
                status=504 if name == "failed" else 200,
                received_bytes=0,
                detail="",
                ending=bodies[name],
            )
            for began_at, name in told
        ]
        check = runpy.run_path(str(LABS / "exercises" / FUNCTION / "check.py"))
        found: Answer = check["judge"](requests, began_at=10)
        return found

    def test_a_server_that_finds_the_new_container_late_gets_a_hint(self):
        """Some requests have failed, and yet the last one has its answer."""
        found = self.judged((0, "old"), (11, "failed"), (20, "new"))

        assert Outcome.HINT == found.outcome
        assert "1 of 3 requests failed: nginx answers with status 504" in found.sentence

    def test_a_server_that_serves_nothing_before_the_release_has_failed(self):
        """It is not the release that it does not survive."""
        found = self.judged((0, "failed"), (20, "new"))

        assert Outcome.FAILED == found.outcome
        assert found.sentence.startswith("Before the release")

    def test_all_requests_answered_is_what_passes(self):
        """The old release may go on answering for a while."""
        assert Outcome.PASSED == self.judged((0, "old"), (12, "old"), (20, "new")).outcome

    @on_engine
    def test_the_start_fails_with_its_reason(self):
        """It has looked the name up once, and asks at an address where nobody is."""
        found = answer(FUNCTION, "start")

        assert Outcome.FAILED == found.outcome
        assert "the new one is not found: nginx answers with status 504" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """It finds the new container while the old one is there."""
        assert Outcome.PASSED == answer(FUNCTION, "solution").outcome

    @on_engine
    def test_to_believe_the_name_server_for_ten_minutes_is_no_solution(self, turns):
        """The name is looked up when a request comes, and the first answer holds too long."""
        mend(turns / FUNCTION / "solution" / "nginx.conf", (" valid=1s", ""))
        found = answer(FUNCTION, "solution")

        assert Outcome.FAILED == found.outcome
        assert "for how long does it believe the answer" in found.sentence

    @on_engine
    def test_another_way_passes_too(self, turns):
        """An nginx that is reloaded each second looks the name up each second."""
        mend(
            turns / FUNCTION / "start" / "Dockerfile",
            (
                'CMD ["nginx", "-g", "daemon off; error_log /dev/stderr notice;"]',
                "CMD (while sleep 1; do nginx -s reload; done) & "
                'exec nginx -g "daemon off; error_log /dev/stderr notice;"',
            ),
        )

        assert Outcome.PASSED == answer(FUNCTION, "start").outcome


class TestPods:
    """Chapter 7: what is started again, and what sees the same folder."""

    @staticmethod
    def judged(served: bool, goes_on: bool, **restarts: int) -> Answer:
        """Judge a pod by what was seen of it."""
        check = runpy.run_path(str(LABS / "exercises" / PODS / "check.py"))
        found: Answer = check["judge"](check["Seen"](served, goes_on, restarts))
        return found

    def test_a_page_that_stands_still_has_failed(self):
        """Nobody has started the clock again, in one container or in two."""
        for restarts in ({"clock": 0}, {"clock": 0, "server": 0}):
            found = self.judged(True, False, **restarts)

            assert Outcome.FAILED == found.outcome
            assert "Whose first process is the clock?" in found.sentence

    def test_the_page_is_not_served_where_the_folder_is_another(self):
        """With two containers the reader is on the way; with one, nothing works."""
        assert Outcome.HINT == self.judged(False, False, clock=1, server=0).outcome
        assert Outcome.FAILED == self.judged(False, False, clock=0).outcome

    def test_to_start_all_of_it_again_gets_a_hint(self):
        """The page goes on, and the server was away without a fault of its own."""
        found = self.judged(True, True, clock=2)

        assert Outcome.HINT == found.outcome
        assert "clock restarted 2 times" in found.sentence

    def test_a_clock_that_writes_elsewhere_gets_a_hint(self):
        """It was started again, and the page stands still."""
        assert Outcome.HINT == self.judged(True, False, clock=1, server=0).outcome

    def test_the_clock_alone_started_again_passes(self):
        """And the page goes on."""
        assert Outcome.PASSED == self.judged(True, True, clock=1, server=0).outcome

    @in_cluster
    def test_the_start_fails_with_its_reason(self):
        """Two processes in one container, of which kubelet looks at the first."""
        found = answer(PODS, "start")

        assert Outcome.FAILED == found.outcome
        assert "nothing was started again" in found.sentence

    @in_cluster
    def test_the_solution_passes(self):
        """Two containers with a folder in common."""
        assert Outcome.PASSED == answer(PODS, "solution").outcome

    @in_cluster
    def test_to_end_the_container_with_its_clock_gets_a_hint(self, turns):
        """The script waits for the clock and ends with it, so that kubelet starts both again."""
        script = turns / PODS / "start" / "start.sh"
        mend(
            script,
            ("python /app/clock.py &", "python /app/server.py &"),
            ("exec python /app/server.py", "exec python /app/clock.py"),
        )
        found = answer(PODS, "start")

        assert Outcome.HINT == found.outcome
        assert "with it all else" in found.sentence

    @in_cluster
    def test_two_containers_without_a_volume_get_a_hint(self, turns):
        """Each has a folder of that name, and the server's is empty."""
        pod = turns / PODS / "solution" / "pod.yaml"
        lines = pod.read_text(encoding="utf-8").splitlines()
        mounts = ("volume", "pages", "/srv/pages")
        kept = [line for line in lines if not any(word in line for word in mounts)]
        pod.write_text("\n".join(kept) + "\n", encoding="utf-8")
        found = answer(PODS, "solution")

        assert Outcome.HINT == found.outcome
        assert "see the same folder" in found.sentence

    @in_cluster
    def test_a_manifest_that_is_none_is_an_answer(self, turns):
        """The reader sees the line, not a traceback."""
        (turns / PODS / "start" / "pod.yaml").write_text("kind: Pod\n  name: [\n")
        found = answer(PODS, "start")

        assert Outcome.FAILED == found.outcome
        assert "pod.yaml, line 2" in found.sentence


class TestProcessManagement:
    """Chapter 9: who gets the signal, and who reaps."""

    @on_engine
    def test_the_start_fails_with_its_reason(self):
        """TERM does not reach the application: the answer names PID 1."""
        found = answer(PROCESSES, "start")

        assert Outcome.FAILED == found.outcome
        assert "PID 1 is `/bin/sh -c /app/entrypoint.sh`" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """A graceful stop, and no zombies."""
        assert Outcome.PASSED == answer(PROCESSES, "solution").outcome

    @on_engine
    def test_half_a_solution_gets_a_hint(self, turns):
        """With the signals mended alone, the shell that was reaping is gone: zombies show."""
        start = turns / PROCESSES / "start"
        mend(start / "Dockerfile", ("CMD /app/entrypoint.sh", 'CMD ["/app/entrypoint.sh"]'))
        mend(start / "entrypoint.sh", ("python /app/app.py", "exec python /app/app.py"))
        found = answer(PROCESSES, "start")

        assert Outcome.HINT == found.outcome
        assert "zombies" in found.sentence

    @on_engine
    def test_a_dockerfile_that_does_not_build_is_an_answer(self, turns):
        """The reader sees the step that broke, not a traceback."""
        dockerfile = turns / PROCESSES / "start" / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text(encoding="utf-8") + "RUN false\n")
        found = answer(PROCESSES, "start")

        assert Outcome.FAILED == found.outcome
        assert "RUN false" in found.sentence


class TestRuntimeConfiguration:
    """Chapter 8: what reaches the application, and what it does where something is missing."""

    @on_engine
    def test_the_start_fails_with_its_reason(self):
        """A script in the image has the last word about the setting."""
        found = answer(SETTINGS, "start")

        assert Outcome.FAILED == found.outcome
        assert "says that it is Oslo" in found.sentence

    @on_engine
    def test_the_solution_passes(self):
        """All arrives, and a missing setting is named at once."""
        assert Outcome.PASSED == answer(SETTINGS, "solution").outcome

    @on_engine
    def test_half_a_solution_gets_the_next_hint(self, turns):
        """With the setting mended, the arguments are found to be split, then that it is missed."""
        script = turns / SETTINGS / "start" / "entrypoint.sh"
        mend(script, ('export STATION="Oslo"\n', ""))
        split = answer(SETTINGS, "start")
        mend(script, ("$@", '"$@"'))
        late = answer(SETTINGS, "start")

        assert [Outcome.HINT, Outcome.HINT] == [split.outcome, late.outcome]
        assert "'wind', 'and', 'rain'" in split.sentence
        assert "fails at the first request" in late.sentence

    @on_engine
    def test_another_way_passes_too(self, turns):
        """The application may look for its setting by itself, and the script may go."""
        folder = turns / SETTINGS / "start"
        mend(
            folder / "Dockerfile",
            ('["/app/entrypoint.sh"]', '["python", "/app/app.py"]'),
        )
        mend(
            folder / "app.py",
            (
                "\n\ndef application",
                '\nif "STATION" not in os.environ:\n'
                '    sys.exit("STATION is not set")\n\n\ndef application',
            ),
        )

        assert Outcome.PASSED == answer(SETTINGS, "start").outcome


class TestHealthProbes:
    """Chapter 10: a start that takes its time, a database that is away, a hang."""

    @staticmethod
    def checked(
        tmp_path: Path, pods: list[dict[str, Any]], *, listens: bool = True, environment: str = ""
    ) -> Answer:
        """Check a manifest in a cluster that is played: what its pods are, one look at a time."""
        check = runpy.run_path(str(LABS / "exercises" / PROBES / "check.py"))
        times = {"START_SECONDS": 0.5, "STAYS_SECONDS": 0.05, "HANGS_SECONDS": 0.05}
        check["check_folder"].__globals__.update({**times, "SAMPLE_SECONDS": 0.01})
        file = tmp_path / "web.yaml"
        text = (LABS / "exercises" / PROBES / "solution" / "web.yaml").read_text("utf-8")
        file.write_text(text.replace("START_SECONDS", environment or "START_SECONDS"), "utf-8")
        found: Answer = check["check_folder"](PlayedLab(pods, listens), tmp_path)
        return found

    @staticmethod
    def pod(restarts: int = 0) -> dict[str, Any]:
        """Return a pod as the API gives it."""
        state = {"restartCount": restarts, "state": {"running": {}}}
        return {"metadata": {"name": "web-1"}, "status": {"containerStatuses": [state]}}

    def test_a_restart_before_the_first_answer_gets_a_hint(self, tmp_path):
        """The start is slower than the probe is patient."""
        found = self.checked(tmp_path, [self.pod(1)])

        assert Outcome.HINT == found.outcome
        assert "before it had given an answer" in found.sentence

    def test_requests_before_it_listens_get_a_hint(self, tmp_path):
        """A pod without a readiness probe is ready at once."""
        found = self.checked(tmp_path, [self.pod()], listens=False)

        assert Outcome.HINT == found.outcome
        assert "before it listened" in found.sentence

    def test_a_pod_that_never_gets_requests_gets_a_hint(self, tmp_path):
        """Its readiness depends on what is away."""
        found = self.checked(tmp_path, [])

        assert Outcome.HINT == found.outcome
        assert "sends it no requests" in found.sentence

    def test_a_restart_for_the_database_gets_a_hint(self, tmp_path):
        """It answers, and is restarted all the same."""
        found = self.checked(tmp_path, [self.pod(), self.pod(1)])

        assert Outcome.HINT == found.outcome
        assert "although it answers" in found.sentence

    def test_a_hang_that_nobody_ends_gets_a_hint(self, tmp_path):
        """Without liveness all else is well."""
        found = self.checked(tmp_path, [self.pod()])

        assert Outcome.HINT == found.outcome
        assert "when it hung" in found.sentence

    def test_another_application_has_failed(self, tmp_path):
        """A fast start needs no probe, and was not asked for."""
        found = self.checked(tmp_path, [self.pod()], environment="OTHER_SECONDS")

        assert Outcome.FAILED == found.outcome
        assert "leave its environment as it was" in found.sentence

    @in_cluster
    def test_the_start_gets_a_hint(self):
        """Its one probe is wrong in more than one way."""
        assert Outcome.HINT == answer(PROBES, "start").outcome

    @in_cluster
    def test_the_solution_passes(self):
        """With a probe of each kind."""
        assert Outcome.PASSED == answer(PROBES, "solution").outcome

    @in_cluster
    def test_a_solution_without_liveness_gets_a_hint(self, turns):
        """Nobody restarts what hangs."""
        file = turns / PROBES / "solution" / "web.yaml"
        text = file.read_text(encoding="utf-8")
        before, _, rest = text.partition("          livenessProbe:\n")
        file.write_text(before + rest[rest.index("---\n") :], encoding="utf-8")
        found = answer(PROBES, "solution")

        assert Outcome.HINT == found.outcome
        assert "when it hung" in found.sentence


class PlayedLab:
    """A lab whose cluster is played, and its only namespace: the last pod stays as it is."""

    def __init__(self, pods: list[dict[str, Any]], listens: bool) -> None:
        self.found, self.listens = pods, listens

    def manifests_of(self, file: Path) -> tuple[manifests.Manifest, ...]:
        return (manifests.read(file),)

    @contextmanager
    def namespace(self) -> Iterator[PlayedLab]:
        yield self

    def pods(self, _app: str) -> list[dict[str, Any]]:
        return [self.found.pop(0) if len(self.found) > 1 else self.found[0]] if self.found else []

    def pod_of(self, _app: str) -> dict[str, Any]:
        if not self.found:
            raise ProvingError("No pod is there.")
        return self.found[0]

    def endpoints(self, _service: str) -> tuple[str, ...]:
        return ("10.0.0.1",) if self.found else ()

    def logs(self, _pod: str) -> str:
        return "0.0 listening" if self.listens else ""

    def apply(self, _manifest: object) -> None: ...

    def exec(self, _pod: str, _command: list[str]) -> None: ...
