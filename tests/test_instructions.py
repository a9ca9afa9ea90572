"""A Dockerfile is read as its builder reads it: lines, continuations, here-documents."""

from __future__ import annotations

import pytest
from proving import instructions
from proving.instructions import Heredoc


def read(text: str) -> list[instructions.Instruction]:
    """Return the instructions of a Dockerfile."""
    return list(instructions.read(text))


def test_a_here_document_is_no_instruction_and_moves_the_lines_after_it():
    """Its lines may look like instructions, comments or continuations; they are as they stand."""
    found = read(
        "FROM a\nRUN <<EOF\nFROM b\n# kept\n\nmake \\\n  all\nEOF\nCOPY <<E.txt b /x\nRUN\nE.txt\n"
        "USER 1\n"
    )

    assert [("FROM", 1, 1), ("RUN", 2, 8), ("COPY", 9, 11), ("USER", 12, 12)] == [
        (one.word, one.line, one.last_line) for one in found
    ]
    assert "FROM b\n# kept\n\nmake \\\n  all\n" == found[1].heredocs[0].content
    assert ["<<E.txt", "b", "/x"] == found[2].words


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("RUN <<EOF", ["EOF"]),
        ("run <<eof", ["eof"]),
        ("RUN --mount=type=cache,target=/x <<'EOF' bash -e", ["EOF"]),
        ('RUN <<"EOF"', ["EOF"]),
        ("RUN 3<<EOF cat <&3", ["EOF"]),
        ("RUN cat <<A > /a && cat <<B > /b", ["A", "B"]),
        ("COPY <<-EOF /x", ["EOF"]),
        ("ONBUILD RUN <<EOF", ["EOF"]),
        ("RUN cat<<EOF", []),  # a shell would take it, BuildKit does not
        ("RUN cat << EOF", []),
        ("RUN cat <<<EOF", []),
        ("RUN echo 'a <<EOF b'", []),
        ("RUN echo it's <<EOF", []),
        ("ENV A <<EOF", []),
        ('RUN ["cat", "<<EOF"]', []),
    ],
)
def test_what_stands_for_a_here_document(line, names):
    """A word of its own in RUN, COPY or ADD that begins with `<<` (BuildKit's parser)."""
    found = read(f"FROM a\n{line}\nA\nEOF\neof\nB\n")[1]

    assert names == [one.name for one in found.heredocs]


def test_tabs_are_left_out_where_it_is_asked_for():
    """At the beginnings of all lines, and before the word that ends it."""
    found = read("FROM a\nRUN <<-EOF\n\tone\n\t\ttwo\n\tEOF\nRUN <<EOF\n\tthree\n\tEOF\nEOF\n")

    assert (Heredoc("EOF", "one\ntwo\n"),) == found[1].heredocs
    assert (Heredoc("EOF", "\tthree\n\tEOF\n"),) == found[2].heredocs


def test_one_that_never_ends_is_none():
    """The builder refuses such a file."""
    found = read("FROM a\nRUN <<A <<B\nA\nUSER 1\n")

    assert ["FROM", "RUN", "USER"] == [one.word for one in found]
    assert ["A"] == [one.name for one in found[1].heredocs]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("RUN <<EOF\napt-get update\napt-get install x\nEOF", "RUN <<EOF (apt-get update...)"),
        ("RUN <<EOF\n\n  make\n\nEOF", "RUN <<EOF (make)"),
        ("RUN <<EOF\nEOF", "RUN <<EOF"),
        ("RUN cat <<EOF > /x\na\nEOF", "RUN cat <<EOF > /x"),
        ("COPY <<EOF /x\na\nEOF", "COPY <<EOF /x"),
        ("RUN make", "RUN make"),
    ],
)
def test_an_instruction_is_told_as_its_step_is(text, told):
    """By BuildKit's own way to name what a here-document does."""
    assert told == str(read(text)[0])


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("RUN a \\\n  && b", "a && b"),
        ("RUN a\\\nb", "ab"),
        ("RUN a \\ \t\n\n  # no\n b", "a b"),
        ("RUN a \\\r\n b\r\nUSER 1", "a b"),
        ("RUN a\x0cb", "a b"),
    ],
)
def test_a_line_that_goes_on_is_joined_as_the_builder_joins_it(text, joined):
    """With nothing between; and no other sign than a line feed ends a line."""
    found = read(text)

    assert joined == found[0].text
    assert [1, 3][: len(found)] == [one.line for one in found]
