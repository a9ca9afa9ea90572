"""Where the network is cut off, a lab passes from the kit alone.

The machine is a network namespace with nothing but loopback, a copy of the guide, and an engine of
its own that has no image and no build cache.
`PROVING_KIT_TEST="03 04 05 09 10"` makes a whole kit, and tries the preflight and these chapters,
those of half a day, instead of one quick claim.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from proving import private
from proving.kit import debian, make, manifest
from proving.paths import LABS

pytestmark = pytest.mark.engine

ASKED = tuple(os.environ.get("PROVING_KIT_TEST", "").split())
CHAPTERS, CLAIMS = ((), ASKED) if ASKED else (("04",), ("S1",))

ROOM = """
set -e
ip link set lo up
test -z "$(ip route show)"
export DOCKER_HOST="$("$PYTHON" -c 'from proving import private; print(private.start())')"
trap '"$PYTHON" -c "from proving import private; private.erase()"' EXIT
"$PYTHON" -m proving.kit.command --load "$KIT"
test -n "$CHAPTERS" || "$PYTHON" -m proving preflight
"$PYTHON" -m proving.prove labs $CLAIMS
"$PYTHON" -c 'from proving import clean; raise SystemExit(clean.main())'
"""


@pytest.fixture
def machine() -> Iterator[Path]:
    """Yield the folder of a machine that has the guide, and nothing that a run has left."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a network namespace needs Linux and root")
    if subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("no network namespace can be made here")
    if private.missing_packages():
        pytest.skip("a private engine needs distribution packages that are not here")
    with tempfile.TemporaryDirectory(prefix="proving-room-") as folder:
        shutil.copytree(
            LABS, Path(folder, "labs"), ignore=shutil.ignore_patterns("__pycache__", "work")
        )
        yield Path(folder)


def test_a_lab_passes_from_the_kit_alone(engine, machine, tmp_path, monkeypatch):
    """Bases, packages and wheels come from the kit: there is no network to have them from."""
    if not ASKED:
        monkeypatch.setenv("PROVING_CLUSTER", "none")  # the kit needs no node for its claim
    parts = (manifest.IMAGES, manifest.LAB_WHEELS)
    make.make(tmp_path / "kit", make.Wanted(CHAPTERS, parts))
    environment = {
        **os.environ,
        "PYTHONPATH": str(machine / "labs"),
        "PYTHON": sys.executable,
        "KIT": str(tmp_path / "kit"),
        "CHAPTERS": " ".join(CHAPTERS),
        "CLAIMS": " ".join(CLAIMS),
    }
    for name in ("DOCKER_HOST", "PROVING_CLUSTER_RUN", "PROVING_KUBECONFIG"):
        environment.pop(name, None)

    ended = subprocess.run(
        ["unshare", "--net", "sh", "-c", ROOM],
        cwd=machine,
        env=environment,
        capture_output=True,
        text=True,
        timeout=5400 if ASKED else 600,
        check=False,
    )

    told = ended.stdout + ended.stderr
    print(told)  # shown where it fails
    assert 0 == ended.returncode, told
    assert "0 failed" in told
    filling = {"label": f"{debian.LABEL}={debian.filling()}"}
    assert [] == engine.docker.containers.list(all=True, filters=filling)
