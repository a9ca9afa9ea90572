"""What an image says, made fit to be printed: its names are written by strangers."""

from __future__ import annotations

import unicodedata

LONGEST = 200
"""How many characters of one thing are shown, unless another number is given."""

_NEVER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that steer a terminal or reorder a text, or that nobody can see.

They are those of the Unicode standard, "General Category": control, format (the bidirectional
overrides among them), surrogate, private use, unassigned, and separators of lines and paragraphs.
"""


def printable(text: str | bytes, longest: int = LONGEST) -> str:
    """Return a text as one line that steers no terminal: what cannot be shown is told by its code.

    Bytes, and names that were decoded with `surrogateescape`, need not be UTF-8.
    A text that would be longer than `longest` characters loses its middle.
    What is printable already comes back as it is, however often it passes through here.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if len(text) > 2 * longest:
        text = text[:longest] + text[-longest:]
    shown = "".join(map(_shown, text))
    if len(shown) <= longest:
        return shown
    end = (longest - 1) * 2 // 5
    return f"{shown[: longest - 1 - end]}…{shown[len(shown) - end :]}"


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _NEVER:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
