"""The sections of a chapter, taken apart into the pieces of which slides are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from docutils import nodes
from sphinx import addnodes

from .errors import ProvingError

WHY = "How it works"
"""What the title of a section begins with that tells how the section above it works."""

_SILENT = (nodes.comment, nodes.target, nodes.title, nodes.substitution_definition)
_FOLDED = "dropdown"


class SectionError(ProvingError):
    """A chapter has no such section; the sentence says which it has."""


@dataclass(frozen=True)
class Piece:
    """A part of a section: `node` is a paragraph, a list, a table, code, or a raw result.

    `notes` tells what the chapter has folded away beside it; `heading` is that of the subsection.
    """

    kind: str
    node: nodes.Element
    notes: str = ""
    heading: str = ""


def plain(doctree: nodes.document, titles: dict[str, str]) -> nodes.document:
    """Return a copy of a page without links, which lead nowhere on a slide; `titles` is by page."""
    copy = doctree.deepcopy()
    for link in list(copy.findall(addnodes.pending_xref)):
        title = titles.get(link["reftarget"].lstrip("/")) if link["reftype"] == "doc" else None
        told: list[nodes.Node] = [nodes.Text(title)] if title and not link["refexplicit"] else []
        link.replace_self(told or link.children)
    for reference in list(copy.findall(nodes.reference)):
        reference.replace_self(reference.children)
    return copy


def find(doctree: nodes.document, name: str) -> tuple[str, list[Piece]]:
    """Return the title and the pieces of a section, which a slug names or a claim that it proves.

    Of a section that proves several claims, a claim's pieces are those around its card.

    Raises:
        SectionError: there is none of that name.
    """
    for section in doctree.findall(nodes.section):
        shown = [child for child in section.children if _claim_of(child) == name]
        if shown:
            return _title(section), _in_order(_around(section, section.index(shown[0])))
        if name in section["ids"]:
            return _title(section), _in_order(list(_pieces(section.children)))
    there = [one["ids"][0] for one in doctree.findall(nodes.section) if not _tells_why(one)]
    proved = [_claim_of(raw) for raw in doctree.findall(nodes.raw) if _claim_of(raw)]
    raise SectionError(
        f"there is no section {name!r}; there are {', '.join(there[1:])}, "
        f"and those of the claims {', '.join(filter(None, proved))}."
    )


def first_sentences(paragraph: nodes.Element, count: int) -> nodes.paragraph:
    """Return the first sentences of a paragraph."""
    kept: list[nodes.Node] = []
    for number, sentence in enumerate(sentences(paragraph)):
        if number < count:
            kept += [*([nodes.Text(" ")] if number else []), *sentence.children]
    return nodes.paragraph("", "", *kept)


def sentences(paragraph: nodes.Node) -> list[nodes.Element]:
    """Return each sentence of a paragraph, a line of its own in the sources, as a paragraph.

    What is no paragraph is returned as it is.
    """
    if not isinstance(paragraph, nodes.paragraph):
        return [paragraph] if isinstance(paragraph, nodes.Element) else []
    found = [nodes.paragraph()]
    for child in paragraph.children:
        if isinstance(child, nodes.Text):
            first, *others = str(child).split("\n")
            found[-1] += nodes.Text(first)
            for line in others:
                found.append(nodes.paragraph("", "", nodes.Text(line)))
        else:
            found[-1] += child.deepcopy()
    return list(found)


def _in_order(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces with the figures of an explanation before it, so that its text is one."""
    first = next((n for n, piece in enumerate(pieces) if piece.kind == "why"), len(pieces))
    behind = pieces[first:]
    figures = [replace(piece, heading="") for piece in behind if piece.kind == "figure"]
    return [*pieces[:first], *figures, *(one for one in behind if one.kind != "figure")]


def folded(section: nodes.Element) -> list[nodes.container]:
    """Return what a section has folded away, such as an exercise's hint and its solution."""
    return [one for one in section.findall(nodes.container) if _is_folded(one)]


def all_pieces(section: nodes.Element) -> Iterator[Piece]:
    """Yield the pieces of a section and of all sections in it."""
    yield from _pieces(section.children)
    for child in section.children:
        if isinstance(child, nodes.section) and not _tells_why(child):
            yield from all_pieces(child)


def section_of(doctree: nodes.document, slug: str) -> nodes.section:
    """Return a section by its slug.

    Raises:
        SectionError: there is none.
    """
    found = [one for one in doctree.findall(nodes.section) if slug in one["ids"]]
    if not found:
        raise SectionError(f"there is no section {slug!r}.")
    return found[0]


def _title(section: nodes.Element) -> str:
    return str(section.children[0].astext())


def _tells_why(section: nodes.section) -> bool:
    return _title(section).startswith(WHY)


def _claim_of(node: nodes.Node) -> str | None:
    return node.get("claim") if isinstance(node, nodes.raw) else None


def _is_folded(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("design_component") == _FOLDED


def _around(section: nodes.Element, at: int) -> list[Piece]:
    """Return the pieces of the claim whose card is at this place of a section."""
    children = section.children
    cards = [place for place, child in enumerate(children) if _claim_of(child)]
    before = [place for place in cards if place < at]
    after = [place for place in cards if place > at]
    begin = _lead(children, before[-1] + 1, at) if before else 0
    end = _lead(children, at + 1, after[0]) if after else len(children)
    return list(_pieces(children[begin:end]))


def _lead(children: Sequence[nodes.Node], begin: int, card: int) -> int:
    """Return where the lead of a card begins: at the last paragraph before its files."""
    files = next((n for n in range(begin, card) if columns(children[n])), card)
    texts = [n for n in range(begin, files) if isinstance(children[n], nodes.paragraph)]
    return texts[-1] if texts else files


def columns(node: nodes.Node) -> list[nodes.container]:
    """Return the columns of a grid of files, one for each arm."""
    if not isinstance(node, nodes.container) or _is_folded(node):
        return []
    return [one for one in node.findall(nodes.container) if "pg-files" in one["classes"]]


def _pieces(children: Sequence[nodes.Node], heading: str = "") -> Iterator[Piece]:
    for place, child in enumerate(children):
        if isinstance(child, nodes.section):
            if _tells_why(child):
                yield from _why(child)
        elif not isinstance(child, _SILENT) and isinstance(child, nodes.Element):
            yield from _of_node(child, _hidden_beside(children, place), heading)


def _why(section: nodes.section) -> Iterator[Piece]:
    for piece in _pieces(section.children[1:], _title(section)):
        yield Piece(
            "why" if piece.kind == "text" else piece.kind, piece.node, piece.notes, piece.heading
        )


def _hidden_beside(children: Sequence[nodes.Node], place: int) -> str:
    """Return the titles of what is folded away right behind a node, as one sentence."""
    titles = []
    for child in children[place + 1 :]:
        if not _is_folded(child):
            break
        titles.append(child.children[0].astext())
    return "; ".join(titles)


def _of_node(node: nodes.Element, hidden: str, heading: str) -> Iterator[Piece]:
    if isinstance(node, nodes.raw):
        if node.get("question"):
            yield Piece("question", node)
        if node.get("claim"):
            yield Piece("card", node)
        elif node.get("figure"):
            yield Piece("figure", node)
    elif columns(node):
        yield Piece("files", node, hidden)
    elif _is_folded(node):
        return
    elif isinstance(node, nodes.table):
        yield Piece("table", node, heading=heading)
    elif isinstance(node, nodes.literal_block) or node.get("literal_block"):
        yield Piece("code", node, heading=heading)
    else:
        yield Piece("text", node, heading=heading)
