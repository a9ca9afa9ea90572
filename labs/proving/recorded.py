"""Recorded results, read from the notebooks that carry them.

Plain `json` is enough to read a notebook, and importing nbformat costs more than a second.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .claims import MIME, Value
from .errors import ClaimsFileError

Record = Mapping[str, Any]
"""What `lab.claim` puts into a notebook's output: verdict, figures, checks, environment, date."""

_VOLATILE = ("execution_count", "transient")


@dataclass(frozen=True)
class RecordedLab:
    """A notebook and the results that its last recorded run left in it.

    `decides` and `outputs` are the hashes that the run wrote down; `seconds` is how long it took.
    They are `None` in a notebook that was never recorded.
    """

    slug: str
    path: Path
    title: str
    results: Mapping[str, Record]
    outputs_now: str
    recorded_at: str | None = None
    seconds: float | None = None
    environment: Mapping[str, Any] | None = None
    decides: str | None = None
    outputs: str | None = None

    @property
    def intact(self) -> bool:
        """Tell whether the outputs are still those that the recorded run wrote."""
        return self.outputs == self.outputs_now

    def stale(self, decides: Callable[[Path], str]) -> bool:
        """Tell whether what decides the results has changed since they were recorded.

        `decides` gives the hash of that for a notebook, as `claims.decides` does.
        """
        return self.decides != decides(self.path)


def load(notebook: Path) -> RecordedLab:
    """Return the results that a notebook carries.

    Raises:
        ClaimsFileError: the file is missing, is no notebook, or has two results of one claim.
    """
    content = _read(notebook)
    meta = content.get("metadata", {}).get("proving", {})
    return RecordedLab(
        slug=notebook.stem,
        path=notebook,
        title=_title(content) or notebook.stem,
        results=_results(notebook, content),
        outputs_now=outputs_hash(content),
        recorded_at=meta.get("recorded_at"),
        seconds=meta.get("seconds"),
        environment=meta.get("environment"),
        decides=meta.get("decides"),
        outputs=meta.get("outputs"),
    )


def load_all(labs: Path) -> dict[str, RecordedLab]:
    """Return every lab of a folder by its slug, in the guide's order.

    Raises:
        ClaimsFileError: a notebook cannot be read, or two of them prove the same claim.
    """
    found = {path.stem: load(path) for path in sorted(labs.glob("[0-9]*.ipynb"))}
    results(found.values())
    return found


def results(labs: Iterable[RecordedLab]) -> dict[str, Record]:
    """Return the results of several labs as one mapping by claim id.

    Raises:
        ClaimsFileError: two labs carry a result of the same claim.
    """
    merged: dict[str, Record] = {}
    for lab in labs:
        for claim_id, record in lab.results.items():
            if claim_id in merged:
                raise ClaimsFileError(f"{lab.path.name} proves {claim_id}, as another lab does.")
            merged[claim_id] = record
    return merged


def value(results: Mapping[str, Record], name: str) -> Value:
    """Return a recorded figure (`P1.bad.stop_seconds`) or setting (`P1.grace_seconds`).

    Raises:
        ClaimsFileError: nothing of that name was recorded; the sentence says what was.
    """
    claim_id, _, rest = name.partition(".")
    if claim_id not in results:
        raise ClaimsFileError(f"{name} cannot be quoted: no recorded lab has a result of it.")
    record = results[claim_id]
    arm, dot, figure = rest.partition(".")
    offered: Mapping[str, Value]
    if dot:
        offered = record.get("arms", {}).get(arm, {})
    else:
        figure, offered = arm, record.get("settings", {})
    if figure not in offered:
        names = ", ".join(names_of(record))
        raise ClaimsFileError(f"{name} was not recorded; {claim_id} has {names or 'no figures'}.")
    return offered[figure]


def names_of(record: Record) -> list[str]:
    """Return what `value` can tell of a record, as `arm.figure` and the names of settings."""
    figures = [f"{arm}.{name}" for arm, all_of in record.get("arms", {}).items() for name in all_of]
    return [*figures, *record.get("settings", {})]


def outputs_hash(notebook: Path | Mapping[str, Any]) -> str:
    """Return the hash of all outputs of a notebook, given as a file or as its content.

    Execution counts do not count, and neither does how a text is split into lines: nbformat joins
    the lines when it reads and splits them when it writes.
    """
    content = _read(notebook) if isinstance(notebook, Path) else notebook
    outputs = [
        _plain(output)
        for cell in content["cells"]
        if cell["cell_type"] == "code"
        for output in cell.get("outputs", [])
    ]
    text = json.dumps(outputs, sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(output: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: part for key, part in output.items() if key not in _VOLATILE}
    if "text" in kept:
        kept["text"] = _joined(kept["text"])
    if "data" in kept:
        kept["data"] = {
            mime: part if mime.endswith("json") else _joined(part)
            for mime, part in kept["data"].items()
        }
    return kept


def _joined(text: Any) -> Any:
    return "".join(text) if isinstance(text, list) else text


def _read(notebook: Path) -> dict[str, Any]:
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClaimsFileError(f"The notebook {notebook.name} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ClaimsFileError(f"{notebook.name} is no notebook of format 4: it has no cells.")
    return content


def _results(notebook: Path, content: Mapping[str, Any]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            record = output.get("data", {}).get(MIME)
            if record is None:
                continue
            if not isinstance(record, dict) or not {"id", "verdict", "arms"} <= record.keys():
                raise ClaimsFileError(f"{notebook.name} has a result without id, verdict or arms.")
            if record["id"] in found:
                raise ClaimsFileError(f"{notebook.name} has two results of {record['id']}.")
            found[record["id"]] = record
    return found


def _title(content: Mapping[str, Any]) -> str:
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            for line in _joined(cell["source"]).splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return ""
