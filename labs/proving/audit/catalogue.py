"""All checks of the audit, in the guide's order within each source."""

from __future__ import annotations

from .findings import Check

ARCHIVE = (
    Check(
        "hidden-bytes",
        "Is it free of bytes that no container sees?",
        ("S1", "S2", "S3"),
        "archive",
        60,
    ),
    Check("caches", "Is it free of package lists and caches?", ("S1", "S2"), "archive", 50),
    Check("toolchain", "Is it free of compilers and build tools?", ("M2",), "archive", 55),
    Check("package-manager", "Is it free of package managers?", ("B1", "B3"), "archive", 15),
    Check(
        "privileged-files", "Is it free of setuid and setgid files?", ("Q1", "Q8"), "archive", 45
    ),
    Check(
        "world-writable", "Can its files be written by their owners alone?", ("Q8",), "archive", 35
    ),
    Check(
        "secrets",
        "Is it free of secrets, in every layer, its history and its environment?",
        ("R5",),
        "archive",
        100,
    ),
    Check(
        "user",
        "Does it run as another user than root, told by number?",
        ("Q8", "Q8K"),
        "archive",
        70,
    ),
    Check("command-form", "Is its command in exec form?", ("P1", "R3"), "archive", 65),
    Check(
        "shared-base",
        "Does it share its lowest layers with other images here?",
        ("B4", "B5"),
        "archive",
        10,
    ),
)
"""Those that read what `docker save` gives of an image."""

RUN = (
    Check("pid-1", "Is the application the first process?", ("P1", "P3", "P5", "Q1"), "run", 75),
    Check(
        "stops",
        "Does it end on TERM, well before the grace period is over?",
        ("P1", "P2"),
        "run",
        95,
    ),
    Check(
        "drains",
        "Does a request that is under way get its answer when TERM comes?",
        ("P8", "P7"),
        "run",
        90,
    ),
    Check("reaps", "Are orphans reaped?", ("P4",), "run", 40),
    Check(
        "logs",
        "Does it log to standard output or error, and not to files?",
        ("Q6", "Q5"),
        "run",
        50,
    ),
    Check("foreground", "Does it stay in the foreground?", ("P6",), "run", 80),
    Check("read-only-root", "Does it start with a read-only root file system?", ("Q8",), "run", 45),
    Check("any-user", "Does it start as any user, given by number?", ("Q8",), "run", 45),
    Check("no-capabilities", "Does it start without capabilities?", ("Q8",), "run", 45),
    Check("writes", "Does it leave its writable layer alone?", ("Q4", "S3K"), "run", 40),
    Check("readiness", "Is there a path that tells when it is ready?", ("Q7", "H2"), "run", 30),
    Check(
        "settings",
        "Does it fail at once, and say why, when a setting is missing?",
        ("R6",),
        "run",
        35,
    ),
)
"""Those that run the image in a cage."""

CONTEXT = (
    Check(
        "rebuilt-steps",
        "Are installations kept when one source file changes?",
        ("L6", "L2", "L3"),
        "context",
        60,
    ),
    Check(
        "context-bytes",
        "Is no more sent to the engine than the build uses?",
        ("L7",),
        "context",
        30,
    ),
    Check(
        "dockerignore",
        "Is the build context free of what no image needs?",
        ("L7", "R5"),
        "context",
        50,
    ),
    Check(
        "separate-runs",
        "Are commands that depend on each other in one RUN?",
        ("L5", "S1", "S3", "S4"),
        "context",
        55,
    ),
)
"""Those that build a folder, and build it again after an edit."""

CHECKS = {check.id: check for check in (*ARCHIVE, *RUN, *CONTEXT)}
