"""Reports of audits, invented, one of them of an image that means no good."""

from __future__ import annotations

from proving.audit.catalogue import CHECKS
from proving.audit.findings import Finding, Line, Report
from proving.claims import Verdict

HOLDS, FAILS = Verdict.HOLDS, Verdict.DOES_NOT_HOLD
UNKNOWN, FOREIGN = Verdict.COULD_NOT_BE_MEASURED, Verdict.NOT_APPLICABLE

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e[bold red]:warning:[/]<script>&\ud800\ufffe"
"""What a hostile image may have for a name: terminal escapes, markup, and no text at all."""


def finding(check: str, verdict: Verdict, figure: str, advice: str = "", **values) -> Finding:
    """Return a finding of a check, without places."""
    return Finding(CHECKS[check], verdict, figure, advice, values)


REPORT = Report(
    subject="my/web:1.4",
    findings=(
        Finding(
            CHECKS["hidden-bytes"],
            FAILS,
            "31.2 MB of 120 MB are in layers and in no container.",
            "Remove what a step does not leave to the next in the same RUN.",
            {"hidden_bytes": 31_200_000, "unpacked_bytes": 120_000_000},
            tuple(f"/var/lib/apt/lists/{number}" for number in range(9)),
        ),
        Finding(
            CHECKS["secrets"],
            FAILS,
            "1 secret in layer 4.",
            "Give the secret to the build by --mount=type=secret, and change it: it is known.",
            {"secrets": 1},
            ("/app/.env: DATABASE_URL=postgres://app:•••@db",),
        ),
        finding("user", HOLDS, "It runs as 1000:1000.", uid=1000),
        finding("shared-base", FOREIGN, "There is no other image here."),
        finding(
            "stops",
            FAILS,
            "It was killed after 10.1 s.",
            "Have the application end on TERM, or start it with exec.",
            stop_seconds=10.1,
        ),
        finding("drains", UNKNOWN, "No exposed port has answered a request within 30 s."),
        finding(
            "writes", FAILS, "It wrote 2.1 MB in 60 s.", "Mount a volume.", written_bytes=2.1e6
        ),
        finding("reaps", HOLDS, "Orphans are gone at once."),
    ),
    facts={
        "transfer_bytes": 41_300_000,
        "unpacked_bytes": 120_000_000,
        "layers": [
            {
                "created_by": "ADD rootfs /",
                "transfer_bytes": 29_000_000,
                "unpacked_bytes": 80_000_000,
            },
            {
                "created_by": "RUN make " + "it " * 40,
                "transfer_bytes": 1,
                "unpacked_bytes": 40_000_000,
            },
        ],
        "exposed_ports": ["8080/tcp"],
        "healthcheck": "curl -f http://localhost:8080/ (Kubernetes ignores it)",
        "read_seconds": 1.25,
    },
    seconds=23.4,
)

HOSTILE = Report(
    subject=f"evil:{ESCAPE}",
    findings=(
        Finding(
            CHECKS["secrets"],
            FAILS,
            f"1 secret in {ESCAPE}",
            f"Look at {ESCAPE}",
            {"where": ESCAPE, f"name{ESCAPE}": 1},
            (ESCAPE,) * 20,
        ),
        Finding(CHECKS["stops"], UNKNOWN, ESCAPE),
        Finding(
            CHECKS["dockerignore"], FAILS, ESCAPE, ESCAPE, lines=(Line(f"{ESCAPE}/Dockerfile", 3),)
        ),
        Finding(CHECKS["user"], FOREIGN, ESCAPE),
        Finding(CHECKS["logs"], HOLDS, ESCAPE),
    ),
    facts={
        "layers": [{"created_by": ESCAPE, "unpacked_bytes": 1}] * 20,
        f"label {ESCAPE}": {ESCAPE: [ESCAPE, 1, None, True]},
        "raw": ESCAPE.encode("utf-8", "replace"),
    },
)

BETTER = Report(
    subject="my/web:1.5",
    findings=(
        finding(
            "hidden-bytes", FAILS, "1.2 MB of 90 MB are hidden.", "Do.", hidden_bytes=1_200_000
        ),
        finding("secrets", HOLDS, "No secret was found."),
        finding("user", FAILS, "It runs as root.", "Name a user by number."),
        finding("stops", FAILS, "It was killed after 10.3 s.", "Use exec.", stop_seconds=10.3),
        finding("drains", HOLDS, "The request under way got its answer."),
        finding("writes", FAILS, "It wrote 9 MB.", "Mount a volume.", written_bytes=9e6),
        finding("reaps", HOLDS, "Orphans are gone at once."),
        finding("logs", HOLDS, "It logs to standard output."),
    ),
    facts={"transfer_bytes": 30_000_000, "layers": 5},
    seconds=20.0,
)
"""A later version of `REPORT`'s image, better in some and worse in others."""


FOLDER = Report(
    subject="./web",
    findings=(
        Finding(
            CHECKS["rebuilt-steps"],
            FAILS,
            "after an edit of app.py, 2 of 4 steps ran again in 12.1 s, 1 installation among them",
            "Copy the list of dependencies alone, install them, and copy the source after that.",
            {"repeated_installations": 1, "edited_file": "app.py"},
            ("[4/4] RUN pip install -r requirements.txt: 12.0 s",),
            (Line("Dockerfile", 4), Line("Dockerfile", 3)),
        ),
        finding("context-bytes", HOLDS, "1.2 kB sent", unused_bytes=0),
        finding("user", HOLDS, "It runs as 1000:1000.", uid=1000),
    ),
    facts={"dockerfile": "Dockerfile", "sent_bytes": 1200, "build_seconds": 14.2},
    seconds=31.0,
)
"""A folder that was built."""
