"""What a RUN has a shell do: its command line, and the here-documents that a shell reads.

What another program reads, or writes into a file, is none of the build's commands.
"""

from __future__ import annotations

import posixpath
import re
import shlex

from ..instructions import Heredoc, Instruction, exec_form, is_heredoc

_PIPELINES = re.compile(r"&&|\|\||[;\n]")
_CHAIN = re.compile(r"&&|\|\||[;|\n]")
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh", "source", "."))
_REDIRECTION = re.compile(r"(?:\d*|&)(?:>>?|<)\|?(.*)")
_SHEBANG = re.compile(r"#!\s*(?:\S*/env\s+(?:-\S+\s+)*)?(\S+)")


def text_of(run: Instruction) -> str:
    """Return what the shells of a RUN are told, as one line: a new line is a semicolon there."""
    if run.script is not None:
        return _line_of(run.script) if _is_of_shell(run.script) else ""
    read = _read_by_shells(run)
    words = exec_form(run.arguments)
    line = run.arguments if words is None else " ".join(words)
    return " ; ".join((line, *(_line_of(one) for one in run.heredocs if one in read)))


def programs(text: str) -> set[str]:
    """Return the programs that a shell is told to run, and the scripts that others run."""
    return {program for line in _CHAIN.split(text) for program in _program_of(line)}


def _line_of(document: Heredoc) -> str:
    lines = document.content.replace("\\\n", " ").splitlines()
    return " ; ".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _is_of_shell(script: Heredoc) -> bool:
    shebang = _SHEBANG.match(script.content) if script.is_program else None
    return shebang is None or posixpath.basename(shebang[1]) in _SHELLS


def _read_by_shells(run: Instruction) -> list[Heredoc]:
    """Return the here-documents that a shell gets as its commands, through a pipe perhaps."""
    left, found = list(run.heredocs), []
    for pipeline in _PIPELINES.split(run.arguments):
        piped = [_words(line) for line in pipeline.split("|")]
        own = [left.pop(0) for words in piped for word in words if is_heredoc(word) and left]
        if any(map(_reads_commands, piped)):
            found += own
    return found


def _reads_commands(words: list[str]) -> bool:
    rest = _without_redirections([word for word in words if not is_heredoc(word)])
    return not rest or (posixpath.basename(rest[0]) in _SHELLS and not _script_of(rest))


def _without_redirections(words: list[str]) -> list[str]:
    left, is_target = [], False
    for word in words:
        match = _REDIRECTION.fullmatch(word)
        if match is None and not is_target:
            left.append(word)
        is_target = match is not None and not match[1]
    return left


def _program_of(line: str) -> list[str]:
    """Return the program of one command, and the script that it is a shell for."""
    words = _words(line)
    if not words:
        return []
    return _script_of(words) if posixpath.basename(words[0]) in _SHELLS else [words[0]]


def _script_of(words: list[str]) -> list[str]:
    """Return the script that a shell is given, or its commands; none where it reads its input."""
    options_end = 1
    while options_end < len(words) and words[options_end].startswith(("-", "+")):
        takes_name = re.fullmatch(r"[-+]\w*o", words[options_end]) is not None
        options_end += 2 if takes_name else 1
    return words[options_end : options_end + 1]


def _words(line: str) -> list[str]:
    """Return the words of a command, without the variables that are set for it."""
    try:
        words = shlex.split(line.strip(" ()"))
    except ValueError:
        words = line.split()
    while words and re.fullmatch(r"\w+=.*", words[0]):
        del words[0]
    return words
