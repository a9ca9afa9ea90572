"""What the site's directives and roles stand on: the claims, and what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import claims, recorded, recorded_engines, show
from .claims import Claim
from .errors import ClaimsFileError

if TYPE_CHECKING:
    from docutils.nodes import Node
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_log = logging.getLogger(__name__)

STALE = (
    "What decides this result has changed since it was measured: "
    "the figures are those of an earlier version."
)
EDITED = "The outputs of the notebook are not those that its recorded run wrote."


class Results:
    """The claims of a site and what its labs recorded of them."""

    def __init__(self, srcdir: Path) -> None:
        self.folder = srcdir / "labs"
        self.claims_file = self.folder / "claims.toml"
        self.engines_file = self.folder / recorded_engines.FILE.name

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Every claim by its id."""
        return claims.load(self.claims_file)

    @cached_property
    def labs(self) -> dict[str, recorded.RecordedLab]:
        """Every lab by its slug."""
        return recorded.load_all(self.folder)

    @cached_property
    def records(self) -> dict[str, recorded.Record]:
        """Every recorded result by the id of its claim."""
        return recorded.results(self.labs.values())

    def claim(self, claim_id: str) -> Claim:
        """Return a claim, or raise `ClaimsFileError` where there is none of that id."""
        if claim_id not in self.claims:
            raise ClaimsFileError(f"There is no claim {claim_id!r} in {self.claims_file.name}.")
        return self.claims[claim_id]

    def doubt(self, claim: Claim) -> str:
        """Return why a recorded result must not be trusted as it stands, or nothing."""
        lab = next((lab for lab in self.labs.values() if claim.id in lab.results), None)
        return self.doubt_about(lab) if lab else ""

    def doubt_about(self, lab: recorded.RecordedLab) -> str:
        """Return why the results of a lab must not be trusted as they stand, or nothing."""
        if lab.stale(self._decides):
            return STALE
        return "" if lab.intact else EDITED

    @cached_property
    def engines(self) -> dict[str, recorded_engines.RecordedEngine]:
        """What other engines have shown, by the engine's name."""
        return recorded_engines.load(self.engines_file)

    def doubt_there(self, claim: Claim, engine: recorded_engines.RecordedEngine) -> str:
        """Return why what another engine has shown of a claim must not be trusted, or nothing."""
        notebook = self.folder / f"{claim.chapter}.ipynb"
        now = _decides(notebook, self.folder / "images", self.claims_file, engine_alone=True)
        return STALE if engine.stale(claim.chapter, now) else ""

    def verdict(self, claim: Claim) -> str:
        """Return the recorded verdict on a claim, or that it is not proved yet."""
        record = self.records.get(claim.id)
        return str(record["verdict"]) if record else show.NOT_PROVED

    def _decides(self, notebook: Path) -> str:
        return _decides(notebook, self.folder / "images", self.claims_file)


_decides = cache(claims.decides)
"""What decides a lab's results, read once for a build and not for each figure that is quoted."""


@cache
def results_in(srcdir: Path) -> Results:
    """Return the results of a site, read once for a build: pages quote hundreds of them."""
    return Results(srcdir)


def forget(_app: Sphinx) -> None:
    """Have the results, and what decides them, read anew when a build begins."""
    results_in.cache_clear()
    _decides.cache_clear()


def results_of(env: BuildEnvironment, *, of: Iterable[str] | None = None) -> Results:
    """Return the results, and note that the page depends on the labs `of` these slugs, or all."""
    results = results_in(Path(env.srcdir))
    slugs = results.labs if of is None else of
    for path in (results.claims_file, *(results.folder / f"{slug}.ipynb" for slug in slugs)):
        env.note_dependency(str(path))
    return results


class ProvingDirective(SphinxDirective):
    """A directive about one claim; what goes wrong with it is a warning at its line."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Return what the page shows."""
        claim_id = self.arguments[0]
        try:
            results = results_of(self.env, of=())
            claim = results.claim(claim_id)
            self.env.note_dependency(str(results.folder / f"{claim.chapter}.ipynb"))
            return self.show(results, claim)
        except ClaimsFileError as error:
            _log.warning("%s", error, location=self.get_location(), type="proving")
            return []

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return the nodes for a claim that exists."""
        raise NotImplementedError


class TableDirective(SphinxDirective):
    """A table over all claims or all labs."""

    def run(self) -> list[Node]:
        """Return what the page shows."""
        try:
            return self.show(results_of(self.env))
        except ClaimsFileError as error:
            _log.warning("%s", error, location=self.get_location(), type="proving")
            return []

    def show(self, results: Results) -> list[Node]:
        """Return the table's nodes."""
        raise NotImplementedError
