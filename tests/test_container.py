"""Processes and stops are read from what the engine and a helper container tell."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from proving.container import KILLED, Container, parse_processes, read_stop, without_helper
from proving.errors import CouldNotMeasure

ENGINES = pytest.mark.parametrize("recording", ["docker-20.10", "docker-26.1", "docker-28.5"])


@ENGINES
def test_processes_are_read_without_the_helper(answer, recording):
    """The helper that lists the processes is not one of them, whatever PID it was given."""
    processes = without_helper(parse_processes(answer(f"{recording}/processes-killed.txt")))
    by_name = {process.comm: process for process in processes}

    assert {"sh", "worker.sh", "sleep"} == set(by_name)
    assert (1, 0) == (by_name["sh"].pid, by_name["sh"].ppid)
    assert by_name["worker.sh"].ppid == 1
    assert by_name["sleep"].ppid == by_name["worker.sh"].pid


def test_a_name_with_blanks_and_brackets_is_read_whole():
    """A process may call itself anything (proc_pid_stat(5)); state Z is a zombie."""
    (process,) = parse_processes("7 (a) S (b c) Z 1 1 1 0 -1 4\t\n")

    assert ("a) S (b c", "Z", 1) == (process.comm, process.state, process.ppid)
    assert process.is_zombie


@ENGINES
def test_a_stop_that_was_heard(answer, recording):
    """The application ends by its own status, well before the grace period is over."""
    stop = read_stop(answer(f"{recording}/events-handled.json"))

    assert (0, False, 15) == (stop.exit_status, stop.killed, stop.signal)
    assert 0 < stop.seconds < 2
    assert stop.seconds == pytest.approx(stop.died_at - stop.term_at)


@ENGINES
def test_a_stop_that_was_not_heard(answer, recording):
    """After the grace period (2 s in these recordings) the engine kills."""
    stop = read_stop(answer(f"{recording}/events-killed.json"))

    assert (KILLED, True, 15) == (stop.exit_status, stop.killed, stop.signal)
    assert stop.seconds >= 2


def test_an_end_before_the_stop_is_not_its_end(answer):
    """A container that was restarted has ended before, and that end is not the stop's."""
    events = answer("docker-26.1/events-handled.json")
    earlier = [event for event in events if event["Action"] == "die"]

    assert read_stop(events) == read_stop([*earlier, *events])
    with pytest.raises(CouldNotMeasure):
        read_stop([*earlier, *(event for event in events if event["Action"] != "die")])


def test_a_stop_without_events_is_not_measured():
    """An engine that forgot its events gives no figure."""
    with pytest.raises(CouldNotMeasure, match="do not tell"):
        read_stop([])


def test_a_port_of_this_machine_is_not_asked_by_way_of_a_proxy(monkeypatch):
    """A reader's environment may name one, which knows nothing of the ports of this machine."""

    class Teapot(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(418, self.path)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Published(Container):
        def __init__(self):
            pass

        def address(self, port):
            return f"127.0.0.1:{port}"

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Teapot) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            response = Published().ask(server.server_port, "/tea")
        finally:
            server.shutdown()

    assert (418, "/tea") == (response.status_code, response.reason_phrase)
