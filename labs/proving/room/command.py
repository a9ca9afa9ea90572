"""`nox -s hub`: a room on this machine, served until Ctrl-C; its codes are shown once."""

from __future__ import annotations

import argparse
import ipaddress
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import engine, prepare
from ..engine import Engine
from ..errors import EngineError, ProvingError
from ..paths import LABS
from ..system import agreed, print_anything, say
from . import codes, ground, image, proxy
from .settings import SECRET_VARIABLE, Settings, secret_of_environment

CONFIGURATION = image.HUB / "jupyterhub_config.py"
STOP_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status, 1 where it could not be done."""
    options = _options(arguments)
    print_anything()
    try:
        return _do(options)
    except ProvingError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("\nInterrupted before the room was open.")
        return 128 + signal.SIGINT
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hub",
        description="Open a room on this machine: everybody signs in with a code, and has "
        "JupyterLab, the guide and an engine of their own. It is served on this machine alone "
        "unless another address is given.",
    )
    parser.add_argument(
        "--seats", default="12", help="how many, or names with commas between (default: 12)"
    )
    parser.add_argument("--address", default="127.0.0.1", help="serve at this address")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tls-cert", type=Path, default=None, metavar="FILE")
    parser.add_argument("--tls-key", type=Path, default=None, metavar="FILE")
    parser.add_argument(
        "--plain-http",
        action="store_true",
        help="serve at another address than this machine's own without encryption",
    )
    parser.add_argument("--memory", default="2G", help="of each seat (default: 2G)")
    parser.add_argument("--cpus", type=float, default=1.0, help="of each seat (default: 1)")
    parser.add_argument(
        "--idle-minutes", type=int, default=60, help="after which an unused seat is stopped"
    )
    parser.add_argument("--subnet", default="10.214.0.0/16", help="cut into the seats' networks")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--who",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="show how far those are who share it: in this room, or by exports in a folder",
    )
    chosen.add_argument("--clear", action="store_true", help="remove the room and all work in it")
    chosen.add_argument("--build", action="store_true", help="build the image of a seat, no more")
    chosen.add_argument(
        "--codes",
        action="store_true",
        help=f"print the codes that {SECRET_VARIABLE} makes, for a room on a cluster",
    )
    chosen.add_argument(
        "--trial",
        type=int,
        metavar="N",
        help="try it with N people at once, who run the first claim of chapter 9, and measure",
    )
    parser.add_argument("--record", action="store_true", help="keep what the trial has measured")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def _do(options: argparse.Namespace) -> int:
    if options.who is not None:
        return _who(options)
    if options.clear:
        return _clear(ask=not options.yes)
    if options.trial:
        from . import trial

        return trial.run(options.trial, keep=options.record)
    if options.build:
        ready()
        say(f"The image of a seat is {image.TAG}.")
        return 0
    room = settings_of(options)
    if options.codes:
        print(listed_codes(room, secret_of_environment()))
        return 0
    here = ready()
    with opened(here, room) as (hub, secret):
        print(welcome(room, secret), flush=True)
        return _until_stopped(hub)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the room that the command line describes.

    Raises:
        ProvingError: it would be served to others without encryption, and nobody asked for that.
    """
    if bool(options.tls_cert) != bool(options.tls_key):
        raise ProvingError("Give --tls-cert and --tls-key together, or neither.")
    if not (is_loopback(options.address) or options.tls_cert or options.plain_http):
        raise ProvingError(
            f"At {options.address}, codes and work would cross the room's network where others "
            "can read them. Give a certificate with --tls-cert and --tls-key, or put a server "
            "that encrypts in front of 127.0.0.1, or say --plain-http on a network that is yours."
        )
    return Settings(
        seats=seats_of(options.seats),
        image=image.TAG,
        address=options.address,
        port=options.port,
        certificate=str(options.tls_cert.resolve()) if options.tls_cert else "",
        key=str(options.tls_key.resolve()) if options.tls_key else "",
        memory=options.memory,
        cpus=options.cpus,
        idle_minutes=options.idle_minutes,
        subnet=options.subnet,
    )


def seats_of(text: str) -> tuple[str, ...]:
    """Return the seats that a number or a list of names asks for: `3` is seat01 to seat03."""
    if text.isdecimal():
        return tuple(f"seat{number:02}" for number in range(1, int(text) + 1))
    return tuple(name.strip() for name in text.split(","))


def is_loopback(address: str) -> bool:
    """Tell whether an address is one that only this machine has a way to."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def ready() -> Engine:
    """Make the engine, the site, the proxy and the image of a seat ready; return the engine.

    Raises:
        ProvingError: one of them cannot be had.
    """
    if not sys.platform.startswith("linux"):
        raise EngineError(
            "A room needs a Linux machine with its own engine: elsewhere, seats are not reached."
        )
    prepare.ready()
    found = engine.find()
    proxy.ready()
    image.build(found)
    return found


@contextmanager
def opened(here: Engine, room: Settings) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Run the hub of a room, and end it with its seats' containers; yield it and the secret."""
    secret = os.environ.get(SECRET_VARIABLE) or secrets.token_urlsafe(32)
    hub = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", f"--config={CONFIGURATION}"],
        env=_environment(here, room, secret),
        cwd=_state(room),
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches it once, from here
    )
    try:
        yield hub, secret.encode()
    finally:
        hub.terminate()
        try:
            hub.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(hub.pid, signal.SIGKILL)
            hub.wait()


def _state(room: Settings) -> Path:
    room.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return room.state


def _environment(here: Engine, room: Settings, secret: str) -> Mapping[str, str]:
    inherited = os.environ.get("PYTHONPATH", "")
    return {
        **here.environment(),
        **room.environment(),
        SECRET_VARIABLE: secret,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(LABS), inherited))),
    }


def _until_stopped(hub: subprocess.Popen[bytes]) -> int:
    try:
        status = hub.wait()
    except KeyboardInterrupt:
        say("\nThe room closes; what people have done stays until `nox -s hub -- --clear`.")
        return 0
    raise ProvingError(f"The hub ended by itself, with exit status {status}; it says why above.")


def welcome(room: Settings, secret: bytes) -> str:
    """Return what whoever opens the room must know: the address, and a code for each seat."""
    scheme = "https" if room.certificate else "http"
    return "\n".join(
        [
            "",
            f"  The room is at {scheme}://{room.address}:{room.port}",
            "",
            listed_codes(room, secret),
            "",
            "The codes are shown here once, and are written nowhere. Stop with Ctrl-C.",
        ]
    )


def listed_codes(room: Settings, secret: bytes) -> str:
    """Return the code of each seat and of the trainer, a line for each."""
    codes_told = [f"  {seat:<16}{codes.code_of(secret, seat)}" for seat in room.everybody]
    return "\n".join(["  Username        Password", *codes_told])


def _who(options: argparse.Namespace) -> int:
    from .. import terminal
    from . import view

    if options.who:
        told = view.of_folder(Path(options.who))
    else:
        told = view.of_engine(engine.find(start=False).docker)
    terminal.show(view.report(told))
    return 0


def _clear(*, ask: bool) -> int:
    if ask and not agreed("Remove the room and all that people have done in it?"):
        raise ProvingError("The room stays. `--clear --yes` removes it without asking.")
    count = ground.clear(engine.find(start=False).docker)
    say(f"{count} things of the room are gone." if count else "There is no room here.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
