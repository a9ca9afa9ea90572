"""The packages that rpm has installed in an image, by databases that rpm 4.20 itself has made."""

from __future__ import annotations

import gzip
import io
import sqlite3
from pathlib import Path

import pytest
from archives import chunks, config, legacy, tar
from conftest import FIXTURES
from proving.audit import archive_checks, rpm
from proving.audit.reader import read


def recorded(name: str) -> bytes:
    """Return a database with the packages hello and world."""
    return gzip.decompress((FIXTURES / "rpm" / f"{name}.gz").read_bytes())


def facts_of(path: str, content: bytes) -> dict[str, object]:
    """Return the facts of an image that has one file."""
    layer = tar((path, content))
    return archive_checks.check(read(chunks(legacy([layer], config([layer])), 4000)))[1]


@pytest.mark.parametrize("folder", rpm.FOLDERS)
@pytest.mark.parametrize("name", [rpm.SQLITE, rpm.NDB])
def test_packages_of_rpm_are_counted(name: str, folder: str) -> None:
    facts = facts_of(f"{folder}{name}", recorded(name))

    assert (2, []) == (facts["packages"], facts["packages_not_counted"])


@pytest.mark.parametrize("name", [rpm.SQLITE, rpm.NDB])
def test_names_are_those_that_rpm_tells(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(recorded(name))

    with file.open("rb") as opened:
        assert ["hello", "world"] == sorted(rpm.names_in(name, opened) or [])


def broken(name: str) -> list[bytes]:
    """Return databases that are cut off, changed, or of nothing."""
    whole = recorded(name)
    half = len(whole) // 2
    return [b"", b"nothing", whole[:half], whole[:half] + b"\xff" * half, b"\0" * 4096]


@pytest.mark.parametrize(
    ("name", "content"),
    [(rpm.BERKELEY, b"\0" * 100)]
    + [(name, content) for name in (rpm.SQLITE, rpm.NDB) for content in broken(name)],
)
def test_what_cannot_be_read_is_told_and_not_counted(name: str, content: bytes) -> None:
    path = f"var/lib/rpm/{name}"

    facts = facts_of(path, content)

    assert 0 == facts["packages"]
    assert [f"/{path}, which could not be read"] == facts["packages_not_counted"]


def test_a_database_that_computes_without_end_is_not_followed(tmp_path: Path) -> None:
    """Its packages are a view, which makes rows for ever."""
    file = tmp_path / rpm.SQLITE
    made = sqlite3.connect(file)
    made.execute(
        "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob + 1 "
        "FROM n) SELECT CAST(blob AS BLOB) AS blob FROM n"
    )
    made.commit()
    made.close()

    with file.open("rb") as opened:
        assert rpm.names_in(rpm.SQLITE, opened) is None


def test_a_header_that_says_more_than_it_has_is_told() -> None:
    cut = b"\0\0\0\x02\0\0\0\xff" + bytes(40)
    slots = b"RpmP" + bytes(8) + (1).to_bytes(4, "little") + bytes(16)
    slots += b"Slot" + (1).to_bytes(4, "little") + (256).to_bytes(4, "little") + bytes(4)
    slots += (b"Slot" + bytes(12)) * ((4096 - len(slots)) // 16)
    blob = b"BlbS" + (1).to_bytes(4, "little") + bytes(4) + len(cut).to_bytes(4, "little") + cut

    assert rpm.names_in(rpm.NDB, io.BytesIO(slots + blob)) is None
