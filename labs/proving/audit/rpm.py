"""The names of the packages that a database of rpm says are installed.

rpm has had three forms of databases: SQLite (rpm 4.16 and later), its own ("ndb", of SUSE) and
Berkeley DB (until then). The first two are read here, and what each has of a package is a header
(rpm, "RPM V4 Package format", `docs/manual/format_header.md`); of the third, nothing is told.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO

from ..errors import CouldNotMeasure

SQLITE, NDB, BERKELEY = "rpmdb.sqlite", "Packages.db", "Packages"
FOLDERS = ("var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/share/rpm/")
PATHS = frozenset(f"{folder}{name}" for folder in FOLDERS for name in (SQLITE, NDB, BERKELEY))

MOST_BYTES = 1 << 28
_MOST_PACKAGES = 100_000
_MOST_HEADER_BYTES = 1 << 26
_STEPS = 50_000_000
_KEYS = "gpg-pubkey"
"""What a key is called that is kept among the packages."""

_NAME, _STRING = 1000, 6
_ENTRY = struct.Struct(">IIII")
_SLOT = struct.Struct("<4sIII")
_BLOB = struct.Struct("<4sIII")
_PAGE_BYTES, _BLOCK_BYTES = 4096, 16


class Database:
    """A database that is taken piece by piece, on disk; `done` gets its names, one a line.

    Where it cannot be read, `done` gets None.
    """

    def __init__(self, name: str, done: Callable[[bytes | None], None]) -> None:
        import tempfile

        self._name, self._done = name, done
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(prefix="proving-audit-")  # noqa: SIM115
        self._size_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self._size_bytes += len(data)
        if self._size_bytes <= MOST_BYTES:
            self._file.write(data)

    def end(self) -> None:
        """Read the names."""
        with self._file as file:
            file.flush()
            names = None
            if self._size_bytes <= MOST_BYTES:
                names = names_in(self._name, file)
        self._done(None if names is None else "\n".join(names).encode("utf-8", "surrogateescape"))


def names_in(name: str, file: IO[bytes]) -> list[str] | None:
    """Return the names of the packages in a database, or None where it cannot be read."""
    import sqlite3

    readers = {SQLITE: _of_sqlite, NDB: _of_ndb}
    if name not in readers:
        return None
    try:
        found = []
        for header in readers[name](file):
            found.append(_name_in(header))
            if len(found) > _MOST_PACKAGES:
                return None
    except (sqlite3.Error, struct.error, CouldNotMeasure, ValueError, OverflowError):
        return None
    return [one for one in found if one != _KEYS]


def _of_sqlite(file: IO[bytes]) -> Iterator[bytes]:
    """Return the headers of SQLite's table, of a file that may mean no good."""
    import sqlite3

    with closing(sqlite3.connect(f"file:{file.name}?mode=ro&immutable=1", uri=True)) as database:
        for pragma in ("trusted_schema = off", "cell_size_check = on", "cache_size = -4096"):
            database.execute(f"PRAGMA {pragma}")
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_HEADER_BYTES)
        database.set_progress_handler(lambda: 1, _STEPS)
        kind = database.execute(
            "SELECT type FROM sqlite_master WHERE name = 'Packages' AND sql LIKE 'CREATE TABLE %'"
        ).fetchone()
        if kind != ("table",):
            raise CouldNotMeasure("It has no table of packages.")
        for (blob,) in database.execute("SELECT blob FROM Packages"):
            if not isinstance(blob, bytes):
                raise CouldNotMeasure("A package in it has no header.")
            yield blob


def _of_ndb(file: IO[bytes]) -> Iterator[bytes]:
    """Return the headers of rpm's own database (rpm, `lib/backend/ndb/rpmpkg.c`)."""
    file.seek(0)
    magic, _, _, pages = _SLOT.unpack(file.read(_SLOT.size))
    if magic != b"RpmP" or pages * _PAGE_BYTES > MOST_BYTES:
        raise CouldNotMeasure("It is no database of rpm.")
    file.seek(0)
    slots = file.read(pages * _PAGE_BYTES)[2 * _SLOT.size :]
    for magic, package, at, _ in _SLOT.iter_unpack(slots):
        if magic != b"Slot":
            raise CouldNotMeasure("It is damaged.")
        if package:
            file.seek(at * _BLOCK_BYTES)
            mark, of_package, _, length = _BLOB.unpack(file.read(_BLOB.size))
            if mark != b"BlbS" or of_package != package or length > _MOST_HEADER_BYTES:
                raise CouldNotMeasure("It is damaged.")
            yield file.read(length)


def _name_in(header: bytes) -> str:
    """Return the package's name: entries of 16 bytes each lead to what is stored after them."""
    count, length = struct.unpack_from(">II", header)
    store = 8 + count * _ENTRY.size
    if store + length > len(header):
        raise CouldNotMeasure("A header in it is cut off.")
    for at in range(8, store, _ENTRY.size):
        tag, kind, offset, _ = _ENTRY.unpack_from(header, at)
        if tag == _NAME and kind == _STRING and offset < length:
            end = header.index(b"\0", store + offset)
            return header[store + offset : end].decode("utf-8", "surrogateescape")
    raise CouldNotMeasure("A package in it has no name.")
