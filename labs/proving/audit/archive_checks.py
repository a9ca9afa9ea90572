"""The checks that an image's archive answers, and the facts that it tells."""

from __future__ import annotations

import re
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .. import archive, layers
from ..claims import Verdict
from ..layers import Contents
from . import dive, secrets, visible
from .file_findings import finding, many, sized
from .findings import Finding
from .paths import Entries
from .reader import ImageRead, LayerRead, Limits
from .subject import Subject
from .text import printable

HIDDEN_BYTES = 500_000
"""What may be hidden: a few files of the base that are written anew, such as its settings."""
CACHE_BYTES = 100_000
"""What caches may have: empty indexes and notes of the last update are no matter."""

_BINARIES = re.compile(
    r"(?:(?:usr/)?(?:local/)?s?bin|opt/(?:[^/]+/){1,3}bin|usr/(?:local/)?(?:go|lib/go[^/]*)/bin"
    r"|usr/(?:local/)?lib/(?:jvm|llvm[^/]*)/?[^/]*/bin|root/\.cargo/bin"
    r"|home/[^/]+/\.cargo/bin|usr/local/cargo/bin)/(?P<name>[^/]+)"
)
_VERSION = r"(?:-?\d+(?:\.\d+)*)?"
_TRIPLE = r"(?:[a-z0-9_]+-(?:[a-z0-9]+-)?linux-(?:gnu|musl)[a-z0-9]*-)?"
_TOOLS = re.compile(
    rf"{_TRIPLE}(?:gcc|g\+\+|cc|c\+\+|c89|c99|gfortran|ld|ld\.bfd|ld\.gold|gold|as){_VERSION}"
    rf"|(?:clang|clang\+\+|ld\.lld|lld|llc){_VERSION}|mold|tcc|make|gmake|cmake|ninja|meson|autoconf"
    rf"|automake|libtool|bazel|go|gofmt|rustc|rustup|cargo|javac|ghc{_VERSION}|nasm|yasm|mvn|gradle"
)
_INTERNAL_TOOLS = re.compile(r"(?:usr/)?lib(?:exec)?/gcc/.*/(?:cc1\w*|collect2|lto1|f951)")
_MANAGERS = re.compile(
    r"apt|apt-get|aptitude|dpkg|apk|rpm|dnf|dnf5|microdnf|yum|zypper|pacman|pip\d*(?:\.\d+)?|pipx|uv"
    r"|poetry|npm|yarn|pnpm|gem|bundle|composer|cargo|conda|mamba|brew|opkg|nix-env"
)
_CACHES: Mapping[str, re.Pattern[str]] = {
    "apt": re.compile(
        r"var/lib/apt/lists/(?!lock$|partial/?$).+|var/cache/apt/(?:archives/.+\.deb|.*cache\.bin)"
    ),
    "apk": re.compile(r"var/cache/apk/.+|etc/apk/cache/.+|lib/apk/.*APKINDEX.*"),
    "dnf": re.compile(r"var/cache/(?:dnf|yum|libdnf5|zypp)/.+"),
    "pip": re.compile(r"(?:.+/)?\.cache/(?:pip|uv|pypoetry)/.+"),
    "npm": re.compile(r"(?:.+/)?(?:\.npm/_cacache|\.cache/yarn|\.yarn/cache|\.pnpm-store)/.+"),
}
_CLEAN_UP = {
    "apt": "end the RUN that installs with `&& rm -rf /var/lib/apt/lists/*`",
    "apk": "install by `apk add --no-cache`",
    "dnf": "end the RUN that installs with `&& dnf clean all`",
    "pip": "install by `pip install --no-cache-dir`",
    "npm": "end the RUN that installs with `&& npm cache clean --force`",
}
_NOTES = re.compile(
    r"var/lib/(?:dpkg|apt(?!/lists/)|rpm|dnf)/.+|var/cache/(?:debconf|ldconfig)/.+|(?:usr/)?lib/(?:apk|sysimage)"
    r"/.+|var/log/(?:apt/.+|[^/]+\.log)|etc/(?:ld\.so\.cache|apk/world|passwd-?|shadow-?|group-?"
    r"|gshadow-?|ssl/certs/ca-certificates\.crt)"
)
"""What package managers, and what they start, write anew whenever something is installed.

Once, in the first layer above that which has it, that cannot be helped.
"""
_FOLDERS_TOLD = 4
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_SETUID = stat.S_ISUID | stat.S_ISGID
_SHELLS = frozenset(("sh", "bash", "ash", "dash", "zsh", "ksh", "mksh", "fish"))
_INITS = frozenset(("tini", "dumb-init", "catatonit", "tini-static", "docker-init"))
_OF_OTHERS = re.compile(
    r"(?:^|/)(?:tests?|testdata|test[-_]data|testing|fixtures?|examples?|samples?|docs?|man"
    r"|javadoc)/",
    re.IGNORECASE,
)
_OF_LIBRARIES = re.compile(
    r"^(?:usr/)?(?:local/)?(?:lib\w*|share|include|libexec)/|(?:^|/)(?:site-packages|dist-packages"
    r"|node_modules|vendor|gems)/"
)
_BY_NAME: Mapping[str, re.Pattern[str]] = {
    "a repository of Git": re.compile(r"(?:.*/)?\.git/HEAD"),
    "settings of a deployment": re.compile(
        r"(?:.*/)?\.env(?:\.(?:local|prod|production|staging))?"
    ),
    "stored credentials": re.compile(
        r"(?:.*/)?(?:\.git-credentials|\.pgpass|\.vault-token|\.aws/credentials|\.netrc)"
    ),
}
_REMOVED = re.compile(
    r"(?:.*/)?(?:[\w-]*[._-])?(?:tokens?|secrets?|passwords?|credentials?)(?:\.(?:txt|json|ya?ml))?",
    re.IGNORECASE,
)
_GONE = ", which a later layer hides"
_IN_ADDRESSES = "password in an address"


def check(
    subject: Subject | ImageRead,
    *,
    limits: Limits | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> tuple[list[Finding], dict[str, Any]]:
    """Return what the checks of an image's archive find, and the facts that it tells.

    Raises:
        CouldNotMeasure: the archive cannot be read.
        EngineError: the engine went away.
    """
    if isinstance(subject, Subject):
        read = subject.read(limits=limits, on_bytes=on_bytes)
        seen = Seen(read, subject.others, has_engine=subject.engine is not None)
    else:
        seen = Seen(subject)
    _ = seen.scores  # first, and alone: each of the two needs its memory
    findings = [
        _hidden_bytes(seen),
        _caches(seen),
        _toolchain(seen),
        _package_manager(seen),
        _privileged_files(seen),
        _world_writable(seen),
        _secrets(seen),
        _user(seen),
        _command_form(seen),
        _shared_base(seen),
    ]
    return findings, facts(seen)


class Noted(NamedTuple):
    """What is noted of the files that a container sees, in one pass over their paths.

    `caches` are those of package managers, by their kinds, with their sizes in bytes.
    `programs` are those in a folder for programs, by path, with their names, links included.
    """

    caches: Mapping[str, Mapping[str, int]]
    programs: Mapping[str, str]
    internal_tools: Sequence[str]
    headers: int
    setuid: Sequence[str]
    world_writable: Sequence[str]
    executables: int


@dataclass(frozen=True)
class Seen:
    """An image that was read, and what a container sees of it."""

    image: ImageRead
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has_engine: bool = False

    @cached_property
    def scores(self) -> dive.Scores:
        """What dive tells of its layers."""
        return dive.of_image(self.image)

    @property
    def contents(self) -> Contents:
        """Its layers, and the files that a container sees."""
        return self._visible.contents

    def hidden(self) -> Iterator[visible.Hidden]:
        """Return what of its layers no container sees."""
        return self._visible.hidden()

    @cached_property
    def _visible(self) -> visible.Seen:
        wasted_bytes = self.scores.wasted_bytes
        return visible.look(self.image.stack, self.image.paths, self.instructions, wasted_bytes)

    @cached_property
    def noted(self) -> Noted:
        """What is noted of the files that a container sees."""
        return _note(self.contents)

    @cached_property
    def instructions(self) -> list[str]:
        """The instruction behind each layer, as the history tells it."""
        found = [
            layers.instruction(_text(step.get("created_by")))
            for step in self.history
            if not step.get("empty_layer")
        ]
        return [*("" for _ in self.image.layers[len(found) :]), *found][-len(self.image.layers) :]

    @cached_property
    def history(self) -> list[Mapping[str, Any]]:
        """All steps of the history, those without a layer too."""
        found = self.image.config.get("history")
        listed = found if isinstance(found, list) else []
        return [step for step in listed if isinstance(step, Mapping)]

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """How a container is started (OCI image spec, "Image Configuration", `config`)."""
        found = self.image.config.get("config")
        return found if isinstance(found, Mapping) else {}

    def words(self, key: str) -> list[str]:
        """Return a list of words of the settings."""
        found = self.settings.get(key)
        if isinstance(found, str):
            return [found]
        return [str(word) for word in found] if isinstance(found, list) else []

    @cached_property
    def environment(self) -> dict[str, str]:
        """The variables that the image declares."""
        pairs = (word.partition("=") for word in self.words("Env"))
        return {name: value for name, _, value in pairs}

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels of the image."""
        found = self.settings.get("Labels")
        pairs = found.items() if isinstance(found, Mapping) else ()
        return {str(name): _text(value) for name, value in pairs}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _note(contents: Contents) -> Noted:
    caches: dict[str, dict[str, int]] = defaultdict(dict)
    programs: dict[str, str] = {}
    internal_tools, setuid, world_writable = [], [], []
    headers = executables = 0
    sizes = contents.files.values()
    for (path, mode), size in zip(contents.modes.items(), sizes, strict=True):
        headers += path.endswith((".h", ".hpp", ".hh"))
        if size and (kind := _cache(path)):
            caches[kind][path] = size
        is_file = stat.S_ISREG(mode)
        if (is_file and mode & _EXECUTABLE) or stat.S_ISLNK(mode):
            executables += is_file
            if match := _BINARIES.fullmatch(path):
                programs[path] = match["name"]
        if is_file and mode & _SETUID:
            setuid.append(path)
        if is_file and mode & stat.S_IWOTH:
            world_writable.append(path)
        if "/gcc/" in path and _INTERNAL_TOOLS.fullmatch(path):
            internal_tools.append(path)
    return Noted(
        caches, programs, internal_tools, headers, sorted(setuid), world_writable, executables
    )


def _cache(path: str) -> str:
    """Return the kind of the cache that a path is in; empty where it is in none."""
    if not ("cache" in path or "/lists/" in path or "/apk/" in path or ".pnpm-store/" in path):
        return ""  # none of the patterns matches without one of these words
    return next((kind for kind, one in _CACHES.items() if one.fullmatch(path)), "")


def _hidden_bytes(seen: Seen) -> Finding:
    contents = seen.contents
    hidden, total = contents.wasted_bytes, contents.unpacked_bytes
    removed = sum(layer.removed_bytes for layer in contents.layers)
    notes = 0
    folders: Counter[tuple[int, str]] = Counter()
    for one in seen.hidden():
        if one.is_first and one.again and _NOTES.fullmatch(one.path):
            notes += one.size_bytes
        else:
            folders[one.layer, "/".join(one.path.split("/")[:_FOLDERS_TOLD])] += one.size_bytes
    values = {
        "hidden_bytes": hidden,
        "removed_bytes": removed,
        "rewritten_bytes": hidden - removed,
        "notes_bytes": notes,
        "unpacked_bytes": total,
    }
    share = hidden / total if total else 0.0
    parts = [
        f"{sized(removed)} that a later layer removes" * bool(removed),
        f"{sized(hidden - removed - notes)} that one writes again" * bool(hidden - removed - notes),
        f"{sized(notes)} of a package manager's notes, which every RUN that installs writes again"
        * bool(notes),
    ]
    figure = f"{sized(hidden)} of {sized(total)} ({share:.1%}): {', '.join(filter(None, parts))}"
    return finding(
        "hidden-bytes",
        hidden - notes <= HIDDEN_BYTES,
        figure if hidden else "none",
        "Remove what a step does not leave for the next one in the same RUN that made it, and "
        "write each file in one layer.",
        values=values,
        places=_biggest_hidden(seen, folders),
    )


def _biggest_hidden(seen: Seen, folders: Counter[tuple[int, str]]) -> list[str]:
    """Return the places that have the most hidden bytes, each with its layer."""
    told = []
    for (number, path), size in folders.most_common(5):
        created_by = seen.contents.layers[number].created_by
        layer = f"layer {number + 1}" + (f" ({created_by})" if created_by else "")
        told.append(f"{sized(size)} at /{path} in {layer}")
    return told


def _caches(seen: Seen) -> Finding:
    caches = seen.noted.caches
    sizes = Counter({kind: sum(files.values()) for kind, files in caches.items()})
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, files in caches.items():
        for path, size in files.items():
            folders[kind][path.rpartition("/")[0]] += size
    total, number = sizes.total(), sum(map(len, caches.values()))
    told = ", ".join(f"{kind} {sized(size)}" for kind, size in sizes.most_common())
    cures = "; ".join(_CLEAN_UP[kind] for kind, _ in sizes.most_common())
    return finding(
        "caches",
        total <= CACHE_BYTES,
        f"{sized(total)} in {many(number, 'file')}: {told}" if total else "none",
        f"{cures[:1].upper()}{cures[1:]}.",
        values={"cache_bytes": total, **{f"{kind}_bytes": size for kind, size in sizes.items()}},
        places=(
            f"/{path}: {sized(size)}"
            for one in folders.values()
            for path, size in one.most_common(3)
        ),
    )


def _named(seen: Seen, names: re.Pattern[str]) -> list[str]:
    """Return the paths of programs with such names, links to programs included."""
    return sorted(path for path, name in seen.noted.programs.items() if names.fullmatch(name))


def _program_names(paths: Iterable[str]) -> list[str]:
    """Return the last part of each path, each once, in order."""
    return sorted({path.rpartition("/")[2] for path in paths})


def _toolchain(seen: Seen) -> Finding:
    found = _named(seen, _TOOLS)
    tools = sorted({*found, *seen.noted.internal_tools})
    names = _program_names(tools)
    packages = [name for name in seen.contents.packages if _is_of_tools(name)]
    return finding(
        "toolchain",
        not tools,
        f"{many(len(names), 'program')}: {_some(names)}" if tools else "none",
        "Build in a stage of its own, and copy what it made into the last one.",
        values={
            "tools": len(tools),
            "headers": seen.noted.headers,
            "packages_of_tools": len(packages),
        },
        places=(f"/{path}" for path in tools),
    )


def _is_of_tools(package: str) -> bool:
    return bool(
        re.fullmatch(
            r"(?:gcc|g\+\+|cpp|clang|llvm|binutils|build-essential|build-base|make|cmake|rustc|cargo"
            r"|golang|go|musl-dev|libc6-dev|linux-libc-dev|openjdk-\d+-jdk(?:-headless)?)"
            r"(?:-\d[\w.]*)?(?:-[a-z0-9_]+-linux-\w+)?",
            package,
        )
    )


def _some(names: Sequence[str], most: int = 6) -> str:
    shown = [printable(name, 40) for name in names[:most]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _package_manager(seen: Seen) -> Finding:
    found = _named(seen, _MANAGERS)
    names = _program_names(found)
    return finding(
        "package-manager",
        not found,
        _some(names) if found else "none",
        "Where nothing is installed at run time, copy the application onto a base without a "
        "package manager, such as scratch or a distroless one.",
        values={"package_managers": len(names)},
        places=(f"/{path}" for path in found),
    )


def _privileged_files(seen: Seen) -> Finding:
    found = seen.noted.setuid
    return finding(
        "privileged-files",
        not found,
        f"{many(len(found), 'file')}: {_some(_program_names(found))}" if found else "none",
        "Take the bits away in the layer that brings the files (`chmod a-s`), where the "
        "application does not need them, and run with allowPrivilegeEscalation: false.",
        values={"privileged_files": len(found)},
        places=(f"/{path}" for path in found),
    )


def _world_writable(seen: Seen) -> Finding:
    files = seen.noted.world_writable
    folders = [
        f"{path}/"
        for path, mode in seen.contents.directories.items()
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    ]
    found = sorted([*files, *folders])
    return finding(
        "world-writable",
        not found,
        f"{many(len(files), 'file')} and {many(len(folders), 'directory', 'directories')} "
        "that everybody may write"
        if found
        else "none",
        "Give them to the user or the group that writes them, and take the others' right away "
        "(`chmod o-w`); a directory for everybody needs the sticky bit.",
        values={"world_writable_files": len(files), "world_writable_directories": len(folders)},
        places=(f"/{path}" for path in found),
    )


def _secrets(seen: Seen) -> Finding:
    found = list(
        dict.fromkeys(
            (
                *_secrets_in_layers(seen),
                *_secrets_by_name(seen),
                *_secrets_in_history(seen),
                *(f"environment: {told}" for told in secrets.in_variables(seen.environment)),
                *(f"label: {told}" for told in secrets.in_variables(seen.labels)),
                *(
                    f"command: {told}"
                    for word in _whole_command(seen)
                    for told in secrets.in_instruction(word)
                ),
            )
        )
    )
    passed_over = sum(1 for layer in seen.image.layers for hit in layer.hits) - sum(
        1 for _ in _secrets_in_layers(seen)
    )
    not_searched = [
        number for number, layer in enumerate(seen.image.layers, 1) if not layer.searched_whole
    ]
    values = {"secrets": len(found), "passed_over": passed_over}
    if found or not not_searched:
        figure = many(len(found), "place") if found else "none"
        if passed_over:
            figure += (
                f"; {passed_over} in files of packages, tests or documentation are not counted"
            )
        return finding(
            "secrets",
            not found,
            figure,
            "Take them for known: revoke them. Hand secrets to a build by `RUN --mount=type=secret`"
            " and to a container by a mounted Secret; what a later layer removes is still there.",
            values=values,
            places=found,
        )
    return finding(
        "secrets",
        Verdict.COULD_NOT_BE_MEASURED,
        f"layer {not_searched[0]} has too much that looks like a secret",
        "Look at the layer by hand.",
        values=values,
    )


def _secrets_in_layers(seen: Seen) -> Iterator[str]:
    files = seen.contents.files
    for number, layer in enumerate(seen.image.layers, 1):
        for hit in layer.hits:
            if _is_of_others(seen, layer, hit):
                continue
            where = f"/{hit.path}" if hit.path else "after the last file"
            gone = _GONE if _is_hidden(seen, number, hit.path, files) else ""
            place = "" if hit.in_content else ", in its name or attributes"
            told = "" if hit.told == secrets.MASK else f" {hit.told}"
            yield f"layer {number}: {where}{place}: {hit.form}{told}{gone}"


def _is_hidden(seen: Seen, number: int, path: str, files: Mapping[str, int]) -> bool:
    """Tell whether what a layer has at a path is removed or written again by a later one."""
    if not path:
        return False
    return path not in files or any(
        path in later.changeset.entries for later in seen.image.layers[number:]
    )


def _is_of_others(seen: Seen, layer: LayerRead, hit: secrets.Hit) -> bool:
    """Tell whether a file came with a package, or belongs to tests, examples or documentation.

    What everybody can download is no secret of this image. Settings that a package brings are
    changed by those who use it, and count.
    """
    path = hit.path
    if _OF_OTHERS.search(path):
        return True
    if hit.form == _IN_ADDRESSES and _OF_LIBRARIES.search(path):
        return True
    if path.startswith("etc/"):
        return False
    names = {f"/{path}", f"/{path.removeprefix('usr/')}", f"/usr/{path}"}
    lines = tuple(f"\n{name}\n".encode("utf-8", "surrogateescape") for name in names)
    lists = (one.package_files for one in seen.image.layers)
    return any(line in b"\n" + listed for listed in lists for line in lines) or _is_of_apk(
        layer, path
    )


def _is_of_apk(layer: LayerRead, path: str) -> bool:
    """Tell whether a package of Alpine has brought a file, by the layer's own database (apk(5))."""
    folder, _, name = path.rpartition("/")
    for place, database in layer.changeset.databases.items():
        if "apk" in place:
            for part in database.split(f"F:{folder}\n".encode("utf-8", "surrogateescape"))[1:]:
                of_folder = part.partition(b"\nF:")[0]
                if f"R:{name}\n".encode("utf-8", "surrogateescape") in of_folder:
                    return True
    return False


def _secrets_by_name(seen: Seen) -> Iterator[str]:
    """Return files that are secrets by their names, in every layer."""
    files = seen.contents.files
    for number, layer in enumerate(seen.image.layers, 1):
        entries = layer.changeset.entries
        assert isinstance(entries, Entries)  # noqa: S101 - the reader makes no others
        for path in entries.files():
            name = path.rpartition("/")[2]
            kind = _kind_by_name(path, name)
            if not kind and not _is_named_like_a_secret(name):
                continue
            if _OF_OTHERS.search(path) or _OF_LIBRARIES.search(path):
                continue
            hidden = path not in files
            if kind or hidden:
                gone = _GONE if hidden else ""
                yield f"layer {number}: /{path}: {kind or 'named like a secret'}{gone}"


def _kind_by_name(path: str, name: str) -> str:
    """Return what a file is by its path, of which `name` is the last part; empty for all others."""
    if not name.startswith((".", "HEAD", "credentials")):
        return ""  # none of the patterns matches without that
    return next((kind for kind, one in _BY_NAME.items() if one.fullmatch(path)), "")


def _is_named_like_a_secret(name: str) -> bool:
    folded = name.casefold()
    return (
        "token" in folded or "secret" in folded or "password" in folded or "credential" in folded
    ) and bool(_REMOVED.fullmatch(name))


def _secrets_in_history(seen: Seen) -> Iterator[str]:
    values = (*seen.environment.values(), *seen.labels.values(), *_whole_command(seen))
    settled = sorted((value for value in values if len(value) > 3), key=len, reverse=True)
    for number, step in enumerate(seen.history, 1):
        text = _text(step.get("created_by"))
        if re.match(r"(?:/bin/sh -c #\(nop\) +)?(?:ENV|LABEL|CMD|ENTRYPOINT) ", text):
            for value in settled:
                text = text.replace(value, secrets.MASK)  # it is told of where it is now
        for told in (*secrets.in_instruction(text), *secrets.in_instruction(_comment(step))):
            yield f"history, step {number}: {told}"


def _comment(step: Mapping[str, Any]) -> str:
    return _text(step.get("comment"))


def _user(seen: Seen) -> Finding:
    told = _text(seen.settings.get("User")).strip()
    name = told.partition(":")[0]
    if not name:
        return finding("user", False, "root, since the image names no user", _USER_ADVICE)
    shown = printable(told, 60)
    if name.isascii() and name.isdigit():
        if int(name):
            return finding("user", True, shown)
        return finding("user", False, f"{shown}, which is root", _USER_ADVICE)
    number = _account(seen, name)
    if number == 0:
        return finding("user", False, f"{shown}, which is root", _USER_ADVICE)
    instead = str(number) if number is not None else "its number"
    return finding(
        "user",
        False,
        f"{shown}, by name" + (f" (number {number})" if number is not None else ""),
        f"Write USER {instead}: Kubernetes cannot tell from a name that a user is not root, and "
        "refuses the image under runAsNonRoot.",
    )


_USER_ADVICE = "Name another user by number, such as USER 10001:10001."


def _account(seen: Seen, name: str) -> int | None:
    """Return the number of a user, by the image's own accounts (passwd(5))."""
    if name == "root":
        return 0
    found = [layer.accounts for layer in seen.image.layers if layer.accounts is not None]
    for line in (found[-1] if found else b"").decode(errors="replace").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isascii() and fields[2].isdigit():
            return int(fields[2])
    return None


def _command_form(seen: Seen) -> Finding:
    """Judge the form alone: what becomes of it is seen in a run."""
    entrypoint, command = seen.words("Entrypoint"), seen.words("Cmd")
    if not _whole_command(seen):
        return finding(
            "command-form", Verdict.NOT_APPLICABLE, "the image has no command: who starts it does"
        )
    for key, words in (("ENTRYPOINT", entrypoint), ("CMD", command)):
        line = _shell_line(words)
        if line is None:
            continue
        if re.match(r"\s*exec\s", line):
            return finding(
                "command-form", True, f"{key} is in shell form, and its shell gives way by `exec`"
            )
        return finding(
            "command-form",
            False,
            f"{key} is in shell form: a shell starts it, and may stay in its way",
            f'Write {key} in exec form, ["program", "argument"], or begin its line with `exec`.',
            places=[secrets.redact(line)],
        )
    return finding("command-form", True, "exec form")


def _whole_command(seen: Seen) -> list[str]:
    return [*seen.words("Entrypoint"), *seen.words("Cmd")]


def _shell_line(words: Sequence[str]) -> str | None:
    """Return the line that a shell is given, or None where no shell is."""
    rest = list(words)
    if rest and rest[0].rpartition("/")[2] in _INITS:
        del rest[0]
        while rest and rest[0].startswith("-"):
            del rest[0]
    if rest and rest[0].rpartition("/")[2] == "busybox":
        del rest[0]
    if len(rest) < 2 or rest[0].rpartition("/")[2] not in _SHELLS:
        return None
    for at, word in enumerate(rest[1:], 1):
        if re.fullmatch(r"-[a-z]*c", word):
            return rest[at + 1] if at + 1 < len(rest) else ""
    return None


def _shared_base(seen: Seen) -> Finding:
    if not seen.has_engine:
        return finding(
            "shared-base", Verdict.NOT_APPLICABLE, "an archive in a file has no neighbours"
        )
    own = [layer.changeset.diff_id for layer in seen.image.layers]
    shared = {name: _common(own, diff_ids) for name, diff_ids in seen.others}
    if not shared:
        return finding(
            "shared-base", Verdict.NOT_APPLICABLE, "the engine has no other image with a name"
        )
    most = max(shared.values())
    with_it = [name for name, number in shared.items() if number]
    size = sum(layer.transfer_bytes for layer in seen.contents.layers[:most])
    return finding(
        "shared-base",
        most > 0,
        f"{most} of its {many(len(own), 'layer')} ({sized(size)} to download), with "
        f"{many(len(with_it), 'other image')} of {len(shared)}"
        if most
        else f"none, with any of {many(len(shared), 'other image')}",
        "Build the images that run together on one base: a node downloads it once.",
        values={
            "shared_layers": most,
            "shared_transfer_bytes": size,
            "sharing_images": len(with_it),
        },
        places=with_it,
    )


def _common(own: Sequence[str], other: Sequence[str]) -> int:
    """Return how many of the lowest layers are the same."""
    number = 0
    for ours, theirs in zip(own, other, strict=False):
        if ours != theirs:
            break
        number += 1
    return number


def facts(seen: Seen) -> dict[str, Any]:
    """Return what is told of an image and not judged, for a report; all texts are printable."""
    contents, image = seen.contents, seen.image
    return {
        "layout": image.layout,
        "config_digest": image.config_digest,
        "names": [printable(name) for name in image.names],
        "architecture": printable(_text(image.config.get("architecture")) or "unknown"),
        "operating_system": printable(_text(image.config.get("os")) or "unknown"),
        "other_images_in_archive": image.others,
        "archive_bytes": image.archive_bytes,
        "transfer_bytes": contents.transfer_bytes,
        "transfer_is_exact": all(layer.weighed_exactly for layer in image.layers),
        "transfer_codec": _codec(image),
        "unpacked_bytes": contents.unpacked_bytes,
        "hidden_bytes": contents.wasted_bytes,
        "layers": [
            {
                "diff_id": layer.diff_id,
                "created_by": printable(secrets.redact(layer.created_by)),
                "transfer_bytes": layer.transfer_bytes,
                "unpacked_bytes": layer.unpacked_bytes,
                "removed_bytes": layer.removed_bytes,
                "rewritten_bytes": layer.rewritten_bytes,
            }
            for layer in contents.layers
        ],
        "files": len(contents.files),
        "executables": seen.noted.executables,
        "packages": len(contents.packages),
        "packages_not_counted": _not_counted(seen),
        "user": printable(_text(seen.settings.get("User"))),
        "entrypoint": [printable(secrets.redact(word)) for word in seen.words("Entrypoint")],
        "command": [printable(secrets.redact(word)) for word in seen.words("Cmd")],
        "ports": _ports(seen),
        "environment_names": [printable(name) for name in seen.environment],
        "volumes": _keys(seen.settings.get("Volumes")),
        "stop_signal": printable(_text(seen.settings.get("StopSignal"))),
        "healthcheck": _healthcheck(seen),
        "dive_efficiency": seen.scores.efficiency,
        "dive_wasted_bytes": seen.scores.wasted_bytes,
        "odd_names": sum(layer.odd_names for layer in image.layers),
    }


def _not_counted(seen: Seen) -> list[str]:
    """Return the databases of packages that a container sees and that could not be read."""
    files = seen.contents.files
    found = (path for layer in seen.image.layers for path in layer.unread_databases)
    return [f"/{path}, which could not be read" for path in dict.fromkeys(found) if path in files]


def _codec(image: ImageRead) -> str:
    """Return by what the transfer bytes are counted: as the archive has them, or computed here."""
    codecs = sorted({layer.codec for layer in image.layers if layer.codec})
    plain = [archive.CODEC] if any(not layer.codec for layer in image.layers) else []
    return "; ".join([*(f"{codec}, as in the archive" for codec in codecs), *plain])


def _keys(value: object) -> list[str]:
    return [printable(str(key)) for key in value] if isinstance(value, Mapping) else []


def _ports(seen: Seen) -> list[str]:
    return _keys(seen.settings.get("ExposedPorts"))


def _healthcheck(seen: Seen) -> str:
    """Return the command of the HEALTHCHECK, which Kubernetes ignores, or nothing."""
    found = seen.settings.get("Healthcheck")
    test = found.get("Test") if isinstance(found, Mapping) else None
    words = [str(word) for word in test] if isinstance(test, list) else []
    if not words or words[0] == "NONE":
        return ""
    return printable(secrets.redact(" ".join(words[1:])))
