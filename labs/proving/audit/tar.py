"""A tar that strangers have made, read once, as it comes, in any pieces.

The standard library's `tarfile` reads from a file; here the bytes are pushed in, so that the same
pieces can be hashed and searched. Formats are ustar, pax (POSIX.1-2001) and GNU's long names, large
numbers and sparse files. Nothing of it is unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol
from zlib import adler32

from ..errors import CouldNotMeasure

BLOCK = 512
LONGEST_NAME = 1 << 16
"""How many bytes a name, or the extended header of a member, may have."""

REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
SPARSE = b"S"
_OLD_REGULAR, _CONTIGUOUS = b"\0", b"7"
_WITHOUT_CONTENT = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_LONG_NAME, _LONG_LINK, _EXTENDED, _GLOBAL = b"L", b"K", b"x", b"g"
_FIELDS = struct.Struct("100s8s16x12s12x8s1s100s6s2x80x155s12x")
_ZEROS = bytes(BLOCK)
_SPACES = 8 * ord(" ")


class Damaged(CouldNotMeasure):
    """An archive is no tar, ends too soon, or contradicts itself."""


class Member(NamedTuple):
    """What a tar tells of one of its members.

    `content_bytes` follow in the tar; `size_bytes` are those of the file, which has more where the
    tar leaves its holes out.
    `header_at` and `content_at` are offsets in the tar.
    """

    name: str
    kind: bytes
    mode: int
    link: str
    size_bytes: int
    content_bytes: int
    header_at: int
    content_at: int


class Sink(Protocol):
    """Takes the content of a member, piece by piece."""

    def feed(self, data: bytes, /) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """Take note that this was all."""


class Collected:
    """The content of a small member.

    Raises:
        Damaged: it is larger than `most_bytes`.
    """

    def __init__(self, most_bytes: int, what: str, done: Callable[[bytes], None]) -> None:
        self._most_bytes = most_bytes
        self._what = what
        self._done = done
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def feed(self, data: bytes) -> None:
        """Keep a piece."""
        self._size_bytes += len(data)
        if self._size_bytes > self._most_bytes:
            raise Damaged(f"{self._what} has more than {self._most_bytes} bytes.")
        self._parts.append(data)

    def end(self) -> None:
        """Hand all pieces over."""
        self._done(b"".join(self._parts))


class Tar:
    """Reads a tar that is pushed in; `on_member` may return who takes a member's content.

    Raises:
        Damaged: what is fed is no tar; the sentence begins with `what`.
    """

    def __init__(self, on_member: Callable[[Member], Sink | None], what: str) -> None:
        self._on_member = on_member
        self._what = what
        self._at = 0
        self._pending = b""
        self._left = self._content_left = 0
        self._sink: Sink | None = None
        self._ended = False
        self._more_of_sparse = False
        self._held: Member | None = None
        self._name = self._link = ""
        self._extended: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """Take the next piece of the tar."""
        at, size = 0, len(data)
        while at < size and not self._ended:
            if self._left:
                taken = min(self._left, size - at)
                self._pass_on(data, at, taken)
                at += taken
                continue
            missing = BLOCK - len(self._pending)
            block = self._pending + data[at : at + missing]
            taken = min(missing, size - at)
            at += taken
            self._at += taken
            if taken < missing:
                self._pending = block
                return
            self._pending = b""
            self._header(block)

    def end(self) -> None:
        """Take note that this was all.

        Raises:
            Damaged: the tar ends in the middle of a member.
        """
        if self._left or self._pending or self._held is not None:
            raise Damaged(f"{self._what} is cut off at byte {self._at}, within a file.")

    def _pass_on(self, data: bytes, at: int, taken: int) -> None:
        content = min(taken, self._content_left)
        if content and self._sink is not None:
            self._sink.feed(data if content == len(data) else data[at : at + content])
        self._content_left -= content
        self._left -= taken
        self._at += taken
        if not self._left:
            self._close()

    def _close(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end()

    def _header(self, block: bytes) -> None:
        if self._more_of_sparse:
            self._more_of_sparse = block[504] != 0
            self._begin_held()
            return
        if block == _ZEROS:
            self._ended = True
            return
        name, mode, size, checksum, kind, link, magic, prefix = _FIELDS.unpack(block)
        if _sum(block) - sum(checksum) + _SPACES != self._number(checksum):
            raise self._no_header()
        size_bytes = self._number(size)
        if kind in (_LONG_NAME, _LONG_LINK, _EXTENDED, _GLOBAL):
            self._begin_special(kind, size_bytes)
            return
        path = _text(name)
        if magic == b"ustar\0" and prefix[0]:
            path = f"{_text(prefix)}/{path}"
        link_path = _text(link) if link[0] else ""
        mode_bits = self._number(mode) & 0o7777
        self._begin_member(block, path, link_path, kind=kind, mode=mode_bits, size_bytes=size_bytes)

    def _begin_special(self, kind: bytes, size_bytes: int) -> None:
        if size_bytes > LONGEST_NAME and kind != _GLOBAL:
            raise Damaged(f"{self._what} has a name of {size_bytes} bytes.")
        self._begin(size_bytes)
        if kind == _LONG_NAME:
            self._sink = Collected(LONGEST_NAME, self._what, self._take_name)
        elif kind == _LONG_LINK:
            self._sink = Collected(LONGEST_NAME, self._what, self._take_link)
        elif kind == _EXTENDED:
            self._sink = Collected(LONGEST_NAME, self._what, self._take_extended)
        if not size_bytes:
            self._close()

    def _take_name(self, content: bytes) -> None:
        self._name = _text(content)

    def _take_link(self, content: bytes) -> None:
        self._link = _text(content)

    def _take_extended(self, content: bytes) -> None:
        """Read records of the form `length key=value`, each with a newline (POSIX, "pax")."""
        at = 0
        while at < len(content) and content[at]:
            length, space, _ = content[at : at + 20].partition(b" ")
            if not space or not length.isdigit() or not 5 <= int(length) <= len(content) - at:
                raise Damaged(f"{self._what} has an extended header that cannot be read.")
            record = content[at + len(length) + 1 : at + int(length) - 1]
            key, _, value = record.partition(b"=")
            if not key.startswith((b"SCHILY.", b"LIBARCHIVE.")):  # attributes are not asked for
                self._extended[_decoded(key)] = _decoded(value)
            at += int(length)

    def _begin_member(
        self, block: bytes, path: str, link: str, *, kind: bytes, mode: int, size_bytes: int
    ) -> None:
        """Begin a member, of which its header has told this, and those before it perhaps more."""
        extended = self._extended
        path, link = self._name or path, self._link or link
        if extended:
            path = extended.get("GNU.sparse.name") or extended.get("path") or path
            link = extended.get("linkpath") or link
        if "size" in extended:
            size_bytes = self._decimal(extended["size"])
        if kind in (_OLD_REGULAR, _CONTIGUOUS):
            kind = DIRECTORY if kind == _OLD_REGULAR and path.endswith("/") else REGULAR
        content_bytes = 0 if kind in _WITHOUT_CONTENT else size_bytes
        whole_bytes = content_bytes
        if kind == SPARSE:
            kind, whole_bytes = REGULAR, self._number(block[483:495])
            self._more_of_sparse = block[482] != 0
        if extended:
            for key in ("GNU.sparse.realsize", "GNU.sparse.size"):
                if key in extended:
                    whole_bytes = self._decimal(extended[key])
            self._extended = {}
        self._name = self._link = ""
        begins = self._at - BLOCK
        member = Member(path, kind, mode, link, whole_bytes, content_bytes, begins, self._at)
        if self._more_of_sparse:
            self._held = member
        else:
            self._tell(member)

    def _begin_held(self) -> None:
        """Tell of a sparse member, when all of its headers were read."""
        if self._more_of_sparse or self._held is None:
            return
        member, self._held = self._held._replace(content_at=self._at), None
        self._tell(member)

    def _tell(self, member: Member) -> None:
        self._begin(member.content_bytes)
        self._sink = self._on_member(member)
        if not self._left:
            self._close()

    def _begin(self, content_bytes: int) -> None:
        self._content_left = content_bytes
        self._left = -(-content_bytes // BLOCK) * BLOCK

    def _number(self, field: bytes) -> int:
        """Return a number of a header: octal digits, or GNU's binary ones where those are few."""
        if field[0] == 0x80:
            return int.from_bytes(field[1:], "big")
        digits = field.partition(b"\0")[0]
        try:
            number = int(digits, 8)
        except ValueError:
            number = -1 if digits.strip() else 0
        if number < 0:
            raise self._no_header()
        return number

    def _no_header(self) -> Damaged:
        return Damaged(f"{self._what} is damaged at byte {self._at - BLOCK}: no header is there.")

    def _decimal(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise Damaged(f"{self._what} has an extended header that cannot be read.")
        return int(text)


def is_header(block: bytes) -> bool:
    """Tell whether a block is the header of a member of a tar, or ends an empty one."""
    if len(block) < BLOCK:
        return False
    block = block[:BLOCK]
    if block == _ZEROS:
        return True
    checksum = block[148:156]
    try:
        told = int(checksum.partition(b"\0")[0].strip(), 8)
    except ValueError:
        return False
    return told == _sum(block) - sum(checksum) + _SPACES


def _sum(block: bytes) -> int:
    """Return the sum of a block's bytes.

    The lower half of an Adler-32 is the sum and 1, modulo 65521 (RFC 1950): 256 bytes do not
    reach that. It takes a fraction of the time of `sum`.
    """
    return (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2


def _text(field: bytes) -> str:
    return _decoded(field.partition(b"\0")[0])


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
