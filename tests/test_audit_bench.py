"""The bench of the audit: how a program is measured, and how figures stand beside their targets."""

from __future__ import annotations

import sys

import pytest
from proving import audit_bench, bench
from proving.audit_bench import Run, Size
from proving.errors import ProvingError


def size(layers: float, everything: float, memory_bytes: int = 60_000_000) -> Size:
    """Return what was measured of an image; dive takes 1 s, the save 2 s, and syft is not there."""
    return Size(
        "medium",
        archive_bytes=900_000_000,
        unpacked_bytes=850_000_000,
        save_seconds=2.0,
        layers=Run(layers, memory_bytes),
        everything=Run(everything, memory_bytes),
        dive=Run(1.0, 34_000_000),
        syft=None,
    )


def test_a_program_is_measured_from_outside() -> None:
    run = audit_bench.measured([sys.executable, "-c", "b'1' * 60_000_000"], times=2)

    assert 0 < run.seconds < 30
    assert 50_000_000 < run.memory_bytes < 500_000_000


def test_a_program_that_fails_is_no_measurement() -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('it broke')"]

    with pytest.raises(ProvingError, match="it broke"):
        audit_bench.measured(failing, times=1)


def test_targets_stand_beside_figures() -> None:
    """Layers have dive's time, and everything twice the save's; memory is bounded for each."""
    kept = audit_bench.table([size(0.9, 3.9)], Run(20.0, 60_000_000))
    missed = audit_bench.table([size(1.1, 4.1, 130_000_000)], Run(40.0, 60_000_000))

    assert " over" not in kept
    assert 5 == missed.count(" over")
    assert "syft                         not there" in kept
    assert "a fifth of syft: not measured" in kept


def test_a_size_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["audit", "huge"])
    assert "small, medium, large" in capsys.readouterr().err
