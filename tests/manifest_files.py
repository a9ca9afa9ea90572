"""The manifests that there are, for the tests that ask something of every one."""

from __future__ import annotations

from proving.manifests import MANIFESTS
from proving.paths import LABS

MANIFEST_FILES = sorted([*MANIFESTS.rglob("*.yaml"), *(LABS / "exercises").glob("*/*/*.yaml")])
"""Those of the claims' arms, and those that exercises begin and end with."""
