"""What chapter 8 reads of containers and of arguments, without an engine."""

import pytest
from proving import configuration
from proving.errors import CouldNotMeasure

GIVEN = {"spaces": "two words", "star": "*", "empty": ""}
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 00000000:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0
"""
STATE = {
    "Running": False,
    "StartedAt": "2026-11-25T10:00:00.123456789Z",
    "FinishedAt": "2026-11-25T10:00:01.623456789Z",
}
LOG = """\
2026-11-25T10:00:01.500000001Z ready
2026-11-25T10:00:11.000000002Z Traceback (most recent call last):
2026-11-25T10:00:12.000000003Z Traceback (most recent call last):
"""


class TestArguments:
    """Which of the given arguments are among those that came."""

    def test_what_comes_as_it_was_is_intact(self):
        """Whatever stands between them."""
        came = ["", "more", "*", "two words"]

        assert {"spaces": True, "star": True, "empty": True} == configuration.intact(GIVEN, came)

    def test_what_was_split_or_is_gone_is_not(self):
        """Words that came apart are not the argument, and nothing is not an empty one."""
        came = ["two", "words", "bin", "etc"]

        assert {"spaces": False, "star": False, "empty": False} == configuration.intact(GIVEN, came)

    def test_an_argument_that_came_once_counts_once(self):
        """Two equal ones were given, and one arrived."""
        found = configuration.intact({"first": "a", "second": "a"}, ["a"])

        assert {"first": True, "second": False} == found


class TestTimes:
    """The engine's timestamps, in Unix seconds."""

    def test_a_run_has_both_ends(self):
        """Nanoseconds are shortened to what a clock of Python's can hold."""
        run = configuration.parse_run(STATE)

        assert 1.5 == pytest.approx(run.ended_at - run.started_at)

    def test_a_container_that_runs_has_not_ended(self):
        """Its FinishedAt is that of an earlier run, or of none."""
        assert configuration.parse_run(STATE | {"Running": True}).ended_at is None

    def test_a_container_that_was_never_started_has_no_run(self):
        """Engines tell it by the year 1, which must not become a figure."""
        with pytest.raises(CouldNotMeasure, match="never started"):
            configuration.parse_run(STATE | {"StartedAt": "0001-01-01T00:00:00Z"})

    def test_the_first_line_that_matches_tells_the_time(self):
        """Later failures are not the first one."""
        ready_at = configuration.first_line_at(LOG, "^ready")

        assert 9.5 == pytest.approx(configuration.first_line_at(LOG, "^Traceback") - ready_at)

    def test_an_end_may_be_noted_before_the_start(self):
        """Docker 20.10 told of a shell's end 10 ms before its start: it took no time."""
        assert 0.0 == configuration.seconds_between(100.01, 100.0)

    def test_an_end_long_before_the_start_is_no_figure(self):
        """Then the times are those of two runs, or of two clocks."""
        with pytest.raises(CouldNotMeasure, match="before the start"):
            configuration.seconds_between(100.0, 90.0)

    def test_a_log_without_such_a_line_tells_nothing(self):
        """Absence is no time."""
        with pytest.raises(CouldNotMeasure, match="No line"):
            configuration.first_line_at(LOG, "panic")


def test_listeners_have_their_address():
    """The bytes of an address stand in the machine's order; a connection is no listener."""
    assert ("0.0.0.0:9090", "127.0.0.1:8080") == configuration.listeners(TABLE)


def test_a_table_without_sockets_has_no_listeners():
    """The head of the table is no socket."""
    assert () == configuration.listeners(TABLE.splitlines()[0])
