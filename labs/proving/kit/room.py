"""Serve a kit to a room: its files, an index of its wheels (PEP 503), and the site, to be read.

All of it lies below a token, which is a part of the manifest's own checksum: whoever has the
address can tell this kit from any other. Nothing can be written.
What is asked of a registry is passed on to one on this machine's loopback, where there is one: its
repositories lie below `/v2/` and the token, as engines ask for them.
"""

from __future__ import annotations

import html
import logging
import mimetypes
import socket
import sys
import tarfile
from asyncio import Event, get_running_loop, run
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TextIO

from tornado import httpserver, iostream, netutil, web

from .. import wheels
from ..system import ending_in_order
from . import manifest, pull, sources
from .manifest import NAME, SITE, SOURCE, WHEELS, KitError, Manifest

if TYPE_CHECKING:
    import httpx

PORT = 8475
"""The port on which a room is served unless another is named."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Proving Ground: this room</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.05rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem;
       padding: 0 1rem; }}
pre {{ border: 1px solid; border-radius: .4rem; overflow-x: auto; padding: .8rem; }}
</style></head><body>
<h1>Proving Ground: this room</h1>
{site}
<h2>Run the labs on your laptop</h2>
<p>You need Python 3.11 or newer and a container engine. Then, in a terminal:</p>
<pre tabindex="0">{commands}</pre>
<p>The kit is of {made}, for {architectures}.</p>
{missing}
</body></html>
"""


_SITE_LINK = '<p><a href="pages/index.html">Read the guide</a>: it needs nothing but a browser.</p>'


@contextmanager
def no_registry(_folder: Path, _found: Manifest) -> Iterator[str]:
    """Run no registry: images travel as files alone."""
    yield ""


def serve(
    folder: Path,
    address: str = "",
    port: int = PORT,
    out: TextIO = sys.stdout,
    registry: Callable[[Path, Manifest], AbstractContextManager[str]] = no_registry,
) -> None:
    """Serve a kit's folder on one address of this machine until Ctrl-C, or until it is ended.

    Meanwhile there is a `registry`, which yields its own address on loopback, or an empty one.
    Whatever ends this ends that in order, once: the registry's container goes on by itself.

    Raises:
        KitError: there is no complete kit, or the address cannot be used.
    """
    found = manifest.read(folder)
    if not found.is_complete:
        raise KitError(f"The kit in {folder} is not complete. Run `nox -s kit` again.")
    bad = [one.path for one in found.entries if not manifest.is_whole(folder, one)]
    if bad:
        raise KitError(f"{bad[0]} of the kit is missing or damaged. Run `nox -s kit` again.")
    host = address or own_address()
    listening = _listen(host, port)
    room = f"http://{host}:{listening[0].getsockname()[1]}/{token(folder)}"
    with (
        suppress(KeyboardInterrupt),
        ending_in_order(hang_up=True, once=True, note=_say_no_more),
        registry(folder, found) as behind,
    ):
        out.write(told(room))
        out.flush()
        run(_serve(application(folder, found, room, behind), listening))


def _say_no_more() -> None:
    """Have answers that the end cuts off be no news."""
    logging.getLogger("tornado.general").setLevel(logging.CRITICAL)


async def _serve(app: web.Application, listening: list[socket.socket]) -> None:
    server = _Server(app)
    server.add_sockets(listening)
    try:
        await Event().wait()  # until a signal cancels it
    finally:
        server.stop()
        await server.close_all_connections()


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        return netutil.bind_sockets(port, host)
    except OSError as error:
        raise KitError(
            f"The room cannot be served on port {port} of {host}: {error.strerror or error}. "
            "Name another one by --port, or an address of this machine by --address."
        ) from error


def own_address() -> str:
    """Return the address of this machine on its network, without a packet being sent.

    Raises:
        KitError: it has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # TEST-NET-2 (RFC 5737): nobody's
        except OSError as error:
            raise KitError(
                "This machine has no network that a room could reach it by. Join the room's "
                "network, or name an address of this machine by --address."
            ) from error
        return str(probe.getsockname()[0])


def token(folder: Path) -> str:
    """Return what the address of a room that serves this kit ends with."""
    return sources.token_of((folder / NAME).read_bytes())


def told(room: str) -> str:
    """Return what the trainer's terminal shows: the address, as text and as a QR code."""
    import io

    import segno

    picture = io.StringIO()
    segno.make(f"{room}/", micro=False).terminal(out=picture, compact=True, border=2)
    return (
        f"\nThe room is served at {room}/ until Ctrl-C.\n"
        "Whoever has this address can read the kit; nobody can write to it.\n\n"
        f"{picture.getvalue()}\n"
        f"Participants: open that page, or say\n\n    export {sources.VARIABLE}={room}\n\n"
    )


def application(folder: Path, found: Manifest, room: str, registry: str = "") -> web.Application:
    """Return the server's pages for a kit that was checked, and what it passes on to a registry."""
    base = f"/{token(folder)}"
    known = {NAME: token(folder), **{entry.path: entry.sha256 for entry in found.entries}}
    kit = {"path": str(folder), "known": known}
    return web.Application(
        [
            *(_registry_pages(token(folder), registry) if registry else []),
            (base, web.RedirectHandler, {"url": f"{base}/"}),
            (f"{base}/", _Page, {"text": page(found, room)}),
            (f"{base}/simple/", _Page, {"text": index(found)}),
            (f"{base}/simple/([a-z0-9-]+)/", _Project, {"found": found}),
            (f"{base}/pages/(.*)", _SiteFile, {"files": site_files(folder)}),
            (f"{base}/(.*)", _KitFile, kit),
        ],
        log_function=lambda _: None,  # nobody keeps who has read what
    )


def _registry_pages(token: str, registry: str) -> list[tuple[Any, ...]]:
    """Return what of a registry's API can be asked for: manifests and blobs, to be read."""
    import httpx

    anybody = httpx.Limits(max_connections=None)
    patience = httpx.Timeout(30, pool=None)
    client = httpx.AsyncClient(base_url=registry, limits=anybody, timeout=patience, trust_env=False)
    one = rf"/v2/{token}/([a-z0-9][a-z0-9._/-]*)/(manifests|blobs)/([A-Za-z0-9_][A-Za-z0-9_.:-]*)"
    return [(r"/v2/?", _RegistryRoot), (one, _Registry, {"client": client})]


def page(found: Manifest, room: str) -> str:
    """Return the room's own page: what to type, and what the kit lacks."""
    host = room.split("/")[2].rpartition(":")[0]
    pip = f".venv/bin/pip install --index-url {room}/simple/ --trusted-host {host} nox"
    fetch = [f"curl {room}/{SOURCE}/guide.tar.gz | tar -xz", "cd guide"]
    commands = [
        *(fetch if found.find(f"{SOURCE}/guide.tar.gz") else []),
        "python3 -m venv .venv",
        pip,
        f"export {sources.VARIABLE}={room}",
        ".venv/bin/nox -s guide",
    ]
    lacks = "".join(
        f"<li>{html.escape(f'{one.what}, {one.architecture}: {one.why}')}</li>"
        for one in found.missing
    )
    has_site = any(one.part == SITE for one in found.entries)
    return _PAGE.format(
        site=_SITE_LINK if has_site else "",
        commands=html.escape("\n".join(commands)),
        made=html.escape(found.made[:10]),
        architectures=html.escape(" and ".join(found.architectures()) or "no engine"),
        missing=f"<h2>What this kit does not have</h2><ul>{lacks}</ul>" if lacks else "",
    )


def projects(found: Manifest) -> dict[str, list[manifest.Entry]]:
    """Return the kit's wheels by their projects' names as an index spells them (PEP 503)."""
    listed: dict[str, list[manifest.Entry]] = {}
    for entry in found.entries:
        if entry.part == WHEELS:
            name = PurePosixPath(entry.path).name.partition("-")[0]
            listed.setdefault(wheels.normalised(name), []).append(entry)
    return listed


def index(found: Manifest) -> str:
    """Return the index of projects (PEP 503)."""
    links = "".join(f'<a href="{name}/">{name}</a><br>\n' for name in sorted(projects(found)))
    return f"<!doctype html><title>Wheels</title>\n{links}"


def project(found: Manifest, name: str) -> str | None:
    """Return the index's page of one project, with checksums; None where the kit has none."""
    entries = projects(found).get(name)
    if entries is None:
        return None
    links = "".join(
        f'<a href="../../{one.path}#sha256={one.sha256}">{PurePosixPath(one.path).name}</a><br>\n'
        for one in entries
    )
    return f"<!doctype html><title>{name}</title>\n{links}"


def site_files(folder: Path) -> dict[str, bytes]:
    """Return the site's files by their paths; nothing where the kit has none."""
    archive = folder / SITE / "site.tar.gz"
    if not archive.is_file():
        return {}
    with tarfile.open(archive) as tar:
        return {
            member.name.removeprefix("site/"): file.read()
            for member in tar
            if member.isreg() and (file := tar.extractfile(member)) is not None
        }


class _Read(web.RequestHandler):
    """What all pages have in common: they keep the address to themselves."""

    def get(self, *path: str) -> None:
        raise NotImplementedError

    def head(self, *path: str) -> None:
        self.get(*path)

    def set_default_headers(self) -> None:
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")  # the token is in the address

    def answer(self, content: bytes | str | None, name: str = "a.html") -> None:
        if content is None:
            raise web.HTTPError(404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        self.set_header("Content-Type", kind + charset)
        self.finish(content)


class _Page(_Read):
    def initialize(self, text: str) -> None:
        self.text = text

    def get(self, *_: str) -> None:
        self.answer(self.text)


class _Project(_Read):
    def initialize(self, found: Manifest) -> None:
        self.found = found

    def get(self, *path: str) -> None:
        self.answer(project(self.found, path[0]))


class _SiteFile(_Read):
    def initialize(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def get(self, *path: str) -> None:
        name = path[0] or "index.html"
        self.answer(self.files.get(name), name)


class _KitFile(web.StaticFileHandler):
    """A file that the manifest names, whole or from the middle on."""

    def initialize(  # type: ignore[override]
        self, path: str, known: Mapping[str, str], **_: Any
    ) -> None:
        super().initialize(path)
        self.known = known

    def compute_etag(self) -> str:
        return f'"{self.known[self.path]}"'  # tornado's own would read all of the file

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        if self.path not in self.known:
            raise web.HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)


class _RegistryRoot(_Read):
    """What an engine asks for first: whether there is a registry (OCI distribution spec, end-1)."""

    def get(self, *_: str) -> None:
        self.set_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.answer("{}", "a.json")


class _Registry(_Read):
    """A manifest or a blob of the registry, passed on as fast as it is taken."""

    def initialize(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, *path: str) -> None:  # type: ignore[override]
        """Pass on the answer, whole or in part."""
        import httpx

        asked = {
            name: self.request.headers[name] for name in _ASKED if name in self.request.headers
        }
        try:
            async with self.client.stream(
                str(self.request.method), f"/v2/{'/'.join(path)}", headers=asked
            ) as answer:
                self.set_status(answer.status_code)
                for name in _TOLD:
                    if name in answer.headers:
                        self.set_header(name, answer.headers[name])
                if self.request.method == "GET":
                    async for chunk in answer.aiter_raw():
                        self.write(chunk)
                        await self.flush()
                await self.finish()
        except iostream.StreamClosedError:
            pass  # whoever asked has gone
        except httpx.HTTPError as error:
            raise web.HTTPError(HTTPStatus.BAD_GATEWAY) from error

    async def head(self, *path: str) -> None:  # type: ignore[override]
        """Pass on what the answer would be."""
        await self.get(*path)

    def compute_etag(self) -> str | None:
        """Leave it to the registry, whose own is passed on."""
        return None


_ASKED = ("Accept", "Range")
_TOLD = (
    "Accept-Ranges",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "Etag",
)


class _Server(httpserver.HTTPServer):
    """A server that answers those at once who begin with TLS, as engines do with a registry."""

    async def handle_stream(  # type: ignore[override]
        self, stream: iostream.IOStream, address: tuple[Any, ...]
    ) -> None:
        if await _first_byte(stream.socket) != pull.TLS:
            super().handle_stream(stream, address)
            return
        with suppress(iostream.StreamClosedError):
            await stream.read_bytes(1 << 16, partial=True)  # unread, it would reset the answer
            await stream.write(pull.NO_TLS)
        stream.close()


async def _first_byte(connection: socket.socket) -> bytes:
    """Return the first byte that comes, which stays to be read; none where the other side goes."""
    come = Event()
    loop = get_running_loop()
    while True:
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            loop.add_reader(connection, come.set)
        except OSError:
            return b""
        try:
            await come.wait()
        finally:
            loop.remove_reader(connection)
        come.clear()
