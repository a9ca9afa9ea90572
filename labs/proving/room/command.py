"""`nox -s hub`: a room on this machine, served until Ctrl-C; its codes are shown once."""

from __future__ import annotations

import argparse
import ipaddress
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from .. import engine, prepare
from ..engine import Engine
from ..errors import EngineError, ProvingError
from ..paths import LABS
from ..system import agreed, ending_in_order, print_anything, say
from . import codes, ground, image, proxy, settings
from .settings import SECRET_VARIABLE, Settings, host_of, secret_of_environment

CONFIGURATION = image.HUB / "jupyterhub_config.py"
STOP_SECONDS = 60.0
"""How long the hub may take to stop its seats; the session waits longer before it kills."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status, 1 where it could not be done."""
    options = _options(arguments)
    print_anything()
    try:
        with ending_in_order(hang_up=True, once=True):
            return _do(options)
    except ProvingError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("\nInterrupted.")
        return 128 + signal.SIGINT
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s hub --",
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
    parser.add_argument(
        "--subnet",
        type=_subnet,
        default=None,
        help=f"cut into the seats' networks (default: {Settings.subnet})",
    )
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
        type=_people,
        metavar="N",
        help="try it with N people at once, who run the first claim of chapter 9, and measure",
    )
    parser.add_argument("--record", action="store_true", help="keep what the trial has measured")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    if options.record and options.trial is None:
        parser.error("--record keeps what a trial has measured: give --trial N as well")
    if options.trial is not None and (name := _given(parser, arguments)):
        parser.error(
            f"--{name.replace('_', '-')} does not go with --trial, which opens a room of its own "
            "at this machine alone, and removes it: --memory, --cpus and --subnet go with it"
        )
    return options


_NOT_IN_A_TRIAL = (
    "seats",
    "address",
    "port",
    "tls_cert",
    "tls_key",
    "plain_http",
    "idle_minutes",
    "yes",
)


def _given(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> str:
    """Return an option that means nothing to a trial and was given; empty where none was."""
    told = parser.parse_args(arguments, argparse.Namespace(**dict.fromkeys(_NOT_IN_A_TRIAL)))
    return next((name for name in _NOT_IN_A_TRIAL if getattr(told, name) is not None), "")


def _subnet(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"give a network of IPv4 addresses, like {Settings.subnet}: {error}"
        ) from error


def _people(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give the number of people, 1 or more")
    return int(text)


def _do(options: argparse.Namespace) -> int:
    if options.who is not None:
        return _who(options)
    if options.clear:
        return _clear(ask=not options.yes)
    if options.trial is not None:
        from . import trial

        limits = {"memory": options.memory, "cpus": options.cpus, "subnet": options.subnet}
        return trial.run(trial.settings_of(options.trial, **limits), keep=options.record)
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
        return _until_stopped(hub, welcome(room, secret))


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
        subnet=options.subnet or Settings.subnet,
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
    """Run the hub of a room, and end it with its seats' containers; yield it and the secret.

    The hub stops its seats by itself; where it does not, they are removed from here.
    """
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
        _end(hub)
        with engine.talking_to(here):
            ground.Ground(here.docker, room).remove_containers()


def _end(hub: subprocess.Popen[bytes]) -> None:
    """End the hub; where it does not end in time, kill it, its proxy and its culler."""
    hub.terminate()
    try:
        hub.wait(timeout=STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(hub.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        hub.kill()
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


def _until_stopped(hub: subprocess.Popen[bytes], told: str) -> int:
    try:
        print(told, flush=True)
        status = hub.wait()
    except KeyboardInterrupt:
        say("\nThe room closes; what people have done stays until `nox -s hub -- --clear`.")
        return 0
    raise ProvingError(f"The hub ended by itself, with exit status {status}; it says why above.")


def welcome(room: Settings, secret: bytes) -> str:
    """Return what whoever opens the room must know: the address, and a code for each seat."""
    scheme = "https" if room.certificate else "http"
    host = host_of(address_to_open(room.address))
    return "\n".join(
        [
            "",
            f"  The room is at {scheme}://{host}:{room.port}",
            "",
            listed_codes(room, secret),
            "",
            "The codes are shown here once, and are written nowhere. Stop with Ctrl-C.",
        ]
    )


def address_to_open(address: str) -> str:
    """Return an address that a browser can open for one that a room is served at.

    Served at all of its addresses (`0.0.0.0` or `::`), the machine is reached at that on its
    network, or at its loopback where it is on none.
    """
    try:
        if not ipaddress.ip_address(address).is_unspecified:
            return address
    except ValueError:  # a name
        return address
    from ..kit.room import own_address

    try:
        return own_address()
    except ProvingError:
        return "127.0.0.1"


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
    here = engine.find(start=False)
    with engine.talking_to(here):
        count = ground.clear(here.docker)
    _forget_state()
    say(f"{count} things of the room are gone." if count else "There is no room here.")
    return 0


def _forget_state() -> None:
    """Remove what the hubs of all rooms have kept."""
    try:
        shutil.rmtree(settings.rooms())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ProvingError(
            f"{settings.rooms()} cannot be removed: {error.strerror}. Another user, root perhaps, "
            "has made it: clear the room as that user."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
