"""The code for a trainer's list: every answer of a preflight in twelve characters, and back.

The places of the answers in the catalogue are the digits of one number in a mixed radix, each
digit's base being how many answers its check has; system, kind of engine and the engine's major
version are digits too. The number is written in Crockford's base 32, which leaves out the letters
that are mistaken for others, with twelve bits of a CRC-32 in front against slips.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ProvingError
from .catalogue import CHECKS, FLAVOURS, SYSTEMS, VERSION, Outcome

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of Crockford's base 32 (https://www.crockford.com/base32.html)."""

LENGTH = 12
_GROUP = 4
_CHECK_BITS = 12
_FORMATS = 16
_MAJORS = 128
_PLACES = 8
_MISTAKEN = str.maketrans("OIL", "011", " -")


@dataclass(frozen=True)
class Decoded:
    """What a code says: the machine's system, the engine's kind and version, an answer by check.

    `major` is the first number of the engine's version, 0 where there is none.
    """

    system: str
    flavour: str
    major: int
    outcomes: Mapping[str, Outcome]


def encode(system: str, flavour: str, major: int, outcomes: Mapping[str, str]) -> str:
    """Return the code of these answers, whose ids are given by that of their check."""
    number = 0
    for one in CHECKS:
        ids = [outcome.id for outcome in one.outcomes]
        number = number * len(ids) + ids.index(outcomes[one.id])
    number = number * _PLACES + SYSTEMS.index(system)
    number = number * _PLACES + FLAVOURS.index(flavour)
    number = number * _MAJORS + min(major, _MAJORS - 1)
    number = number * _FORMATS + VERSION
    number |= _sum(number) << (5 * LENGTH - _CHECK_BITS)
    letters = "".join(ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(LENGTH)))
    return "-".join(letters[at : at + _GROUP] for at in range(0, LENGTH, _GROUP))


def decode(code: str) -> Decoded:
    """Return what a code says; case, spaces and dashes do not matter, nor O for 0, I or L for 1.

    Raises:
        ProvingError: it is no code, has a slip, or is that of another version of the guide.
    """
    letters = code.upper().translate(_MISTAKEN)
    if len(letters) != LENGTH or any(letter not in ALPHABET for letter in letters):
        raise ProvingError(
            f"{code!r} is no code of a preflight, which has {LENGTH} letters and digits. "
            "Read it again."
        )
    number = 0
    for letter in letters:
        number = number * 32 + ALPHABET.index(letter)
    number, told = (
        number & ((1 << (5 * LENGTH - _CHECK_BITS)) - 1),
        number >> (5 * LENGTH - _CHECK_BITS),
    )
    if told != _sum(number):
        raise ProvingError(
            f"{code!r} has a slip in it: its check digits do not fit. Read it again."
        )
    number, version = divmod(number, _FORMATS)
    if version != VERSION:
        raise ProvingError(
            f"{code!r} was made by another version of the guide ({version}, and this is "
            f"{VERSION}). Bring both machines to the same version."
        )
    return _decoded(number, code)


def _decoded(number: int, code: str) -> Decoded:
    number, major = divmod(number, _MAJORS)
    number, flavour = divmod(number, _PLACES)
    number, system = divmod(number, _PLACES)
    outcomes: dict[str, Outcome] = {}
    for one in reversed(CHECKS):
        number, place = divmod(number, len(one.outcomes))
        outcomes[one.id] = one.outcomes[place]
    if number or system >= len(SYSTEMS):
        raise ProvingError(f"{code!r} is no code that a preflight could have told. Read it again.")
    in_order = {one.id: outcomes[one.id] for one in CHECKS}
    return Decoded(SYSTEMS[system], FLAVOURS[flavour], major, in_order)


def _sum(number: int) -> int:
    return zlib.crc32(number.to_bytes(8, "big")) & ((1 << _CHECK_BITS) - 1)
