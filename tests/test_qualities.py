"""What chapter 1 reads of containers, without an engine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from proving import qualities
from proving.errors import CouldNotMeasure

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0
"""


def test_listening_ports_are_read_from_both_tables():
    """A port counts once, and a connection is no listener."""
    assert (22, 80, 8000) == qualities.listening_ports(TABLE)


def test_a_table_without_sockets_has_no_ports():
    """The head of the table is no socket."""
    assert () == qualities.listening_ports(TABLE.splitlines()[0])


def test_a_variable_may_have_the_sign_in_its_value():
    """Only the first sign parts a name from its value."""
    assert "a=b" == qualities.variable(["PATH=/bin", "OPTIONS=a=b"], "OPTIONS")


def test_a_variable_that_is_not_there_is_told_so():
    """It must not look like an empty one."""
    assert "(not told)" == qualities.variable(["PATH=/bin"], "GREETING")


def test_all_limits_are_those_of_each():
    """Under all limits means under every one of them."""
    assert {
        "user": "10001:10001",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    } == qualities.all_limits()


def test_functions_that_come_and_go_are_no_count(monkeypatch):
    """A program that is started again and again would be waited for without an end."""
    seen = iter(range(10**6))
    monkeypatch.setattr(qualities, "functions", lambda _app: (str(next(seen)),))
    monkeypatch.setattr(qualities.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(qualities, "ALL_SETTLED_SECONDS", 0.05)

    with pytest.raises(CouldNotMeasure, match="still change"):
        qualities._settled(None)


class Guestbook:
    """Stands in for a guestbook in a container; some connections for a POST break."""

    def __init__(self, breaks: set[int], *, first_keeps: bool = False) -> None:
        self.entries: list[str] = []
        asked = iter(range(10**6))
        book = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"entries": book.entries}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                number = next(asked)
                words = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if number not in breaks or first_keeps:
                    book.entries.append(words)
                if number in breaks:
                    self.close_connection = True
                    return
                self.do_GET()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def address(self, _port: int) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def ask(self, port: int, path: str, *, timeout_seconds: float) -> httpx.Response:
        return httpx.get(f"http://{self.address(port)}{path}", timeout=timeout_seconds)


class TestEntries:
    """Entries are written once each."""

    @pytest.fixture
    def opened(self) -> Iterator[list[Guestbook]]:
        """The guestbooks of a test, closed in the end."""
        books: list[Guestbook] = []
        yield books
        for book in books:
            book.server.shutdown()
            book.server.server_close()

    @pytest.mark.parametrize("keeps", [False, True])
    def test_a_connection_that_breaks_loses_and_doubles_none(self, opened, keeps):
        """Whether the entry had been taken or not."""
        opened.append(Guestbook({0, 3}, first_keeps=keeps))
        qualities.write_entries(opened[0], 5)

        assert 5 == len(opened[0].entries) == qualities.entries_of(opened[0])

    def test_connections_that_break_again_and_again_are_told(self, opened):
        """It is not tried without end."""
        opened.append(Guestbook(set(range(50))))

        with pytest.raises(CouldNotMeasure, match="does not take an entry"):
            qualities.write_entries(opened[0], 5)
