"""What `guide --check` tries on a running server, as a browser and JupyterLab would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from . import workcopy
from .claims import MIME
from .errors import ProvingError
from .kernels import CheckFailed, notebook_kernel, run_cells

if TYPE_CHECKING:
    from .guide import Running
    from .serve import Place

_ANSWER_SECONDS = 30
_GONE_SECONDS = 15


class Checks:
    """The checks so far: each is told in one line when it is done."""

    def __init__(self) -> None:
        self._passed = 0
        self._failed = 0
        self._abandoned = False
        self._mine = psutil.Process()
        self._others = set(self._mine.children())
        self._started: list[psutil.Process] = []

    def see(self, what: str, check: Callable[..., None], *arguments: object) -> None:
        """Do one check; it fails by raising, and whatever it raises is told."""
        try:
            check(*arguments)
        except Exception as error:
            reason = str(error) if isinstance(error, ProvingError) else repr(error)
            self._tell("failed", f"{what}: {reason}")
            self._failed += 1
        else:
            self._tell("passed", what)
            self._passed += 1

    def remember_processes(self) -> None:
        """Note the processes that the server has started, to see later that they are gone."""
        for child in set(self._mine.children()) - self._others:
            self._started += [child, *child.children(recursive=True)]

    def nothing_is_left(self, server: Running) -> None:
        """See that the port is closed and that no kernel outlives its server."""
        self.see("the server and its kernels are gone", self._expect_gone, server)

    def abandon(self) -> None:
        """Say no more: the checks were interrupted, what fails now means nothing."""
        self._abandoned = True

    def all_passed(self) -> bool:
        """Tell whether nothing failed."""
        return self._failed == 0

    def summary(self) -> str:
        """Return the last line of the check."""
        return f"{self._passed} passed, {self._failed} failed"

    def _tell(self, verdict: str, what: str) -> None:
        if not self._abandoned:
            print(f"{verdict}  {what}", flush=True)

    def _expect_gone(self, server: Running) -> None:
        _, alive = psutil.wait_procs(self._started, timeout=_GONE_SECONDS)
        if alive:
            raise CheckFailed(f"{len(alive)} processes still run after {_GONE_SECONDS} s")
        try:
            httpx.get(server.address(), trust_env=False, timeout=_ANSWER_SECONDS)
        except httpx.ConnectError:
            return
        raise CheckFailed(f"port {server.port} still answers")


def try_everything(server: Running, place: Place, checks: Checks) -> None:
    """Do every check on a running server, and have it stop at the end."""
    try:
        with _browser(server) as stranger, _browser(server, server.token) as reader:
            _check_pages(reader, stranger, checks)
            _check_labs(reader, server, place, checks)
    finally:
        checks.remember_processes()
        server.stop()


def _check_pages(reader: httpx.Client, stranger: httpx.Client, checks: Checks) -> None:
    checks.see("the site answers", _expect_page, reader, "site/")
    checks.see("JupyterLab answers", _expect_page, reader, "lab")
    checks.see("the site asks for the token", _expect_refusal, stranger, "site/")
    checks.see("JupyterLab asks for the token", _expect_refusal, stranger, "lab")
    checks.see("/ leads to the site", _expect_redirect, reader, "", "/site/")


def _check_labs(reader: httpx.Client, server: Running, place: Place, checks: Checks) -> None:
    labs = workcopy.notebooks(place.work)
    for name in labs:
        checks.see(f"the site opens {name} in JupyterLab", _expect_lab, reader, name)
    if labs:
        checks.see(
            f"cells of {labs[0]} run in a kernel, up to the first claim",
            _expect_claim,
            reader,
            server,
            place.work / f"{labs[0]}.ipynb",
            checks,
        )
    else:
        checks.see("there is a lab", _fail_without_labs)


def _fail_without_labs() -> None:
    raise CheckFailed("the working copy holds no notebook")


@contextmanager
def _browser(server: Running, token: str | None = None) -> Iterator[httpx.Client]:
    """Ask as a browser does, with the token or without, and never through a proxy."""
    headers = {"Authorization": f"token {token}"} if token else {}
    with httpx.Client(
        base_url=server.address(), headers=headers, trust_env=False, timeout=_ANSWER_SECONDS
    ) as client:
        yield client


def _expect_page(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    kind = answer.headers.get("content-type", "no type")
    if answer.status_code != 200 or not kind.startswith("text/html"):
        raise CheckFailed(f"expected a page at /{path}, got {answer.status_code} and {kind}")


def _expect_refusal(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    to_login = answer.is_redirect and "/login" in answer.headers["location"]
    if not to_login and answer.status_code != 403:
        raise CheckFailed(f"without a token, /{path} answered {answer.status_code}")


def _expect_redirect(client: httpx.Client, path: str, target: str) -> None:
    answer = client.get(path)
    found = answer.headers.get("location", "").partition("?")[0]
    if not answer.is_redirect or found != target:
        raise CheckFailed(
            f"expected /{path} to lead to {target}, got {answer.status_code} {found}".rstrip()
        )


def _expect_lab(client: httpx.Client, name: str) -> None:
    _expect_redirect(client, f"site/open/{name}.html", f"/lab/tree/{name}.ipynb")
    _expect_page(client, f"lab/tree/{name}.ipynb")


def _expect_claim(client: httpx.Client, server: Running, path: Path, checks: Checks) -> None:
    claim, sources = cells_of_first_claim(path)
    with notebook_kernel(client, path.name) as kernel:
        checks.remember_processes()
        address = server.address(f"api/kernels/{kernel}/channels")
        shown = run_cells(address, server.token, sources)
    if MIME not in shown:
        raise CheckFailed(f"the cells of {claim} ran, but showed no result of the claim")


def cells_of_first_claim(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the first claim's id and the sources of its set-up cells and its own.

    Raises:
        CheckFailed: no code cell of the notebook carries a claim.
    """
    cells = [
        ("".join(cell["source"]), cell["metadata"].get("claim"))
        for cell in json.loads(path.read_text("utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    claims = [claim for _, claim in cells]
    first = next((claim for claim in claims if claim), None)
    if first is None:
        raise CheckFailed(f"no cell of {path.name} carries a claim")
    begin = claims.index(first)
    set_up = [source for source, _ in cells[:begin]]
    own = [source for source, claim in cells[begin:] if claim == first]
    return first, (*set_up, *own)
