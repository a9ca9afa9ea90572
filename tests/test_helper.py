"""Helpers that look at another container, which may end at any moment, and an engine's stumbles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from proving import container as containers
from proving import exercises, helper
from proving.container import Container, State
from proving.errors import ContainerError, CouldNotMeasure
from proving.helper import Helped
from testcontainers.core.container import DockerContainer

STUMBLED = (
    "OCI runtime create failed: container_linux.go:380: starting container process caused: "
    "process_linux.go:385: applying cgroup configuration caused: "
    "can't get final child's PID from pipe: EOF: unknown"
)
CTRL_C = "Ctrl-C"
NOT_RUNNING = "cannot join network of a non running container: 0123"


def refusal(told: str) -> APIError:
    """Return an engine's error as docker-py raises it."""
    return APIError("500 Server Error", explanation=told)


class Engine:
    """Stands in for an engine: each start of a container goes well, is refused or interrupted."""

    url = "unix:///nowhere"

    def __init__(self, *starts: str, output: bytes = b"", status: int = 0) -> None:
        self.starts, self.output, self.status = list(starts), output, status
        self.there: list[object] = []
        self.created = 0
        self.docker = SimpleNamespace(containers=SimpleNamespace(create=self.create))

    def create(self, _image: str, _command: list[str], **_options: Any) -> Any:
        """Create a container that is there until it is removed."""
        self.created += 1
        made = SimpleNamespace(
            start=self.start,
            wait=lambda: {"StatusCode": self.status},
            logs=lambda **_: self.output,
            remove=lambda force: self.there.remove(made),
        )
        self.there.append(made)
        return made

    def start(self) -> None:
        """Start a container, or refuse to."""
        if told := self.starts.pop(0):
            raise KeyboardInterrupt if told == CTRL_C else refusal(told)


def run(engine: Engine) -> Helped:
    """Run a helper."""
    return helper.help_by(engine, "slim", ["true"], {})  # type: ignore[arg-type]


def test_what_a_helper_says_is_its_output():
    """And it is gone afterwards."""
    engine = Engine("", output=b"seen\n")
    helped = run(engine)

    assert (b"seen\n", True, "") == (helped.output, helped.well, helped.fault)
    assert [] == engine.there


def test_a_helper_that_fails_is_told_by_its_status():
    """Its namespace has gone, perhaps, and took it along."""
    helped = run(Engine("", status=137))

    assert not helped.well
    assert "the helper has ended with exit status 137" == helped.fault


def test_a_refused_helper_is_an_answer():
    """What it would join does not run: nothing is raised, and nothing is left."""
    engine = Engine(NOT_RUNNING)
    helped = run(engine)

    assert (False, NOT_RUNNING) == (helped.well, helped.fault)
    assert ([], 1) == (engine.there, engine.created)


def test_a_stumble_of_the_engine_is_tried_once_more():
    """The failed container is removed first."""
    engine = Engine(STUMBLED, "", output=b"seen\n")

    assert run(engine).well
    assert ([], 2) == (engine.there, engine.created)


def test_an_engine_that_stumbles_again_has_refused():
    """Once more, and not for ever."""
    engine = Engine(STUMBLED, STUMBLED)

    assert "final child" in run(engine).fault
    assert ([], 2) == (engine.there, engine.created)


def test_an_interrupted_start_leaves_nothing():
    """Ctrl-C comes while the engine starts the helper."""
    engine = Engine(CTRL_C)
    with pytest.raises(KeyboardInterrupt):
        run(engine)

    assert [] == engine.there


class Served(Container):
    """A container without an engine: what has become of it, and what it has logged."""

    def __init__(self, *states: State, log: str = "") -> None:
        self.states, self.log = list(states), log
        self.engine: Any = Engine()
        self._called = "the service"
        self._helper_image, self._labels = "slim", {}

    def state(self) -> State:
        """Return the next state, and the last one again and again."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def log_text(self) -> str:
        """Return what was logged."""
        return self.log

    def get_container_id(self) -> str:
        """Return an identifier."""
        return "0123"


RUNS, ENDED = State("running", 0, 0), State("exited", 127, 0)
LAB: Any = SimpleNamespace(engine=Engine(), helper_image="slim", run="1")


def helped(monkeypatch: pytest.MonkeyPatch, module: Any, *answers: Helped) -> None:
    """Let helpers have these answers, the last one again and again."""
    left = list(answers)

    def answer(*_: object, **__: object) -> Helped:
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(module, "help_by", answer)


@pytest.mark.parametrize("told", [STUMBLED, NOT_RUNNING])
def test_a_service_that_ends_meanwhile_is_told_by_its_last_line(monkeypatch, told):
    """In whatever words the engine refuses to join it."""
    helped(monkeypatch, exercises, Helped(refusal=told))
    app = Served(RUNS, ENDED, log="libgomp.so.1: cannot open shared object file\n")

    with pytest.raises(ContainerError, match=r"exit status 127 before .*\n +libgomp.so.1"):
        exercises.request(LAB, app, 8080)


def test_a_service_is_asked_again_after_a_refusal(monkeypatch):
    """It runs, and the engine had stumbled."""
    answer = Helped(b"HTTP/1.0 200 OK\r\n\r\nhello\n", 0)
    helped(monkeypatch, exercises, Helped(refusal=STUMBLED), answer)

    assert (200, "hello") == exercises.request(LAB, Served(RUNS), 8080)


def test_an_engine_that_starts_no_helper_is_told(monkeypatch):
    """The service may well be up: it was not asked."""
    helped(monkeypatch, exercises, Helped(refusal="no space left on device"))

    with pytest.raises(ContainerError, match="Nobody could ask: no space left on device. Its last"):
        exercises.request(LAB, Served(RUNS), 8080, seconds=0.1)


def test_processes_of_a_container_that_has_ended_are_not_there(monkeypatch):
    """The sentence tells its end, and not how the engine refused to join it."""
    helped(monkeypatch, containers, Helped(refusal=STUMBLED))

    with pytest.raises(CouldNotMeasure, match=r"exit status 127 before its processes .*\n +gone"):
        Served(ENDED, log="gone\n").processes()


def test_processes_that_cannot_be_seen_are_told_with_the_reason(monkeypatch):
    """The container runs: it is the engine that does not want to."""
    helped(monkeypatch, containers, Helped(refusal="no space left on device"))

    with pytest.raises(CouldNotMeasure, match="cannot be seen: no space left on device."):
        Served(RUNS).sockets()


@pytest.mark.parametrize(("told", "starts"), [(STUMBLED, 2), ("no such image", 1)])
def test_a_container_is_started_once_more_where_the_engine_stumbled(monkeypatch, told, starts):
    """The one that failed is removed; any other refusal is told at once."""
    failed: list[str] = []

    def start(app: Any) -> None:
        removed = SimpleNamespace(remove=lambda **_: failed.append("removed"))
        app._container = removed
        failed.append("started")
        raise refusal(told)

    monkeypatch.setattr(DockerContainer, "start", start)
    app = Served(RUNS)
    app._container = None
    with pytest.raises(APIError):
        app._start()

    assert ["started", "removed"] * (starts - 1) + ["started"] == failed
