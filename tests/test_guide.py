"""The guide's own process: its port, its end, and its check of itself."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket
from local_server import (
    CARD,
    LAB,
    Guide,
    cell,
    command,
    environment,
    make_guide,
    served,
    write_notebook,
)
from proving import guide, guide_check, kernels
from proving.errors import EngineError, ProvingError

CHECK_SECONDS = 120


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_guide(tmp_path / "root")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    folder = tmp_path_factory.mktemp("shared")
    with served(make_guide(folder / "root"), folder / "home") as running:
        yield running


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def check(root: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run `guide --check` to its end."""
    return subprocess.run(
        command(root, "--check"),
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )


def check_lab(running: Guide, *cells: dict[str, Any]) -> None:
    """Run a notebook of these cells in the running guide, as the check does."""
    path = running.root / "work" / "10-other.ipynb"
    write_notebook(path, *cells)
    port = int(running.origin.rpartition(":")[2])
    server = guide.Running(None, port, running.token)
    with running.client(running.token) as client:
        guide_check._expect_claim(client, server, path, guide_check.Checks())


def start_kernel(running: Guide, cell_source: str = "") -> list[psutil.Process]:
    """Open the lab, begin to run a cell, and return the processes of the guide."""
    with running.client(running.token) as client:
        asked = {
            "path": f"{LAB}.ipynb",
            "name": LAB,
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        answer = client.post("/api/sessions", json=asked)
        assert answer.status_code == 201
    if cell_source:
        begin_to_run(running, answer.json()["kernel"]["id"], cell_source)
    server = psutil.Process(running.process.pid)
    kernels = server.children(recursive=True)
    assert kernels
    return [server, *kernels]


def begin_to_run(running: Guide, kernel: str, source: str) -> None:
    """Run a cell until it has said something."""
    address = f"{running.origin}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
    header = [f"Authorization: token {running.token}"]
    channels = websocket.create_connection(address, timeout=30, header=header)
    channels.send(json.dumps(kernels._execute_request(source)))
    while json.loads(channels.recv())["msg_type"] != "stream":
        pass
    channels.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_ends_all_of_it(root: Path, tmp_path: Path, number: int) -> None:
    """One Ctrl-C asks nothing, ends server and kernels, and is no failure."""
    with served(root, tmp_path / "home") as running:
        processes = start_kernel(running)
        running.process.send_signal(number)
        said, _ = running.process.communicate(timeout=30)

    assert running.process.returncode == 0
    assert said.strip() == "The guide has stopped."
    assert psutil.wait_procs(processes, timeout=15)[1] == []
    assert list((root / "work" / ".jupyter" / "runtime").glob("*.json")) == []


def test_kernel_that_will_not_stop_is_killed(root: Path, tmp_path: Path) -> None:
    """A cell that swallows every interrupt does not keep the guide from ending."""
    stubborn = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
while True:
    time.sleep(1)
"""
    with served(root, tmp_path / "home") as running:
        processes = start_kernel(running, stubborn)
        running.process.send_signal(signal.SIGINT)
        running.process.communicate(timeout=30)

    assert running.process.returncode == 0
    assert psutil.wait_procs(processes, timeout=15)[1] == []


def test_killed_guide_leaves_no_kernel(root: Path, tmp_path: Path) -> None:
    """A kernel notices that its server was killed, and ends."""
    with served(root, tmp_path / "home") as running:
        processes = start_kernel(running)
        time.sleep(1)
        running.process.kill()

    assert psutil.wait_procs(processes, timeout=15)[1] == []


def test_check_sees_that_all_works(root: Path, tmp_path: Path) -> None:
    """The check runs a lab up to its first claim, passes, and leaves nothing behind."""
    result = check(root, tmp_path)

    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "8 passed, 0 failed"
    assert result.returncode == 0
    assert not (root / "work").exists()
    assert list((tmp_path / "home").iterdir()) == []


def test_check_tells_a_dead_kernel_and_still_ends(root: Path, tmp_path: Path) -> None:
    """A kernel that dies fails its check; that it is being restarted does not keep the server."""
    deadly = cell("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", claim="P1")
    write_notebook(root / "labs" / f"{LAB}.ipynb", deadly)

    result = check(root, tmp_path)

    assert result.returncode == 1
    assert "the kernel died" in result.stdout
    assert result.stdout.splitlines()[-1] == "7 passed, 1 failed"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no engine')", "RuntimeError: no engine"),
        ("1 + 1", "P1 ran, but showed no result"),
    ],
)
def test_lab_that_fails_is_told_with_its_reason(shared: Guide, source: str, reason: str) -> None:
    """A cell that raises, or shows no result of its claim, fails the check of the lab."""
    with pytest.raises(ProvingError, match=reason):
        check_lab(shared, cell(source, claim="P1"))


def test_kernel_runs_in_the_working_copy_with_the_package(shared: Guide) -> None:
    """A lab finds the package and, beside it, the reader's exercises."""
    check_lab(
        shared,
        cell("import proving.claims, pathlib; from IPython.display import display"),
        cell("assert pathlib.Path('exercises/process-management/start/Dockerfile').is_file()"),
        cell(CARD, claim="P1"),
    )


def test_taken_port_is_told_before_anything_is_prepared(
    root: Path, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that was asked for and is taken ends the guide with a sentence at once."""
    prepared: list[bool] = []

    status = guide.main(["--port", str(taken_port)], lambda: prepared.append(True), root)

    assert status == 1
    assert f"cannot use port {taken_port}" in capsys.readouterr().err
    assert prepared == []


def test_next_free_port_is_taken(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --port, a taken port is passed over."""
    monkeypatch.setattr(guide, "FIRST_PORT", taken_port)

    with guide._listen(None) as listening:
        assert listening.getsockname()[1] > taken_port


def test_no_free_port_is_a_sentence(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every port is taken, the reader hears how to give one."""
    monkeypatch.setattr(guide, "FIRST_PORT", taken_port)
    monkeypatch.setattr(guide, "_PORTS_TO_TRY", 1)

    with pytest.raises(ProvingError, match="--port"):
        guide._listen(None)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_impossible_port_is_a_usage_error(port: str) -> None:
    """What is no port is refused by the command line."""
    with pytest.raises(SystemExit, match="2"):
        guide.main([f"--port={port}"], ready=lambda: None)


def test_port_is_held_while_preparing(root: Path) -> None:
    """No other program can take the port during the preparation."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    taken: list[bool] = []

    def ready() -> None:
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        taken.append(True)
        raise EngineError("enough")

    guide.main(["--port", str(port)], ready, root)

    assert taken == [True]


def test_failed_preparation_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the preparation says is what the reader hears, and the status is 1."""

    def ready() -> None:
        raise EngineError("No engine. Install one.")

    assert guide.main([], ready, root) == 1
    assert capsys.readouterr().err == "No engine. Install one.\n"


def test_interrupted_preparation_is_no_success(root: Path) -> None:
    """Ctrl-C before the guide was ready is told to whoever started it."""

    def ready() -> None:
        raise KeyboardInterrupt

    assert guide.main([], ready, root) == 130


def test_site_that_is_not_built_is_a_sentence(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a site there is nothing to serve."""
    (root / "_build" / "html" / "index.html").unlink()

    assert guide.main(["--no-browser"], lambda: None, root) == 1
    assert "no built site" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [
        (True, {"DISPLAY": ":0"}, True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (True, {}, False),
        (False, {"DISPLAY": ":0"}, False),
    ],
)
def test_browser_is_opened_only_where_one_can_be_seen(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, variables: dict[str, str], expected: bool
) -> None:
    """A window needs a display, and a person at the terminal."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert guide._has_browser() is expected


def test_cells_of_the_first_claim(tmp_path: Path) -> None:
    """Set-up cells come first, then the claim's own, wherever they stand; no other claim's."""
    path = tmp_path / "lab.ipynb"
    write_notebook(
        path,
        cell("set_up"),
        cell("P1 measures", claim="P1"),
        cell("P2 measures", claim="P2"),
        cell("P1 shows", claim="P1"),
        cell("afterwards"),
    )

    found = guide_check.cells_of_first_claim(path)

    assert found == ("P1", ("set_up", "P1 measures", "P1 shows"))


def test_notebook_without_a_claim_is_a_sentence(tmp_path: Path) -> None:
    """A lab that proves nothing fails the check."""
    path = tmp_path / "lab.ipynb"
    write_notebook(path, cell("1"))

    with pytest.raises(ProvingError, match="carries a claim"):
        guide_check.cells_of_first_claim(path)
