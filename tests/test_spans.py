"""Spans tell where time went, cost nothing unasked, and never get in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from proving import spans
from proving.paths import LABS
from proving.spans import span


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """Ask for spans, and return the file that they go to."""
    file = tmp_path / "spans.jsonl"
    monkeypatch.setenv(spans.VARIABLE, str(file))
    return file


def test_a_span_tells_what_took_how_long(noted):
    """A block's name, detail and times are kept, an outer block's around an inner one's."""
    with span("lab", "09"), span("build", "P1/bad"):
        pass

    outer, inner = spans.read(noted)

    assert ("lab", "09", "build", "P1/bad") == (outer.name, outer.detail, inner.name, inner.detail)
    assert outer.began <= inner.began <= inner.ended <= outer.ended
    assert outer.seconds == outer.ended - outer.began


def test_a_block_that_fails_is_noted_too(noted):
    """An exception ends the span and passes."""
    with pytest.raises(ZeroDivisionError), span("build"):
        _ = 1 / 0

    assert ["build"] == [noted.name for noted in spans.read(noted)]


def test_nothing_is_noted_unasked(tmp_path, monkeypatch):
    """Without the variable no file is written, and there is nothing to read."""
    monkeypatch.delenv(spans.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)

    with span("build"):
        pass
    spans.note("grace period", "", 1.0, 2.0)

    assert [] == list(tmp_path.iterdir())
    assert [] == spans.read(tmp_path / "spans.jsonl")


def test_times_known_afterwards_can_be_noted(noted):
    """A wait that the engine has timed gets the times that are given."""
    spans.note("grace period", "P1", 10.0, 20.5)

    (found,) = spans.read(noted)

    assert (10.0, 20.5, 10.5) == (found.began, found.ended, found.seconds)


def test_a_span_tells_whose_lane_it_was(noted, monkeypatch):
    """That of the process, which its kernel was given, unless the runner tells another."""
    monkeypatch.setenv(spans.LANE_VARIABLE, "beside")
    with span("lab", lane=""), span("build"):
        pass

    assert {"lab": "", "build": "beside"} == {one.name: one.lane for one in spans.read(noted)}


def test_threads_and_processes_share_a_file(noted):
    """Lines do not mix, and the clock is the same one everywhere."""
    code = "from proving.spans import span\nfor _ in range(200):\n    with span('other'): pass"

    def many():
        for _ in range(200):
            with span("build", "x" * 300):
                pass

    with span("all"):
        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        subprocess.run([sys.executable, "-c", code], check=True, env=_environment())
        for thread in threads:
            thread.join()
    found = spans.read(noted)
    whole = next(one for one in found if one.name == "all")

    assert 4 * 200 + 200 + 1 == len(found)
    assert all(whole.began <= one.began and one.ended <= whole.ended for one in found)
    assert 2 == len({one.process for one in found})


def test_a_file_that_cannot_be_written_fails_no_measurement(tmp_path, monkeypatch):
    """The note is lost, and the block's work goes on."""
    monkeypatch.setenv(spans.VARIABLE, str(tmp_path / "missing" / "spans.jsonl"))

    with span("build"):
        done = True

    assert done


def test_an_unfinished_line_is_passed_over(noted):
    """A process that was killed while writing spoils its own line only."""
    with span("build"):
        pass
    with noted.open("a") as file:
        file.write('{"name": "cell", "det')

    assert ["build"] == [one.name for one in spans.read(noted)]


def _environment():
    return {**os.environ, "PYTHONPATH": str(LABS)}
