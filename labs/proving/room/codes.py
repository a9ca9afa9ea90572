"""The codes by which people sign in: one for each seat, made of the room's secret.

A code is shown once, on the terminal of whoever starts the room, and is written nowhere. Whoever
has it signs in to that one seat; it says nothing about any other code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_LETTERS = 12
"""Sixty bits, in the letters and digits of base32 (RFC 4648)."""


def code_of(secret: bytes, seat: str) -> str:
    """Return a seat's code, such as `Q4ZK-7MBA-2XTD`."""
    digest = hmac.digest(secret, f"seat {seat}".encode(), hashlib.sha256)
    letters = base64.b32encode(digest).decode()[:_LETTERS]
    return "-".join(letters[start : start + 4] for start in range(0, _LETTERS, 4))


def is_code_of(secret: bytes, seat: str, typed: str) -> bool:
    """Tell whether what was typed is a seat's code; case, dashes and blanks do not matter."""
    return hmac.compare_digest(_plain(code_of(secret, seat)), _plain(typed))


def _plain(code: str) -> bytes:
    return "".join(code.upper().replace("-", "").split()).encode(errors="replace")


def cookie_secret(secret: bytes) -> bytes:
    """Return what the hub signs its cookies with, so that no file holds it."""
    return hmac.digest(secret, b"cookies", hashlib.sha256)
