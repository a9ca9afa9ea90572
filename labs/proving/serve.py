"""The local server: Jupyter's, with an extension for the built site under `/site/`.

The site is behind the server's own token. `/site/open/NN-slug.html` leads to that lab in
JupyterLab; where the site stands alone, the page of that name is what the site's build put there.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
import re
import signal
import socket
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import ensure_async, url_path_join
from tornado import httpserver, web
from traitlets.config import Config

from . import workcopy
from .errors import ProvingError

SITE_FOLDER = "proving_site_folder"
"""The key of the server's `tornado_settings` that names the folder of the built site."""

PROGRESS_PAGE = "guide/my-progress.html"
"""The site's page that this server fills in with the reader's progress."""

_PROGRESS = re.compile("<!-- my progress -->.*?<!-- / -->", re.DOTALL)
_SETTLE_SECONDS = 3.0
_SHUTDOWN_SECONDS = 10.0
_STOP_SECONDS = 15.0
_ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"

_TYPES = mimetypes.MimeTypes(filenames=())
_TYPES.add_type("font/woff2", ".woff2")
_TYPES.add_type("application/x-ipynb+json", ".ipynb")


@dataclass(frozen=True)
class Place:
    """What is served: the repository with its built site, and the working copy."""

    root: Path
    work: Path

    @property
    def site(self) -> Path:
        """The folder of the built site."""
        return self.root / "_build" / "html"

    @property
    def jupyter(self) -> Path:
        """The folder of Jupyter's own files, so that nothing is written to the reader's home."""
        return self.work / workcopy.JUPYTER


class LocalServer(ServerApp):
    """A Jupyter server on a socket that listens already, which the first Ctrl-C stops."""

    listening: socket.socket
    stopped_by: signal.Signals | None = None

    def init_httpserver(self) -> None:
        """Serve on the socket that was given: no other program can take the port meanwhile."""
        self._http_server = httpserver.HTTPServer(
            self.web_app,
            max_body_size=self.max_body_size,
            max_buffer_size=self.max_buffer_size,
        )
        self.io_loop.add_callback(self._http_server.add_socket, self.listening)

    def init_signal(self) -> None:
        """Stop at the first signal, and without a question."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._stop_once)

    def stop(self, from_signal: bool = False) -> None:
        """Stop, and do so even where the cleaning up fails or hangs."""
        super().stop(from_signal)
        self.io_loop.add_callback(self.io_loop.call_later, _STOP_SECONDS, self.io_loop.stop)

    async def cleanup_kernels(self) -> None:
        """Shut the kernels down, and kill those that do not follow.

        Jupyter's own way fails on a kernel that is just being restarted, and then never ends.
        """
        kernels = [self._kernel(kernel) for kernel in self.kernel_manager.list_kernel_ids()]
        with suppress(Exception):
            await asyncio.wait_for(_settled(kernels), _SETTLE_SECONDS)
        for kernel in kernels:
            await _kill_if_starting(kernel)
        with suppress(Exception):
            await asyncio.wait_for(super().cleanup_kernels(), _SHUTDOWN_SECONDS)
        for kernel in self.kernel_manager.list_kernel_ids():
            await ensure_async(self._kernel(kernel).shutdown_kernel(now=True))

    def _kernel(self, kernel: str) -> Any:
        return self.kernel_manager.get_kernel(kernel)

    def _stop_once(self, number: int, _frame: object) -> None:
        if self.stopped_by is not None:
            return
        self.stopped_by = signal.Signals(number)
        self.stop(from_signal=True)


async def _settled(kernels: list[Any]) -> None:
    while not all(kernel.ready.done() for kernel in kernels):
        await asyncio.sleep(0.1)


async def _kill_if_starting(kernel: Any) -> None:
    """Kill a kernel that has run nothing yet: asked to stop, it would answer with a traceback."""
    if getattr(kernel, "execution_state", None) == "starting" and kernel.provisioner:
        await kernel.provisioner.kill()


def set_environment(place: Place) -> None:
    """Set what the server and its kernels inherit: where the package is, where Jupyter writes."""
    labs = str(place.root / "labs")
    given = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([labs, given]) if given else labs
    for variable, folder in (
        ("JUPYTER_CONFIG_DIR", "config"),
        ("JUPYTER_DATA_DIR", "data"),
        ("JUPYTER_RUNTIME_DIR", "runtime"),
        ("IPYTHONDIR", "ipython"),
    ):
        os.environ[variable] = str(place.jupyter / folder)
    for variable in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_NO_CONFIG"):
        os.environ.pop(variable, None)
    _write_settings(place.jupyter)


def configuration(place: Place, address: str, port: int, token: str) -> Config:
    """Return the server's settings: one token, our extension, nothing asked of other hosts."""
    return Config(
        Application={"log_level": "ERROR"},
        ServerApp={
            "ip": address,
            "port": port,
            "root_dir": str(place.work),
            "default_url": "/site/",
            "allow_root": True,
            "open_browser": False,
            "jpserver_extensions": {
                "jupyter_server_terminals": True,
                "jupyterlab": True,
                "proving.serve": True,
            },
            "tornado_settings": {SITE_FOLDER: str(place.site)},
        },
        IdentityProvider={"token": token},
        PasswordIdentityProvider={"hashed_password": ""},
        KernelSpecManager={"allowed_kernelspecs": {"python3"}},
        LabApp={
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",
        },
    )


def _write_settings(jupyter: Path) -> None:
    """Write the settings that can only be given in a file.

    JupyterLab does not ask whether it may fetch news, and a kernel does not warn that it listens
    on this machine without encryption.
    """
    for path, settings in (
        ("config/labconfig/page_config.json", {"disabledExtensions": {_ANNOUNCEMENTS: True}}),
        (
            "ipython/profile_default/ipython_kernel_config.json",
            {"IPKernelApp": {"log_level": "ERROR"}},
        ),
    ):
        file = jupyter / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), "utf-8")


class _SitePage(JupyterHandler):
    """What the pages under `/site/` have in common: they need the token, and one 404 page."""

    auth_resource = "contents"

    @property
    def prefix(self) -> str:
        """The address of the site on this server, such as `/site/`."""
        return url_path_join(self.base_url, "site/")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the site's own page where something is not there."""
        page = Path(self.settings[SITE_FOLDER]) / "404.html"
        if status_code != 404 or not page.is_file():
            super().write_error(status_code, **kwargs)
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_at_any_depth(page.read_text("utf-8"), self.prefix))


class SiteHandler(_SitePage, web.StaticFileHandler):
    """A file of the built site.

    A browser asks every time and mostly hears that nothing has changed, so that a rebuilt site is
    seen at once.
    """

    @web.authenticated
    @authorized
    def get(self, path: str, include_body: bool = True) -> Awaitable[None]:  # type: ignore[override]
        """Answer with the file, or with its headers alone."""
        return web.StaticFileHandler.get(self, path, include_body)

    @web.authenticated
    @authorized
    def head(self, path: str) -> Awaitable[None]:  # type: ignore[override]
        """Answer with the file's headers."""
        return web.StaticFileHandler.get(self, path, include_body=False)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Refuse what lies outside the site, and hide files that start with a dot."""
        path = super().validate_absolute_path(root, absolute_path)
        if path and any(part.startswith(".") for part in Path(path).relative_to(root).parts):
            raise web.HTTPError(404)
        return path

    def compute_etag(self) -> str | None:
        """Tell one version of a file from the next by its time and its size."""
        if self.absolute_path is None:
            return None
        file = Path(self.absolute_path).stat()
        return f'"{file.st_mtime_ns:x}-{file.st_size:x}"'

    def set_extra_headers(self, path: str) -> None:
        """Have browsers ask again before they use what they kept."""
        super().set_extra_headers(path)
        self.set_header("Cache-Control", "private, no-cache")

    def get_content_type(self) -> str:
        """Tell the type by the name, in the same way on every machine."""
        guessed, encoding = _TYPES.guess_type(self.absolute_path or "")
        if guessed is None or encoding:
            return "application/octet-stream"
        return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


class OpenLabHandler(_SitePage):
    """The way from a page to its lab, on the reader's working copy in JupyterLab."""

    @web.authenticated
    @authorized
    def get(self, name: str) -> None:
        """Lead to the notebook; 404 where the working copy has none of that name."""
        notebook = f"{name}.ipynb"
        if not (Path(self.settings["server_root_dir"]).expanduser() / notebook).is_file():
            raise web.HTTPError(404)
        self.redirect(url_path_join(self.base_url, "lab/tree", quote(notebook)))


class ProgressHandler(_SitePage):
    """The page of the reader's progress: the site's own, with what is kept on this machine."""

    @web.authenticated
    @authorized
    def get(self) -> None:
        """Answer with the page; 404 where the site has none."""
        page = Path(self.settings[SITE_FOLDER]) / PROGRESS_PAGE
        if not page.is_file():
            raise web.HTTPError(404)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(with_progress(page.read_text("utf-8"), self.prefix))


def with_progress(page: str, prefix: str) -> str:
    """Return the page of the progress with what is kept on this machine filled in."""
    from . import my_progress, my_progress_told

    try:
        told = my_progress_told.html(my_progress.read(), lambda path: f"{prefix}{path}")
    except ProvingError as error:
        told = f"<p>{escape(str(error))}</p>"
    return _PROGRESS.sub(lambda _: told, page, count=1)


def _at_any_depth(page: str, prefix: str) -> str:
    """Make the links of a page at the site's root work from any address below it."""
    page = re.sub(rf'\b(href|src)="/(?!/|{re.escape(prefix[1:])})', rf'\1="{prefix}', page)
    return re.sub(r"<head\b[^>]*>", rf'\g<0><base href="{prefix}">', page, count=1)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "proving.serve"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    application: Any = server.web_app
    folder = application.settings[SITE_FOLDER]
    site = url_path_join(application.settings["base_url"], "site")
    application.add_handlers(
        ".*$",
        [
            (site, web.RedirectHandler, {"url": f"{site}/", "permanent": False}),
            (rf"{site}/open/(\d\d-[a-z0-9-]+)\.html", OpenLabHandler),
            (f"{site}/{re.escape(PROGRESS_PAGE)}", ProgressHandler),
            (rf"{site}/(.*)", SiteHandler, {"path": folder, "default_filename": "index.html"}),
        ],
    )
