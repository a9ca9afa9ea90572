"""A change of settings: when it is served, and which requests it has cost."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from proving import changes
from proving.claims import IMAGES
from proving.errors import CouldNotMeasure
from proving.traffic import Outcome, Report, Request


@pytest.fixture
def server():
    """A server that greets with the next of its words at each request."""

    class Greeter(BaseHTTPRequestHandler):
        def do_GET(self):
            body = words.pop(0) if len(words) > 1 else words[0]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    words = [b"before\n", b"before\n", b"after\n"]
    running = HTTPServer(("127.0.0.1", 0), Greeter)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()


def test_the_new_value_is_waited_for(server):
    """The old one is an answer, too, and not the one that is waited for."""
    assert changes.is_served(server, "before")
    assert changes.served_within(server, "after", 10)
    assert changes.is_served(server, "after")


def test_what_does_not_come_is_told(server):
    """Where it has to come, its absence is no measurement."""
    assert not changes.served_within(server, "never", 0.1)
    with pytest.raises(CouldNotMeasure, match="does not serve 'never' within 0.1 s"):
        changes.wait_until_served(server, "never", 0.1)


def test_a_question_that_was_lost_is_asked_again(monkeypatch):
    """It does not use up the bound: each may take a part of it, and the last one what is left."""
    given = []

    def lost_at_first(*_, timeout_seconds):
        given.append(timeout_seconds)
        return len(given) == 3

    monkeypatch.setattr(changes, "is_served", lost_at_first)

    assert changes.served_within("http://127.0.0.1:9/", "after", 1.5)
    assert [1.0, 1.0] == given[:2]
    assert changes.served_within("http://127.0.0.1:9/", "after", 0.5) is False
    assert given[3] <= 0.5


def test_a_server_that_does_not_answer_serves_nothing():
    """A restart is under way perhaps."""
    assert not changes.is_served("http://127.0.0.1:9/", "before")


def test_the_settings_are_the_file_that_the_greeter_reads():
    """By its name, in its folder."""
    source = (IMAGES / "apps/greeter.py").read_text(encoding="utf-8")

    assert f'Path("{changes.FOLDER}/{changes.SETTINGS}")' in source
    assert {changes.SETTINGS: b'{"greeting": "hello"}'} == changes.settings("hello")


def report(*outcomes):
    """Return a load's report with these outcomes and statuses."""
    return Report(
        tuple(
            Request(str(number), 0.0, 0.1, 0.2, outcome, status, 0, "")
            for number, (outcome, status) in enumerate(outcomes)
        )
    )


def test_lost_is_what_got_no_whole_answer():
    """A server's own error is no answer either."""
    mixed = report(
        (Outcome.ANSWERED, 200),
        (Outcome.ANSWERED, 503),
        (Outcome.CUT, 200),
        (Outcome.REFUSED, None),
        (Outcome.TIMED_OUT, None),
    )

    assert 4 == changes.lost(mixed)
    assert 0 == changes.lost(report((Outcome.ANSWERED, 200)))


def test_a_load_without_answers_has_lost_nothing_that_counts():
    """Where the server never answered, nothing was measured."""
    with pytest.raises(CouldNotMeasure, match="None of 1 requests"):
        changes.lost(report((Outcome.REFUSED, None)))


def test_an_answer_after_the_time_comes_too_late(monkeypatch):
    """A server that is slow to answer has not followed within the bound."""

    def answered_late(*_, **__):
        time.sleep(0.2)
        return True

    monkeypatch.setattr(changes, "is_served", answered_late)

    assert not changes.served_within("http://127.0.0.1:9/", "after", 0.1)
    assert changes.served_within("http://127.0.0.1:9/", "after", 60)
