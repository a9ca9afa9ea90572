"""What chapter 1 reads of containers, without an engine."""

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
