"""What a RUN has a shell do, here-documents included."""

from __future__ import annotations

import pytest
from proving import instructions
from proving.audit import shell


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("RUN make && make install", "make && make install"),
        ("RUN --mount=type=cache,target=/c make", "make"),
        ('RUN ["pip", "install", "x"]', "pip install x"),
        ("RUN <<EOF\nmake\n# not me\n\nmake \\\n  install\nEOF", "make ; make    install"),
        ("RUN <<EOF\n#!/bin/bash -e\nmake\nEOF", "make"),
        ("RUN <<EOF\n#!/usr/bin/env -S bash -e\nmake\nEOF", "make"),
        ("RUN <<EOF\n#!/usr/bin/env python3\nprint()\nEOF", ""),
        ("RUN <<-EOF\n\t#!/usr/bin/python3\n\tmake\n\tEOF", "make"),
        ("RUN <<EOF bash -euo pipefail\nmake\nEOF", "<<EOF bash -euo pipefail ; make"),
        ("RUN cat <<EOF > /x.sh\napt-get install x\nEOF", "cat <<EOF > /x.sh"),
        ("RUN cat <<EOF | sh -e\nmake\nEOF", "cat <<EOF | sh -e ; make"),
        ("RUN cat <<EOF | tee /x.sh\nmake\nEOF", "cat <<EOF | tee /x.sh"),
        ("RUN sh <<EOF > /log 2>&1\nmake\nEOF", "sh <<EOF > /log 2>&1 ; make"),
        ("RUN sh <<EOF >/log\nmake\nEOF", "sh <<EOF >/log ; make"),
        ("RUN sh /x.sh <<EOF\nanswer\nEOF", "sh /x.sh <<EOF"),
        ("RUN python3 <<EOF\nimport x\nEOF", "python3 <<EOF"),
        ("RUN cat <<A > /a && sh <<B\na\nA\nb\nB", "cat <<A > /a && sh <<B ; b"),
    ],
)
def test_a_shell_is_told_what_it_reads(run, text):
    """What lies in a file or goes to another program is no command of the build."""
    (found,) = instructions.read(run)

    assert text == shell.text_of(found)


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("A=1 make && sh -eu ./x.sh", {"make", "./x.sh"}),
        ("bash -o pipefail x.sh ; (/y.sh)", {"x.sh", "/y.sh"}),
        ("make ; make install", {"make"}),
    ],
)
def test_programs_are_those_of_each_command(text, programs):
    """A shell counts as the script that it is given."""
    assert programs == shell.programs(text)
