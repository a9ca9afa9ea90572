"""Prove advice about container images on a real engine.

A notebook needs one name, `Lab`; everything else is a module of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .lab import Lab

__all__ = ["Lab"]


def __getattr__(name: str) -> Any:
    """Import `Lab` when it is asked for: importing the package alone stays quick."""
    if name == "Lab":
        from .lab import Lab

        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
