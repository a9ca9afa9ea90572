"""Somebody in a room, as a browser and JupyterLab act for them: by the hub's own addresses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx

from ..kernels import CheckFailed, notebook_kernel, run_cells

ANSWER_SECONDS = 60
START_SECONDS = 600
_XSRF = "_xsrf"


class Visitor:
    """Somebody who has a seat and its code."""

    def __init__(self, room: str, seat: str, code: str) -> None:
        self.room = room
        self.seat = seat
        self._code = code
        self._browser = httpx.Client(
            base_url=room, timeout=ANSWER_SECONDS, trust_env=False, follow_redirects=True
        )
        self._token = ""

    def sign_in(self) -> None:
        """Sign in by the hub's form, and have a token of their own made.

        Raises:
            CheckFailed: the hub does not let them in.
        """
        self._browser.get("/hub/login")
        form = {"username": self.seat, "password": self._code, _XSRF: self._xsrf()}
        answer = self._browser.post("/hub/login", data=form)
        if answer.url.path.startswith("/hub/login"):
            raise CheckFailed(f"{self.seat} was not let in: {answer.status_code}")
        made = self._browser.post(
            f"/hub/api/users/{self.seat}/tokens", headers={"X-XSRFToken": self._xsrf()}
        )
        if made.status_code != 201:
            raise CheckFailed(f"{self.seat} got no token: {made.status_code} {made.text}")
        self._token = made.json()["token"]

    def start(self) -> float:
        """Start their server, wait until it is ready, and return how many seconds that took.

        Raises:
            CheckFailed: it does not start.
        """
        began = time.monotonic()
        with self.api() as hub:
            asked = hub.post(f"users/{self.seat}/server")
            while time.monotonic() - began < START_SECONDS:
                if asked.is_error:
                    raise CheckFailed(f"{self.seat} got no server: {asked.text}")
                server = hub.get(f"users/{self.seat}").json()["servers"].get("", {})
                if server.get("ready"):
                    return time.monotonic() - began
                if not server.get("pending"):
                    raise CheckFailed(f"the server of {self.seat} has stopped while it started")
                time.sleep(0.5)
        raise CheckFailed(f"the server of {self.seat} was not ready within {START_SECONDS} s")

    def stop(self) -> None:
        """Stop their server; the hub goes on stopping it after this returns."""
        with self.api() as hub:
            hub.delete(f"users/{self.seat}/server")

    def status_of(self, path: str) -> int:
        """Return with which status the room answers them at an address, by their own token."""
        with self._client("/") as client:
            return client.get(path).status_code

    def run(self, notebook: str, sources: Sequence[str]) -> tuple[float, set[str]]:
        """Run cells in a notebook's kernel at their seat; return the seconds and what was shown.

        Raises:
            CheckFailed: a cell raised, or no kernel started.
        """
        began = time.monotonic()
        home = f"/user/{self.seat}/"
        with self._client(home) as client, notebook_kernel(client, notebook) as kernel:
            address = f"{self.room}{home}api/kernels/{kernel}/channels"
            shown = run_cells(address, self._token, sources)
        return time.monotonic() - began, shown

    def close(self) -> None:
        """Close the browser."""
        self._browser.close()

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """Speak to the hub's API as themselves."""
        with self._client("/hub/api/") as client:
            yield client

    def _client(self, path: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.room}{path}",
            headers={"Authorization": f"token {self._token}"},
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )

    def _xsrf(self) -> str:
        cookies = [cookie for cookie in self._browser.cookies.jar if cookie.name == _XSRF]
        return max(cookies, key=lambda cookie: len(cookie.path)).value or "" if cookies else ""
