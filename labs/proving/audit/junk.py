"""What lies in the folders of projects, and what of it no image needs: told by path alone."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

KEYS, CREDENTIALS, SETTINGS = "private keys", "stored credentials", "settings of a deployment"
PRIVATE = frozenset((KEYS, CREDENTIALS, SETTINGS))
"""What nobody should be given with an image."""

_FOLDERS: Mapping[str, str] = {
    "a repository of Git": r"\.git",
    "another repository": r"\.svn|\.hg|\.bzr",
    "installed Node packages": "node_modules",
    "a virtual environment": r"\.venv|venv|\.virtualenv",
    "compiled Python": "__pycache__",
    "caches of tools": r"\.(?:pytest_cache|mypy_cache|ruff_cache|tox|nox|hypothesis|gradle"
    r"|terraform|eslintcache|parcel-cache|sass-cache|ipynb_checkpoints|eggs)|htmlcov|\.nyc_output",
    "an editor's settings": r"\.(?:idea|vscode|vs|settings)",
    CREDENTIALS: r"\.(?:aws|azure|kube|gnupg|ssh)",
}
_FILES: Mapping[str, str] = {
    SETTINGS: r"\.env(?:\.(?:local|prod|production|staging|development))?",
    KEYS: r"id_(?:rsa|dsa|ecdsa|ed25519)|.+\.(?:p12|pfx|jks|keystore)|.+[-_.]key\.pem|.+\.key",
    CREDENTIALS: r"\.(?:git-credentials|netrc|pgpass|pypirc|vault-token)|credentials\.json",
    "a repository of Git": r"\.git",
    "compiled Python": r".+\.py[co]",
    "logs": r".+\.log",
    "an editor's leftovers": r"\.DS_Store|Thumbs\.db|.+\.sw[op]|.+~|desktop\.ini",
    "reports of tests": r"\.coverage|coverage\.xml|junit\.xml",
    "core dumps": r"core\.\d+|.+\.(?:dmp|hprof)",
}
_WORKED_WITH: Mapping[str, re.Pattern[str]] = {
    "a repository of Git": re.compile(r"\bgit\b|setuptools_scm|SETUPTOOLS_SCM"),
}
_INSTALLED_BY: Mapping[str, re.Pattern[str]] = {
    "installed Node packages": re.compile(r"\b(?:npm|yarn|pnpm|bun)\b"),
    "a virtual environment": re.compile(r"\b(?:pip\d*|uv|poetry|pipenv|pdm|venv)\b"),
}
_BINARY_KEYS = (b"\x30\x82", b"\xfe\xed\xfe\xed")
"""How DER (PKCS #8 and #12) and a key store of Java begin."""
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY")
_SETTING = re.compile(rb"^[ \t]*(?:export[ \t]+)?\w+[ \t]*=[ \t]*[^\s#]", re.MULTILINE)

_FOLDER_KINDS = [(what, re.compile(pattern)) for what, pattern in _FOLDERS.items()]
_FILE_KINDS = [(what, re.compile(pattern)) for what, pattern in _FILES.items()]

ENTRIES = frozenset(("app", "main", "server", "index", "application", "wsgi", "asgi", "program"))
"""What the files are called in which applications begin."""

_SOURCE = re.compile(
    r"py|[cm]?[jt]s|[jt]sx|vue|svelte|go|rs|java|kts?|scala|groovy|clj|c|cc|cpp|cxx|h|hh|hpp|cs|fs|vb"
    r"|rb|php|p[lm]|lua|exs?|erl|hs|ml|swift|dart|r|jl|zig|nim|d|sh|bash|html?|css|s[ac]ss|less|tmpl"
    r"|j2|jinja|erb|ejs|hbs|sql|graphql|proto"
)
_NO_SOURCE = re.compile(
    r"setup\.py|conftest\.py|noxfile\.py|tasks\.py|fabfile\.py|.+\.(?:config|conf|setup|test|spec)"
    r"\.[cm]?[jt]sx?|build\.(?:gradle\.kts|rs|zig)|settings\.gradle\.kts|mix\.exs|gruntfile\.js"
    r"|gulpfile\.js|test_.+\.py|.+_test\.(?:py|go)|package\.swift|.*entrypoint.*\.sh",
    re.IGNORECASE,
)
_NO_SOURCES = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec|docs?|examples?|vendor|third_party|scripts|ci|\.[^/]+)/",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Needless:
    """What a path is that no image needs; `path` is the folder, where a whole one is."""

    what: str
    path: str


def kind_of(path: str) -> Needless | None:
    """Return what a file of a build context is that no image needs, or None."""
    parts = path.split("/")
    for number, part in enumerate(parts[:-1], 1):
        for what, pattern in _FOLDER_KINDS:
            if pattern.fullmatch(part):
                return Needless(what, "/".join(parts[:number]))
    for what, pattern in _FILE_KINDS:
        if pattern.fullmatch(parts[-1]):
            return Needless(what, path)
    return None


def is_worked_with(what: str, commands: str) -> bool:
    """Tell whether the commands of a build work with such a path, or bring none of their own.

    A build may ask Git for a version. Packages that no command installs are those that the image
    is to have.
    """
    if pattern := _WORKED_WITH.get(what):
        return pattern.search(commands) is not None
    if pattern := _INSTALLED_BY.get(what):
        return pattern.search(commands) is None
    return False


def is_private(what: str, start: bytes) -> bool:
    """Tell by the start of its content whether a file has what its name says."""
    if what == KEYS and not start.startswith(_BINARY_KEYS):
        return _PRIVATE_KEY.search(start) is not None
    if what == SETTINGS:
        return _SETTING.search(start) is not None
    return bool(start.strip())


def pattern_of(path: str) -> str:
    """Return the line of an ignore file that leaves out a path that `kind_of` has told."""
    name = posixpath.basename(path)
    ending = posixpath.splitext(name)[1]
    if ending in (".pyc", ".pyo", ".log", ".swp", ".swo"):
        return f"**/*{ending}"
    return f"**/{name}"


def is_source(path: str) -> bool:
    """Tell whether a path is that of an application's source, by its ending and its name."""
    name = posixpath.basename(path)
    ending = posixpath.splitext(name)[1].removeprefix(".").lower()
    return (
        _SOURCE.fullmatch(ending) is not None
        and _NO_SOURCE.fullmatch(name) is None
        and _NO_SOURCES.search(path) is None
    )
