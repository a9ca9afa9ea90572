"""What trials of a room have measured, as a table of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import show
from .claims import humanize
from .errors import ProvingError
from .room import record
from .room.weight import GIB, SYSTEM_BYTES
from .site_tables import row, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docutils.nodes import Node

_log = logging.getLogger(__name__)
_HEADS = ("At once", "Ready", "The claim", "At rest", "At most", "On the disk")


class RoomTrialsDirective(SphinxDirective):
    """Each recorded trial in a row: what the slowest and the largest of its seats took."""

    def run(self) -> list[Node]:
        """Return the table, and a paragraph on where it was measured and how many seats fit."""
        self.env.note_dependency(str(record.FILE))
        try:
            trials = record.recorded()
        except ProvingError as error:
            _log.warning("%s", error, location=self.get_location(), type="proving")
            return []
        if not trials:
            return [nodes.paragraph("", "No trial has been recorded yet.")]
        rows = [row([[nodes.paragraph("", text)] for text in _cells(one)]) for one in trials]
        told = table(_HEADS, (10, 15, 15, 20, 20, 20), rows)
        return [told, nodes.paragraph("", _sentence(trials))]


def _cells(tried: record.Tried) -> list[str]:
    seats = tried.seats
    return [
        str(len(seats)),
        humanize(max(seat.start_seconds for seat in seats), "s"),
        humanize(max(seat.claim_seconds for seat in seats), "s"),
        humanize(max(seat.idle_bytes for seat in seats), "B"),
        humanize(max(seat.peak_bytes for seat in seats), "B"),
        humanize(max(seat.disk_bytes for seat in seats), "B"),
    ]


def _sentence(trials: Sequence[record.Tried]) -> str:
    tried = trials[-1]
    count = record.fit(trials, record.MACHINE_GIB * GIB)
    return (
        f"Measured on {show.date_text(tried.recorded_at)} with {show.where_text(tried.engine)}. "
        f"The hub, its proxy and its culler took {humanize(tried.hub_bytes, 'B')}; with "
        f"{SYSTEM_BYTES // GIB} GiB left to the system, {count} seats of the largest size fit into "
        f"{record.MACHINE_GIB} GiB."
    )
