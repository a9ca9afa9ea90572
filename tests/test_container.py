"""Processes and stops are read from what the engine and a helper container tell."""

import pytest
from proving.container import KILLED, _without_helper, parse_processes, read_stop
from proving.errors import CouldNotMeasure


def test_processes_are_read_without_the_helper(answer):
    """The helper that lists the processes is not one of them."""
    processes = _without_helper(parse_processes(answer("docker-20.10/processes-killed.txt")))

    assert [(1, 0, "sh"), (7, 1, "worker.sh"), (8, 7, "sleep")] == [
        (process.pid, process.ppid, process.comm) for process in processes
    ]


def test_a_name_with_blanks_and_brackets_is_read_whole():
    """A process may call itself anything (proc_pid_stat(5)); state Z is a zombie."""
    (process,) = parse_processes("7 (a) S (b c) Z 1 1 1 0 -1 4\t\n")

    assert ("a) S (b c", "Z", 1) == (process.comm, process.state, process.ppid)
    assert process.is_zombie


def test_a_stop_that_was_heard(answer):
    """The application ends by its own status, well before the grace period is over."""
    stop = read_stop(answer("docker-20.10/events-handled.json"))

    assert (0, False, 15) == (stop.exit_status, stop.killed, stop.signal)
    assert 0 < stop.seconds < 2
    assert stop.seconds == pytest.approx(stop.died_at - stop.term_at)


def test_a_stop_that_was_not_heard(answer):
    """After the grace period (2 s in this recording) the engine kills."""
    stop = read_stop(answer("docker-20.10/events-killed.json"))

    assert (KILLED, True, 15) == (stop.exit_status, stop.killed, stop.signal)
    assert stop.seconds >= 2


def test_a_stop_without_events_is_not_measured():
    """An engine that forgot its events gives no figure."""
    with pytest.raises(CouldNotMeasure, match="do not tell"):
        read_stop([])
