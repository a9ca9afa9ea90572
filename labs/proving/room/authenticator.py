"""How people sign in to the hub: by the name of their seat and its code."""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Bytes

from .codes import is_code_of


class SeatAuthenticator(Authenticator):  # type: ignore[misc]
    """Lets those in who know a seat's code; who may sit where, `allowed_users` says."""

    room_secret = Bytes(help="What the seats' codes are made of.").tag(config=True)

    async def authenticate(self, _handler: object, data: dict[str, Any]) -> str | None:
        """Return the name of the seat, or None where the code is not its own.

        A name is taken as people type it: capital letters and blanks do not matter.
        """
        seat = "".join(str(data.get("username", "")).lower().split())
        typed = str(data.get("password", ""))
        return seat if self.room_secret and is_code_of(self.room_secret, seat, typed) else None
