"""What an image says is printed as one line that steers no terminal."""

from __future__ import annotations

import pytest
from proving.audit.text import LONGEST, printable


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("usr/bin/env", "usr/bin/env"),
        ("größe 大小", "größe 大小"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\x9b31mb", "a\\x9b31mb"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("exe\u202egnp.txt", "exe\\u202egnp.txt"),
        ("a\u2028b", "a\\u2028b"),
        ("a\U000e0041b", "a\\U000e0041b"),
        (b"caf\xe9", "caf\\xe9"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_steers_a_terminal_is_told_by_its_code(said: str | bytes, shown: str) -> None:
    assert shown == printable(said)
    assert shown == printable(shown)
    assert shown == shown.encode().decode()


@pytest.mark.parametrize("said", ["x" * 10_000, "\x1b" * 150, b"\xff" * 10_000])
def test_a_long_text_loses_its_middle(said: str | bytes) -> None:
    shown = printable(said)

    assert LONGEST == len(shown)
    assert 1 == shown.count("…")
    assert shown == printable(shown)


def test_both_ends_of_a_long_text_are_shown() -> None:
    assert "begin…end" == printable("begin" + "x" * 1000 + "end", longest=9)
