"""The host: what ends a process ends its work in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from proving import system
from proving.paths import LABS
from waiting import until

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have handlers of our own, whatever runs these tests has, and give what they have noted."""
    noted: list[int] = []
    before = {one: signal.signal(one, lambda number, _: noted.append(number)) for one in ENDINGS}
    yield noted
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block_as_an_interrupt_does(name, handlers):
    """Each of them, as often as it comes; afterwards it is for who had it before."""
    noted = []
    with system.ending_in_order(note=lambda: noted.append("note")):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), name)
    os.kill(os.getpid(), name)

    assert ["note", "note"] == noted
    assert [name] == handlers


def test_only_the_first_counts_where_that_is_asked_for(handlers):
    """Whatever comes while the block clears up cuts nothing short."""
    noted = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            for one in ENDINGS:
                os.kill(os.getpid(), one)
            noted.append("cleared")

    with system.ending_in_order(once=True, hang_up=True), pytest.raises(KeyboardInterrupt):
        work()

    assert ["cleared"] == noted
    assert [] == handlers


def test_a_terminal_that_closes_is_for_who_asks_for_it(handlers):
    """Unless it is ignored already, as `nohup` has it."""
    with system.ending_in_order():
        os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with system.ending_in_order(hang_up=True):
        os.kill(os.getpid(), signal.SIGHUP)

    assert [signal.SIGHUP] == handlers
    assert signal.SIG_IGN is signal.getsignal(signal.SIGHUP)


def test_handlers_are_given_back_whatever_happens(handlers):
    """An error leaves as it is."""
    before = [signal.getsignal(one) for one in ENDINGS]
    with pytest.raises(ValueError, match="why"), system.ending_in_order(hang_up=True):
        raise ValueError("why")

    assert before == [signal.getsignal(one) for one in ENDINGS]


def test_a_process_ends_in_order_when_its_parent_is_killed(tmp_path):
    """It clears up, and does not stay behind."""
    code = (
        "import pathlib, time\nfrom proving import system\n"
        "with system.ending_in_order():\n try:\n"
        "  print('up', flush=True); time.sleep(60)\n"
        f" finally:\n  pathlib.Path({str(tmp_path / 'cleared')!r}).touch()\n"
    )
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    environment = {**os.environ, "PYTHONPATH": str(LABS)}
    command = [sys.executable, "-c", starter]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert b"up\n" == parent.stdout.readline()
        parent.kill()
        assert until((tmp_path / "cleared").exists, 20)
