"""The load client against servers of our own on 127.0.0.1, and the reading of a server's log."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from proving.errors import CouldNotMeasure, ProvingError
from proving.traffic import (
    Handler,
    Load,
    NothingInFlight,
    Outcome,
    Report,
    Request,
    in_flight,
    lost,
    met_by_requests,
    parse_handlers,
    stop_under_load,
    timeline,
)

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwell"


@contextmanager
def serving(answer: Callable[[socket.socket, str], None]) -> Iterator[str]:
    """Serve on a free port, each connection in a thread: `answer(connection, head)`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client has gone
            answer(connection, connection.recv(65536).decode())

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()


def well(connection: socket.socket, head: str) -> None:
    connection.sendall(WHOLE)


def only(report: Report) -> Request:
    (request,) = report.requests
    return request


def one(url: str, **bounds: float | bytes) -> Request:
    load = Load(url, concurrency=1, requests=1, ramp_seconds=0, **bounds)  # type: ignore[arg-type]
    load.start()
    load._thread.join(10)  # type: ignore[union-attr]
    return only(load.finish())


def request(
    id: str, outcome: Outcome, began: float = 0.0, headers: float | None = None, ended: float = 9.0
) -> Request:
    status = 200 if headers is not None or outcome is Outcome.ANSWERED else None
    return Request(id, began, headers, ended, outcome, status, 0, "")


def test_whole_answer_is_answered() -> None:
    """A whole answer is told with its status, its size and its times."""
    with serving(well) as url:
        got = one(url)

    assert (
        got.outcome,
        got.status,
        got.received_bytes,
        got.detail,
    ) == (Outcome.ANSWERED, 200, 4, "")
    assert got.headers_at is not None
    assert got.began_at <= got.headers_at <= got.ended_at
    assert got.complete


def test_server_error_is_answered_but_not_complete() -> None:
    """A 503 arrives whole and is yet not what the client asked for."""
    with serving(lambda c, _: c.sendall(b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\n\r\n")) as url:
        got = one(url)

    assert (got.outcome, got.complete) == (Outcome.ANSWERED, False)


@pytest.mark.parametrize(
    "sent", [b"", WHOLE[:10], WHOLE[:-2]], ids=["no byte", "half a status line", "half a body"]
)
def test_early_close_is_cut(sent: bytes) -> None:
    """A connection that ends before the answer is whole is cut, however far it came."""
    with serving(lambda c, _: c.sendall(sent)) as url:
        got = one(url)

    assert Outcome.CUT is got.outcome
    assert url in got.detail
    assert (got.headers_at is not None) == sent.endswith(b"we")


def test_error_page_within_the_promised_length_is_cut() -> None:
    """A body of the right length that ends otherwise than it should is no whole answer."""
    with serving(well) as url:
        right, wrong = one(url, body_ends_with=b"ll"), one(url, body_ends_with=b"done")

    assert (right.outcome, wrong.outcome) == (Outcome.ANSWERED, Outcome.CUT)
    assert "b'well'" in wrong.detail


def test_the_end_of_a_body_is_kept() -> None:
    """A lab can tell from it who has answered, and no body is too long for that."""
    body = b"x" * 100_000 + b"release 2"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with serving(lambda c, _: c.sendall(head.encode() + body)) as url:
        got = one(url)

    assert got.ending.endswith(b"xrelease 2")
    assert len(got.ending) < 100


def test_reset_is_cut() -> None:
    """A process that dies with unread data resets its connections; that is cut too."""

    def reset(connection: socket.socket, head: str) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(reset) as url:
        got = one(url)

    assert Outcome.CUT is got.outcome


def test_no_listener_is_refused() -> None:
    """Where nobody listens there is no connection, and the load ends by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    began = time.monotonic()
    with Load(f"http://127.0.0.1:{port}/", concurrency=4, ramp_seconds=0) as load:
        load._thread.join(10)  # type: ignore[union-attr]
        report = load.finish()

    assert (report.sent, report.refused, report.cut) == (12, 12, 0)
    assert time.monotonic() - began < 5


def test_slow_answer_times_out() -> None:
    """An answer that trickles in is bounded as a whole, not byte by byte."""

    def trickle(connection: socket.socket, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b".")
            time.sleep(0.05)

    with serving(trickle) as url:
        got = one(url, timeout_seconds=0.3)

    assert Outcome.TIMED_OUT is got.outcome
    assert "0.3 s" in got.detail


def test_every_request_has_its_own_id_and_connection() -> None:
    """Ids differ, travel in the query and in the header, and no connection is used twice."""
    heads: list[str] = []

    def note(connection: socket.socket, head: str) -> None:
        heads.append(head)
        connection.sendall(WHOLE)

    with serving(note) as url, Load(url + "slow?size=3", requests=50, ramp_seconds=0) as load:
        load.wait_for(answered=50)
        report = load.finish()

    ids = [r.id for r in report.requests]
    assert 50 == len(set(ids)) == len(heads)
    for id in ids:
        assert (
            sum(
                f"/slow?size=3&id={id} " in head and f"X-Request-Id: {id}\r\n" in head
                for head in heads
            )
            == 1
        )


def test_requests_are_bounded() -> None:
    """The load ends by itself after the number of requests that it was given."""
    with serving(well) as url, Load(url, requests=30, ramp_seconds=0) as load:
        load._thread.join(10)  # type: ignore[union-attr]
        report = load.finish()

    assert (report.sent, report.answered) == (30, 30)


def test_seconds_are_bounded() -> None:
    """The load ends after its seconds, and what was under way then counts as timed out."""
    with serving(lambda *_: time.sleep(9)) as url:
        began = time.monotonic()
        load = Load(url, concurrency=3, seconds=2, ramp_seconds=0).start()
        load._thread.join(8)  # type: ignore[union-attr]
        report = load.finish()

    assert time.monotonic() - began < 7
    assert (report.sent, report.timed_out) == (3, 3)


def test_finish_waits_for_what_is_under_way() -> None:
    """finish() begins nothing new, lets the rest be answered, and may be called again."""

    def slow(connection: socket.socket, head: str) -> None:
        time.sleep(0.3)
        connection.sendall(WHOLE)

    with serving(slow) as url, Load(url, concurrency=5, ramp_seconds=0) as load:
        load.wait_for(answered=1)
        report = load.finish()

    assert report.sent == report.answered
    assert report == load.finish()


def test_exception_in_the_block_ends_the_load() -> None:
    """Leaving the block by an exception doesn't wait for answers."""
    with serving(lambda *_: time.sleep(20)) as url:
        began = time.monotonic()
        load = Load(url, concurrency=3, ramp_seconds=0)
        with pytest.raises(CouldNotMeasure), load:
            load.wait_for(answered=1, timeout_seconds=0.2)

        assert time.monotonic() - began < 5
        assert not load._thread.is_alive()  # type: ignore[union-attr]


def test_waiting_in_vain_could_not_be_measured() -> None:
    """Answers that don't come are told in a sentence, soon after the load has ended."""
    with (
        serving(lambda *_: None) as url,
        Load(url, ramp_seconds=0) as load,
        pytest.raises(CouldNotMeasure, match=r"the load ended after 0\. .* cut"),
    ):
        load.wait_for(answered=200)


def test_misuse_is_told() -> None:
    """A load without bounds, started twice or never, is refused with a sentence."""
    with pytest.raises(ProvingError, match="positive"):
        Load("http://127.0.0.1/", requests=0)
    with pytest.raises(ProvingError, match="never started"):
        Load("http://127.0.0.1/").finish()
    with (
        serving(well) as url,
        Load(url, requests=1) as load,
        pytest.raises(ProvingError, match="twice"),
    ):
        load.start()


LOG = """\
ready
handler began id=a at=10.000000
2026-11-24T17:00:00Z handler began id=b at=10.100000
handler ended id=a at=10.500000
handler began id=c at=10.900000
handler ended id=unknown at=11
handler ended id=c at=11.4
"""


def test_handlers_are_read_from_a_log() -> None:
    """Markers are found among other text; a handler without an end stays open."""
    assert (
        Handler("a", 10.0, 10.5),
        Handler("b", 10.1, None),
        Handler("c", 10.9, 11.4),
    ) == parse_handlers(LOG)


@pytest.mark.parametrize(
    ("at", "ids"), [(9.9, ""), (10.0, ""), (10.2, "ab"), (10.5, "b"), (11.0, "bc"), (12.0, "b")]
)
def test_in_flight_is_begun_and_not_ended(at: float, ids: str) -> None:
    """In flight at a moment are the handlers that began before it and had not ended by then."""
    assert tuple(ids) == tuple(h.id for h in in_flight(parse_handlers(LOG), at))


def test_lost_are_taken_requests_without_a_whole_answer() -> None:
    """Only requests that the server had taken can be lost, and an answer saves them."""
    report = Report(
        (
            request("a", Outcome.ANSWERED),
            request("b", Outcome.CUT),
            request("c", Outcome.ANSWERED),
            request("d", Outcome.REFUSED),
        )
    )

    assert tuple(r.id for r in lost(parse_handlers(LOG), report, 11.0)) == ("b",)


def test_stop_is_summed_up_by_the_log() -> None:
    """Handlers of other clients, such as a probe's, are not counted."""
    report = Report((request("b", Outcome.CUT), request("x", Outcome.CUT)))

    got = stop_under_load(report, 11.0, parse_handlers(LOG))

    assert (got.in_flight, got.lost, got.sent, got.answered) == (1, 1, 2, 0)


def test_stop_is_summed_up_by_the_headers() -> None:
    """Without a log, the requests whose headers had arrived are those that were taken."""
    report = Report(
        (
            request("early", Outcome.ANSWERED, 1, 1.1, 2),
            request("kept", Outcome.ANSWERED, 3, 3.1, 6),
            request("lost", Outcome.CUT, 3, 3.1, 5.1),
            request("lost, begun before the signal came", Outcome.CUT, 5.05, 5.06, 5.1),
            request("not taken", Outcome.CUT, 4.9, None, 5.1),
            request("late", Outcome.REFUSED, 5.2, None, 5.2),
        )
    )

    got = stop_under_load(report, 5.0)

    assert (got.in_flight, got.lost, got.sent, got.answered) == (3, 2, 6, 2)


def test_stop_with_nothing_in_flight_could_not_be_measured() -> None:
    """A stop that met no request proves nothing."""
    with pytest.raises(CouldNotMeasure, match="No request was in flight"):
        stop_under_load(Report((request("a", Outcome.ANSWERED),)), 20.0, parse_handlers(LOG))


@dataclass(frozen=True)
class Stopped:
    term_at: float
    died_at: float
    killed: bool


def test_timeline_is_relative_to_term() -> None:
    """Times are relative to TERM, and what the server never took is drawn as refused."""
    report = Report(
        (
            request("long ago", Outcome.ANSWERED, 95, 95.1, 96),
            request("a", Outcome.ANSWERED, 99.5, 99.6, 100.25),
            request("b", Outcome.CUT, 99.7, None, 100.1),
            request("x", Outcome.CUT, 100.2, None, 100.2),
            request("y", Outcome.REFUSED, 100.3, None, 100.3),
        )
    )
    handlers = (Handler("a", 99.5, 100.2), Handler("b", 99.7, None))

    by_log = timeline(report, Stopped(100.0, 110.1, True), 10, handlers)
    by_headers = timeline(report, Stopped(101.0, 101.1, False), 10, clock_ahead_seconds=1.0)

    assert by_log == {
        "term_at": 0.0,
        "kill_at": 10.0,
        "died_at": 10.1,
        "grace_seconds": 10.0,
        "requests": [
            {"began": -0.5, "ended": 0.25, "outcome": "answered"},
            {"began": -0.3, "ended": 0.1, "outcome": "cut"},
            {"began": 0.2, "ended": 0.2, "outcome": "refused"},
            {"began": 0.3, "ended": 0.3, "outcome": "refused"},
        ],
    }
    assert by_headers["kill_at"] is None
    assert by_log["requests"] == by_headers["requests"]


class TestMetByRequests:
    """A stop that met no request is tried again."""

    def test_the_first_stop_that_met_some_counts(self):
        """The client had stalled twice."""
        told = iter([NothingInFlight("no"), NothingInFlight("no"), 7])

        def measure():
            found = next(told)
            if isinstance(found, Exception):
                raise found
            return found

        assert 7 == met_by_requests(measure)

    def test_another_fault_is_not_tried_again(self):
        """It would only come again."""
        tries = []

        def measure():
            tries.append(1)
            raise CouldNotMeasure("broken")

        with pytest.raises(CouldNotMeasure, match="broken"):
            met_by_requests(measure)
        assert 1 == len(tries)

    def test_after_three_stops_it_is_given_up(self):
        """With the reason."""
        tries = []

        def measure():
            tries.append(1)
            raise NothingInFlight("none met")

        with pytest.raises(NothingInFlight, match="none met"):
            met_by_requests(measure)
        assert 3 == len(tries)
