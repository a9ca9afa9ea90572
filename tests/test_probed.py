"""The application that the probes ask and the load that it is put under, without pods."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from proving.claims import IMAGES
from proving.probes import figures_of, read_log
from waiting import until

PROGRAMS = IMAGES / "apps" / "probed"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class Program:
    """A program of the image that runs: what it has said so far, and how it ends."""

    def __init__(self, running: subprocess.Popen[bytes], output: Path) -> None:
        self.running, self.output = running, output

    def said(self, words: str) -> bool:
        """Tell whether it says these words within ten seconds."""
        return until(lambda: words in self.output.read_text("utf-8"), 10)

    def log(self) -> str:
        """Wait for its end, and return all that it has said."""
        self.running.wait(timeout=20)
        return self.output.read_text("utf-8")


@contextmanager
def program(name: str, **environment: object) -> Iterator[Program]:
    """Run a program of the image, and kill it at the end."""
    told = {**os.environ, **{key: f"{value}" for key, value in environment.items()}}
    with tempfile.NamedTemporaryFile() as output:
        running = subprocess.Popen(
            [sys.executable, str(PROGRAMS / f"{name}.py")], env=told, stdout=output
        )
        try:
            yield Program(running, Path(output.name))
        finally:
            running.kill()
            running.wait()


@contextmanager
def web(**environment: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the application; yield it and its port, once it listens."""
    port = free_port()
    with program("web", PORT=port, **environment) as web:
        assert web.said("listening")
        yield web.running, port


def status(port: int, path: str) -> int:
    """Return the status of an answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


class TestTheApplication:
    def test_is_alive_before_it_is_warm(self):
        """What it is asked for decides what it says."""
        with web(WARM_SECONDS=1.5) as (_, port):
            assert (200, 503, 503) == tuple(status(port, path) for path in ("/live", "/ready", "/"))
            assert until(lambda: status(port, "/ready") == 200, 10)
            assert 200 == status(port, "/")

    def test_listens_late_when_its_start_is_slow(self):
        """Nobody listens meanwhile."""
        began = time.monotonic()
        with web(START_SECONDS=1):
            assert time.monotonic() - began >= 1

    def test_asks_for_its_database_only_when_its_health_is_asked_for(self):
        """And takes one that is away for no reason to be dead."""
        port = free_port()
        with web(DATABASE=f"127.0.0.1:{port}") as (_, own):
            assert (503, 200, 200) == tuple(status(own, path) for path in ("/health", "/live", "/"))
            with program("database", PORT=port) as database:
                assert until(lambda: status(own, "/health") == 200, 10)
                database.running.terminate()
                assert 0 == database.running.wait(timeout=10)
            assert 503 == status(own, "/health")

    def test_answers_nothing_once_it_hangs_and_does_not_heed_term(self):
        """Only KILL ends it, as it ends a deadlock."""
        with web() as (running, port):
            assert 200 == status(port, "/hang")
            running.terminate()
            with pytest.raises(OSError, match="timed out"):
                urlopen(f"http://127.0.0.1:{port}/live", timeout=1)
            assert running.poll() is None

    def test_answers_what_it_has_taken_before_it_ends(self):
        """And what comes in the moment after TERM, for the news has to go round first."""
        with web(ON_TERM="drain") as (running, port):
            found: list[int] = []
            asking = threading.Thread(target=lambda: found.append(status(port, "/")))
            running.terminate()
            asking.start()
            asking.join()
            assert [200] == found
            assert 0 == running.wait(timeout=10)

    def test_may_end_at_once(self):
        """As many programs do that have no handler of their own."""
        with web(ON_TERM="exit") as (running, _):
            began = time.monotonic()
            running.terminate()
            assert 0 == running.wait(timeout=10)
            assert time.monotonic() - began < 1


class TestTheLoad:
    @contextmanager
    def load(self, port: int, **environment: object) -> Iterator[Program]:
        bounds = {"HOST": "127.0.0.1", "PORT": port, "RATE": 100, "TIMEOUT_SECONDS": 1}
        with program("load", **{**bounds, **environment}) as load:
            assert load.said("load on 127.0.0.1")
            yield load

    def test_logs_each_request_and_how_many_there_were(self):
        """The last line is the number, so that a log that was cut is seen."""
        with web() as (_, port), self.load(port, MOST_REQUESTS=20) as load:
            requests, sent = read_log(load.log())

        assert 20 == sent == len(requests)
        assert {"sent": 20, "failed": 0, "causes": "none"} == figures_of(requests)
        assert {socket.gethostname()} == {request.pod for request in requests}
        assert all(0.048 < one.ended - one.began < 1.01 for one in requests)  # rounded to ms

    def test_ends_on_term_with_all_answers(self):
        """What is under way is waited for."""
        with web() as (_, port), self.load(port) as load:
            assert load.said("began")
            load.running.send_signal(signal.SIGTERM)
            requests, sent = read_log(load.log())

        assert len(requests) == sent
        assert not any(request.failed for request in requests)

    def test_has_one_request_that_makes_the_application_hang(self):
        """On USR1; what comes after it fails for want of an answer, and is no loss of the log."""
        with web() as (_, port), self.load(port, MOST_REQUESTS=60) as load:
            assert load.said("began")
            load.running.send_signal(signal.SIGUSR1)
            requests, _ = read_log(load.log())

        paths = [request.path for request in requests]
        (hung,) = (request for request in requests if request.path == "/hang")
        after = [request for request in requests if request.began > hung.ended + 0.01]
        assert 1 == paths.count("/hang")
        assert not hung.failed
        assert {"no answer in time"} == {one.cause for one in after} - {"no connection in time"}

    @pytest.mark.parametrize(
        ("answer", "cause"),
        [
            (b"", "cut"),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "cut"),
            (b"HTTP/1.0 503 Busy\r\nContent-Length: 4\r\n\r\npod\n", "status 503"),
            (b"HTTP/1.0 404 None\r\nContent-Length: 4\r\n\r\npod\n", ""),
        ],
    )
    def test_tells_why_a_request_has_failed(self, answer, cause):
        """An answer that is not whole is none; one that blames the client is one."""
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(answer)
                connection.close()

            threading.Thread(target=serve, daemon=True).start()
            with self.load(server.getsockname()[1], MOST_REQUESTS=1) as load:
                (request,), _ = read_log(load.log())

        assert cause == request.cause

    def test_tells_that_nobody_listens(self):
        """A refusal comes at once."""
        with self.load(free_port(), MOST_REQUESTS=3) as load:
            requests, _ = read_log(load.log())

        assert "refused: 3" == figures_of(requests)["causes"]
