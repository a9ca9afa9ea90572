"""What a watchdog removes in a dead lab's place, by stand-ins for the engine."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proving import buildcache, engine, leftovers, watchdog

WINDOW = {"before": ["base"], "commands": ["make"]}


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, Any, bool]]:
    """What was removed since which records, of which commands, and whether the lock was held."""
    found: list[tuple[Any, Any, bool]] = []

    def remove_new(_client: object, before: list[str], commands: list[str]) -> int:
        with (tmp_path / "build-cache.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = False
            except BlockingIOError:
                held = True
        found.append((before, commands, held))
        return 0

    monkeypatch.setattr(watchdog, "STATE", tmp_path)
    monkeypatch.setattr(watchdog, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "_end_builds", lambda _run: None)
    monkeypatch.setattr(engine, "of_environment", lambda: SimpleNamespace(docker=None))
    monkeypatch.setattr(leftovers, "remove", lambda *_: 0)
    monkeypatch.setattr(buildcache, "remove_new", remove_new)
    return found


def test_records_are_removed_with_the_build_cache_lock(removed):
    """A new run of the same lab makes the same records: none go while it measures."""
    watchdog.clean_up("run", json.dumps(WINDOW).encode() + b"\n")

    assert [(["base"], ["make"], True)] == removed


@pytest.mark.parametrize("told", [b"", b"{}\n", b'{"before": ['])
def test_a_window_that_is_closed_leaves_nothing_to_remove(told, removed):
    """Nothing was told, the last window was closed, or the line broke off."""
    watchdog.clean_up("run", told)

    assert [] == removed
