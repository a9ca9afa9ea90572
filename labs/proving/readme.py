"""The figures that the README quotes, written into it from the recorded results.

Markdown has no roles, so a figure stands between two comments:
`<!-- P1.bad.stop_seconds -->10.1 s<!-- / -->`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from . import claims, recorded
from .paths import LABS, ROOT
from .show import figure_text

README = ROOT / "README.md"
_QUOTED = re.compile(r"<!-- (\w+)\.(\w+)\.(\w+) -->.*?<!-- / -->")


def quoted(text: str, results: Mapping[str, recorded.Record]) -> str:
    """Return a text with every quoted figure as it is recorded.

    Raises:
        ClaimsFileError: a figure is quoted that no recorded lab has.
    """

    def replace(match: re.Match[str]) -> str:
        claim_id, arm, figure = match.groups()
        name = f"{claim_id}.{arm}.{figure}"
        value = recorded.value(results, name)
        unit = claims.get(claim_id).figures[figure].unit
        return f"<!-- {name} -->{figure_text(value, unit)}<!-- / -->"

    return _QUOTED.sub(replace, text)


def refresh(path: Path = README, labs: Path = LABS) -> None:
    """Write the recorded figures into the README."""
    text = path.read_text(encoding="utf-8")
    results = recorded.results(recorded.load_all(labs).values())
    path.write_text(quoted(text, results), encoding="utf-8")
