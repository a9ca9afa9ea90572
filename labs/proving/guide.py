"""The guide on one local server: the site and JupyterLab, one port, one token.

`python -m proving.guide` prepares what is needed, serves on 127.0.0.1 until Ctrl-C and ends with
exit status 0. With `--check` it tries everything on a working copy of its own, and leaves.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import my_progress, workcopy
from .errors import ProvingError
from .paths import ROOT

if TYPE_CHECKING:
    from .serve import LocalServer, Place

ADDRESS = "127.0.0.1"
FIRST_PORT = 8888
_PORTS_TO_TRY = 50
_QUIET = {workcopy.State.NEW, workcopy.State.CURRENT, workcopy.State.KEPT}

Ready = Callable[[], object]


@dataclass(frozen=True)
class Running:
    """A server in this process, whose loop runs on the main thread."""

    app: LocalServer
    port: int
    token: str

    def address(self, path: str = "") -> str:
        """Return the address of a path on this server, without the token."""
        return f"http://{ADDRESS}:{self.port}/{path}"

    def with_token(self, path: str) -> str:
        """Return the address that a person opens: it carries the token."""
        return f"{self.address(path)}?token={self.token}"

    def stop(self) -> None:
        """Have the server stop; any thread may ask."""
        self.app.io_loop.add_callback(self.app.stop)


def main(
    arguments: Sequence[str] | None = None, ready: Ready | None = None, root: Path = ROOT
) -> int:
    """Run the guide and return its exit status: 0 after Ctrl-C, 1 where something failed.

    `ready` makes the engine, the bases and the site ready; without it, `proving.prepare` does.
    """
    options = _options(arguments)
    try:
        with closing(_listen(options.port)) as listening:
            (ready or _ready)()
            if options.check:
                return _check(root, listening)
            return _serve(root, listening, browser=not options.no_browser)
    except ProvingError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted before the guide was ready.", file=sys.stderr, flush=True)
        return 128 + signal.SIGINT


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s guide --", description="Serve the guide and its labs on this machine."
    )
    parser.add_argument("--check", action="store_true", help="see that all of it works, and leave")
    parser.add_argument(
        "--port", type=_port, help=f"serve on this port (default: {FIRST_PORT} or the next free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number up to 65535")
    return int(text)


def _ready() -> None:
    from . import prepare

    prepare.ready()


def next_port() -> int:
    """Return the port that the guide would use now, unless it is given one.

    Raises:
        ProvingError: none of those that it tries is free.
    """
    with closing(_listen(None)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _listen(wanted: int | None) -> socket.socket:
    """Take the port before the long preparation starts, and keep it."""
    if wanted is not None:
        try:
            return _listen_on(wanted)
        except OSError as error:
            raise ProvingError(
                f"The guide cannot use port {wanted} of {ADDRESS}: {error.strerror}. "
                "Give another with --port, or none to get the next free one."
            ) from error
    last = FIRST_PORT + _PORTS_TO_TRY - 1
    for port in range(FIRST_PORT, last + 1):
        try:
            return _listen_on(port)
        except OSError:
            continue
    raise ProvingError(
        f"None of the ports {FIRST_PORT} to {last} of {ADDRESS} is free. Give one with --port."
    )


def _listen_on(port: int) -> socket.socket:
    from tornado.netutil import bind_sockets

    return bind_sockets(port, ADDRESS)[0]


def _serve(root: Path, listening: socket.socket, *, browser: bool) -> int:
    from .serve import Place

    place = Place(root, root / workcopy.FOLDER)
    _report(workcopy.prepare(root, place.work))
    with running(place, listening) as server:
        _greet(server)
        if browser and _has_browser():
            _open_browser(server.with_token("site/"))
        server.app.start()
    print("The guide has stopped.", flush=True)
    return 0


def _check(root: Path, listening: socket.socket) -> int:
    """Check on a working copy of its own, so that the reader's is neither run nor changed."""
    from .guide_check import Checks, try_everything
    from .serve import Place

    checks = Checks()
    os.environ[my_progress.VARIABLE] = my_progress.NONE  # what a check proves is nobody's progress
    with tempfile.TemporaryDirectory(prefix="proving-check-", ignore_cleanup_errors=True) as folder:
        place = Place(root, Path(folder).resolve() / workcopy.FOLDER)
        workcopy.prepare(root, place.work)
        with running(place, listening) as server:
            client = threading.Thread(
                target=try_everything, args=(server, place, checks), daemon=True
            )
            server.app.io_loop.add_callback(client.start)
            server.app.start()
            if server.app.stopped_by is not None:
                checks.abandon()
                return 128 + server.app.stopped_by
            client.join()
        checks.nothing_is_left(server)
    print(checks.summary(), flush=True)
    return 0 if checks.all_passed() else 1


@contextmanager
def running(place: Place, listening: socket.socket) -> Iterator[Running]:
    """Make the server; its `app.start()` then serves until it is stopped.

    Raises:
        ProvingError: the site is not built, or Jupyter refuses to start.
    """
    from .serve import LocalServer, configuration, set_environment

    if not (place.site / "index.html").is_file():
        raise ProvingError(f"There is no built site in {place.site}. Build it with `nox -s docs`.")
    set_environment(place)
    port: int = listening.getsockname()[1]
    token = secrets.token_hex(24)
    app = LocalServer.instance(config=configuration(place, ADDRESS, port, token))
    app.listening = listening
    try:
        app.initialize(argv=[], find_extensions=False)
        yield Running(app, port, token)
    except SystemExit as exit_:
        raise ProvingError(
            f"The Jupyter server ended by itself with exit status {exit_.code}; "
            "what it wrote above says why."
        ) from exit_
    finally:
        LocalServer.clear_instance()


def _report(files: Sequence[workcopy.CopiedFile]) -> None:
    for sentence in workcopy.sentences(file for file in files if file.state not in _QUIET):
        print(f"{workcopy.FOLDER}/{sentence}")


def _greet(server: Running) -> None:
    if server.port != FIRST_PORT:
        print(f"The guide is on port {server.port}.")
    print(
        "\n"
        f"  The guide    {server.with_token('site/')}\n"
        f"  JupyterLab   {server.with_token('lab')}\n"
        "\n"
        f"Your copy of the notebooks is in {workcopy.FOLDER}/. Stop with Ctrl-C.",
        flush=True,
    )


def _has_browser() -> bool:
    """Tell whether a window can open here: a text browser would take over the terminal."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open_browser(address: str) -> None:
    """Open the address without waiting: some browsers only return when they are closed.

    A file of ours leads there, since everybody on the machine can read a command line, and the
    address carries the token.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    page = Path(jupyter_runtime_dir()) / "open.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.touch(mode=0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0; url={address}">\n', encoding="utf-8")
    threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()


if __name__ == "__main__":
    raise SystemExit(main())
