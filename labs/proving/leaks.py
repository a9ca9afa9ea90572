"""Where a secret was left: in an image, in its attestations, and in what the engine tells.

A secret is searched for as it is. One that a file holds compressed, encrypted or in base64 is not
found: what is found is there, and what is not found may still be there in another form.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .archive import Archive
from .engine import talking_to
from .errors import BuildError
from .lab import Figures
from .leak_matrix import CONFIGURATION, FILES, HISTORY, LEAKS
from .pod import Pod

if TYPE_CHECKING:
    from .container import Container
    from .image import Image
    from .lab import Lab
    from .workspace import Workspace

ATTESTATIONS, ELSEWHERE = "attestations", "elsewhere"
"""Kinds of places besides those that are drawn."""

MASK = "••••"
"""What stands for the secret wherever the text around it is told."""

NOWHERE = "nowhere"
NOT_APPLICABLE = "not applicable: none are made here"

_SCRIPT = "use-token.sh"
_SECONDS = 20.0
_SHOWN = 160


@dataclass(frozen=True)
class Token:
    """A secret of one run, which nothing may tell: not its `repr`, and no record."""

    value: str = field(repr=False)

    @classmethod
    def random(cls) -> Token:
        """Return a token that nobody has had."""
        return cls(f"token-{secrets.token_hex(16)}")

    @property
    def encoded(self) -> bytes:
        """The token's bytes."""
        return self.value.encode()

    @property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256, which tell it from others."""
        return hashlib.sha256(self.encoded).hexdigest()[:16]

    def masked(self, text: str) -> str:
        """Return a text with the mask in the token's place."""
        return text.replace(self.value, MASK)


@dataclass(frozen=True)
class Leak:
    """A place that has the token: its kind, and the masked text that tells where it is."""

    kind: str
    told: str

    def as_data(self) -> dict[str, str]:
        """Return the leak for a record."""
        return {"kind": self.kind, "told": self.told}


def build(work: Workspace, token: Token, *, provenance: bool = False) -> Image:
    """Build an arm, and hand the token over in the way that its Dockerfile asks for.

    That is a build argument (`ARG TOKEN`), a build secret (`--mount=type=secret`), a file of the
    build context (`COPY token`), or nothing at all.
    A token is no part of the cache key of a RUN that has it as a secret, so the script is salted.

    Raises:
        BuildError: the Dockerfile does not build; the token is masked in what is told of it.
    """
    dockerfile = work.path("Dockerfile").read_text(encoding="utf-8")
    work.salt(_SCRIPT)
    options: dict[str, Any] = {}
    if "ARG TOKEN" in dockerfile:
        options["arguments"] = {"TOKEN": token.value}
    if "--mount=type=secret,id=token" in dockerfile:
        options["secrets"] = {"token": token.encoded}
    if "COPY token " in dockerfile:
        work.write("token", token.encoded)
    try:
        return work.build(provenance=provenance, **options)
    except BuildError as error:
        masked = token.masked(str(error))
    raise BuildError(masked)


@contextmanager
def run(lab: Lab, work: Workspace, image: Image, token: Token) -> Iterator[Container]:
    """Start an arm's container, with the token where it is to have it at run time only.

    Its Dockerfile asks for a mounted file (`ENV TOKEN_FILE`), or, where nothing else of it knows
    of a token, for an environment variable.

    Raises:
        ContainerError: the container does not start.
    """
    dockerfile = work.path("Dockerfile").read_text(encoding="utf-8")
    if "ENV TOKEN_FILE=" in dockerfile:
        with (
            Pod(lab, {"token": token.encoded}, "/run/secrets", in_memory=True) as pod,
            pod.start(image) as container,
        ):
            yield container
        return
    asks = any(words in dockerfile for words in ("ARG TOKEN", "id=token", "COPY token "))
    variables = {} if asks else {"TOKEN": token.value}
    with lab.start(image, environment=variables) as container:
        yield container


def at_run_time(container: Container, token: Token) -> Figures:
    """Tell whether a container shows that the token was had, and whether `inspect` tells it."""
    had = container.wait_for_log(rf"^{token.fingerprint}$", seconds=_SECONDS) > 0
    with talking_to(container.engine):
        inspected = container.engine.docker.api.inspect_container(container.get_container_id())
    return {"had_token": had, "inspected": token.value in json.dumps(inspected)}


def of_image(work: Workspace, image: Image, token: Token) -> Figures:
    """Search an image for the token: its history, its configuration, and all of its layers' bytes.

    `control` tells whether the same search finds what is in a layer for sure: the script's salt.

    Raises:
        CouldNotMeasure: the engine's archive of the image cannot be read.
    """
    salt = work.path(_SCRIPT).read_bytes().splitlines()[-1]
    archive = image.archive(token.encoded, salt)
    found = list(search(archive, token))
    return {
        "control": any(layer.found[salt] for layer in archive.stack),
        "found_in": _kinds(found),
        "places": "; ".join(leak.told for leak in found) or NOWHERE,
        LEAKS: {
            "found": [leak.as_data() for leak in found],
            "layers": len(archive.stack),
            "files": sum(len(layer.entries) for layer in archive.stack),
        },
    }


def in_attestations(image: Image, token: Token) -> dict[str, str | bool]:
    """Tell whether an image's attestations have the token, or that none are made here.

    `attested` is there only where attestations are made.

    Only buildx makes any, and only a containerd store keeps them with the image (docs.docker.com,
    "Build attestations").

    Raises:
        CouldNotMeasure: the engine's archive of the image cannot be read.
    """
    engine = image.engine
    if not (engine.builder.is_buildx and engine.description.store.startswith("containerd")):
        return {"found_in": NOT_APPLICABLE}
    found = [leak for leak in search(image.archive(), token) if leak.kind == ATTESTATIONS]
    return {"found_in": _kinds(found), "attested": bool(found)}


def _kinds(found: Iterable[Leak]) -> str:
    return ", ".join(dict.fromkeys(leak.kind for leak in found)) or NOWHERE


def search(archive: Archive, token: Token) -> Iterator[Leak]:
    """Return every place of an image that has a token: history, configuration, files, and others.

    The layers tell what was found when the archive was read with the token as `wanted`.
    """
    yield from _in_history(archive.config, token)
    yield from _in_configuration(archive.config, token)
    for number, layer in enumerate(archive.stack, 1):
        for place in layer.found.get(token.encoded, ()):
            path = token.masked(f"/{place.path}") if place.path else "after the last file"
            what = "" if place.in_content else ", in its name or attributes"
            yield Leak(FILES, f"layer {number}: {path}{what}")
    yield from _in_documents(archive, token)


def _in_history(config: Mapping[str, Any], token: Token) -> Iterator[Leak]:
    for step in config.get("history") or []:
        if token.value in json.dumps(step):
            told = token.masked(step.get("created_by", "")).removesuffix(" # buildkit")
            named = told if MASK in told else token.masked(json.dumps(step))
            yield Leak(HISTORY, _short(f"history: {named}"))


def _in_configuration(config: Mapping[str, Any], token: Token) -> Iterator[Leak]:
    rest = {key: value for key, value in config.items() if key != "history"}
    for path, text in _texts(rest):
        if token.value in path or token.value in text:
            yield Leak(CONFIGURATION, _short(token.masked(f"{path}: {text}")))


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Return all strings of a JSON document with the way to them."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, path)
    else:
        yield path, str(value)


def _in_documents(archive: Archive, token: Token) -> Iterator[Leak]:
    """Return what no other kind tells: attestations, and whatever else the archive has."""
    in_config = token.value in json.dumps(archive.config)
    for name, content in archive.documents.items():
        if token.encoded not in content:
            continue
        attestation = _attestation(content)
        if attestation is not None:
            for path, text in _texts(attestation):
                if token.value in text:
                    told = f"provenance: {path.removeprefix('predicate.')}: {text}"
                    yield Leak(ATTESTATIONS, _short(token.masked(told)))
        elif not in_config:  # the configuration itself, or one of an older layout
            yield Leak(ELSEWHERE, token.masked(f"the archive's {name}"))


def _attestation(content: bytes) -> Mapping[str, Any] | None:
    """Return an in-toto statement (in-toto attestation framework, "Statement"), or None."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    is_statement = isinstance(document, Mapping) and "predicateType" in document
    return document if is_statement else None


def _short(text: str) -> str:
    """Return a line that is cut where it is too long to be read."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
