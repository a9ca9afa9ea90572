"""Lanes: which kernel runs which cells, that they run at the same time, and how they end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from proving import lanes
from proving.lanes import Lane, Work
from waiting import until


def cell(source: str, claim: str = "") -> Any:
    """Return a cell of a notebook."""
    return new_code_cell(source, metadata={"claim": claim} if claim else {})


def notebook(*cells: Any) -> Any:
    """Return a notebook with a set-up before these cells."""
    return new_notebook(cells=[cell("import os, time"), *cells])


def sources(lane: Lane) -> list[str]:
    """Return what a lane runs."""
    return [cell.source for cell in lane.cells]


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("P1", "lab.claim('P1')", True),
        ("P2", "lab.claim('P2')", False),
        ("", "lab = Lab('09-process-management')", True),
        ("", 'lab.exercise("start")', False),
        ("", "lab.audit(mine)", False),
    ],
)
def test_a_claim_alone_runs_its_cells_and_the_set_up(claim, source, expected):
    """The reader's turn has its own tests."""
    assert expected == lanes.is_needed(cell(source, claim), {"P1"})


def test_a_claim_beside_the_others_has_the_set_up_for_itself():
    """Both lanes keep the notebook's order; the reader's turn is the first one's."""
    cells = [
        cell("lab = Lab()"),
        cell("one", "P1"),
        cell("two", "P2"),
        cell("def helper(): ..."),
        cell("three", "P3"),
        cell("lab.exercise('start')"),
        cell("lab.close()"),
    ]
    first, second = lanes.split(cells, {"P2"})

    assert ["lab = Lab()", "one", "def helper(): ...", "three"] == sources(first)[:4]
    assert ["lab.exercise('start')", "lab.close()"] == sources(first)[4:]
    assert ["lab = Lab()", "two", "def helper(): ...", "lab.close()"] == sources(second)
    assert ({"P1", "P3"}, {"P2"}) == (first.claims, second.claims)
    assert first.cells[0] is cells[0]
    assert second.cells[0] is not cells[0]
    assert second.cells[1] is cells[2]


@pytest.mark.parametrize("beside", [set(), {"P9"}, {"P1", "P2"}])
def test_there_is_one_lane_where_nothing_is_beside_something(beside):
    """A claim that is proved alone needs no second kernel."""
    cells = [cell("lab = Lab()"), cell("one", "P1"), cell("two", "P2")]
    (only,) = lanes.split(cells, beside)

    assert ["lab = Lab()", "one", "two"] == sources(only)
    assert "" == only.name


def test_each_lane_is_a_run_of_its_own():
    """A lab that is closed removes what is its run's, and nothing of the other lane's."""
    assert "0a1b" == Lane("", []).run_name("0a1b")
    assert "0a1b-beside" == Lane(lanes.BESIDE, []).run_name("0a1b")


def test_cells_are_numbered_in_the_order_of_the_notebook():
    """As one kernel would have: both lanes count from 1, and a cell that was not run has none."""
    cells = [cell("1"), new_markdown_cell("text"), cell("2"), cell("3"), cell("4")]
    for ran, count in ((cells[0], 1), (cells[2], 2), (cells[4], 2)):
        ran.execution_count = count
    cells[4].outputs = [nbformat.v4.new_output("execute_result", execution_count=2)]
    lanes.number(cells)

    assert [1, 2, None, 3] == [cells[at].execution_count for at in (0, 2, 3, 4)]
    assert 3 == cells[4].outputs[0].execution_count


def ran_all(content: Any, beside: set[str], **variables: object) -> tuple[list[Lane], list[str]]:
    """Run a notebook in real kernels; return its lanes, and the sources in the order told."""
    chosen = lanes.split(content.cells, beside)
    told: list[str] = []
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    works = [Work(lane, content, environment) for lane in chosen]
    lanes.run_all(works, lambda _work, ran: ran and told.append(ran.source))
    return chosen, told


WAIT = "while not os.path.exists(os.environ['{}']): time.sleep(0.05)"
TOUCH = "open(os.environ['{}'], 'w').close()"


def test_lanes_run_at_the_same_time_and_share_the_notebook(tmp_path: Path) -> None:
    """Each waits for the other; outputs lie where their cells are, and are told as they come."""
    one = cell(f"{TOUCH.format('A')}\n{WAIT.format('B')}\nprint('one')", "P1")
    two = cell(f"{WAIT.format('A')}\nprint('two')", "P2")
    last = cell(f"{TOUCH.format('B')}\nprint('three')", "P3")
    content = notebook(one, two, last)
    _, told = ran_all(content, {"P2", "P3"}, A=tmp_path / "a", B=tmp_path / "b")

    outputs = ["".join(output.text for output in ran.outputs) for ran in content.cells]
    assert ["", "one\n", "two\n", "three\n"] == outputs
    assert 5 == len(told)
    assert told.index(two.source) < told.index(last.source)
    assert told.index(two.source) < told.index(one.source)


def test_a_kernel_that_dies_ends_its_lane_alone():
    """The other one's claims are measured, and this one's are told why they are not."""
    content = notebook(cell("os._exit(1)", "P1"), cell("print('two')", "P2"))
    (first, second), _ = ran_all(content, {"P2"})

    assert "two\n" == content.cells[2].outputs[0].text
    assert first.why_missing("P1").startswith("The lab's kernel went away: ")
    assert {} == second.errors


def test_an_error_is_that_of_its_claim():
    """The claims after it are run all the same."""
    content = notebook(cell("1 / 0", "P1"), cell("print('two')", "P2"))
    (only,), told = ran_all(content, set())

    assert 3 == len(told)
    assert "ZeroDivisionError: division by zero" == only.why_missing("P1")
    assert "Its cells gave no result." == only.why_missing("P2")


def test_an_error_of_the_set_up_ends_its_lane():
    """None of its claims can be measured without it."""
    content = notebook(cell("1 / 0"), cell("print('one')", "P1"))
    (only,), told = ran_all(content, set())

    assert 2 == len(told)
    assert "ZeroDivisionError: division by zero" == only.why_missing("P1")


def test_lanes_of_several_notebooks_are_two_tracks(tmp_path: Path) -> None:
    """What one lane leaves is removed before the next one of its track begins."""
    done = [tmp_path / name for name in "ab"]
    first = notebook(cell(f"time.sleep(1)\nopen({str(done[0])!r}, 'w').close()", "P1"))
    other = notebook(cell(f"while not os.path.exists({str(done[1])!r}): time.sleep(0.05)", "K1"))
    last = notebook(cell(f"open({str(done[1])!r}, 'w').close()", "R1"))
    ended: list[str] = []
    cleared: list[bool] = []

    def clear() -> None:
        cleared.append(done[0].exists() and not done[1].exists())

    works = [
        Work(Lane("", first.cells, "09"), first, os.environ, clear),
        Work(Lane(lanes.BESIDE, other.cells, "07"), other, os.environ),
        Work(Lane("", last.cells, "08"), last, os.environ),
    ]
    lanes.run_all(works, lambda work, ran: ran is None and ended.append(work.lane.lab))

    assert [True] == cleared
    assert "09" == ended[0]
    assert {"07", "08"} == set(ended[1:])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Take SIGINT as Python does, also where these tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_both_lanes_in_mid_cell(tmp_path: Path) -> None:
    """Their kernels are gone when it is told, however long the cells would have taken."""
    here = "open(os.environ['{}'], 'w').write(str(os.getpid()))\ntime.sleep(300)"
    pids = [tmp_path / "a", tmp_path / "b"]

    def interrupt() -> None:
        until(lambda: all(file.exists() for file in pids), 60)
        os.kill(os.getpid(), signal.SIGINT)

    content = notebook(cell(here.format("A"), "P1"), cell(here.format("B"), "P2"))
    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ran_all(content, {"P2"}, A=pids[0], B=pids[1])

    assert time.monotonic() - began < 90
    assert [] == [file for file in pids if Path("/proc", file.read_text()).exists()]
