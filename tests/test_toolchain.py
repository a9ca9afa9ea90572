"""Programs are told by what they say of themselves, not by their names alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from proving import toolchain
from proving.errors import ContainerError, CouldNotMeasure
from proving.toolchain import COMPILER, LINKER, PACKAGE_MANAGER

GCC = "(Debian 14.2.0-19) 14.2.0\nCopyright (C) 2024 Free Software Foundation, Inc.\n"


@pytest.mark.parametrize(
    ("path", "told", "kind"),
    [
        ("usr/bin/x86_64-linux-gnu-gcc-14", f"x86_64-linux-gnu-gcc-14 {GCC}", COMPILER),
        ("opt/hidden", f"gcc {GCC}", COMPILER),
        ("usr/bin/x86_64-linux-gnu-cpp-14", f"x86_64-linux-gnu-cpp-14 {GCC}", COMPILER),
        (
            "usr/libexec/gcc/x86_64-linux-gnu/14/cc1",
            "GNU C17 (Debian 14.2.0-19) version 14.2.0 (x86_64-linux-gnu)\n",
            COMPILER,
        ),
        ("usr/bin/as", "GNU assembler (GNU Binutils for Debian) 2.44\n", COMPILER),
        ("usr/bin/clang-19", "Debian clang version 19.1.7 (3+b1)\n", COMPILER),
        ("usr/local/go/bin/go", "go version go1.24.4 linux/amd64\n", COMPILER),
        ("usr/bin/rustc", "rustc 1.85.0 (4d91de4e4 2025-02-17)\n", COMPILER),
        ("usr/bin/ld.bfd", "GNU ld (GNU Binutils for Debian) 2.44\n", LINKER),
        ("usr/bin/lld", "Debian LLD 19.1.7 (compatible with GNU linkers)\n", LINKER),
        ("usr/libexec/collect2", "collect2 version 14.2.0\n/usr/bin/ld --version\n", LINKER),
        ("usr/bin/apt-get", "apt 3.0.4 (amd64)\nSupported modules:\n", PACKAGE_MANAGER),
        ("usr/bin/dpkg", "Debian 'dpkg' package management program\n", PACKAGE_MANAGER),
        ("sbin/apk", "apk-tools 3.0.3, compiled for x86_64.\n", PACKAGE_MANAGER),
        ("usr/bin/pip", "pip 25.1.1 from /usr/lib/python3/dist-packages/pip\n", PACKAGE_MANAGER),
        ("usr/local/lib/node_modules/npm/bin/npm-cli.js", "10.8.2\n", PACKAGE_MANAGER),
        ("usr/bin/gcc", "cannot execute: required file not found\n", ""),
        ("usr/bin/gcov-14", f"gcov {GCC}", ""),
        ("usr/bin/objdump", "GNU objdump (GNU Binutils for Debian) 2.44\n", ""),
        ("usr/bin/ls", "ls (GNU coreutils) 9.7\nCopyright (C) Free Software Foundation\n", ""),
        ("usr/bin/ld.so", "ld.so (Debian GLIBC 2.41-12) stable release version 2.41.\n", ""),
        ("usr/bin/python3.13", "Python 3.13.5\n", ""),
        ("usr/bin/version", "10.8.2\n", ""),
        ("app/server", "/app/server takes no arguments\n", ""),
        ("usr/bin/true", "", ""),
    ],
)
def test_a_program_is_what_it_says(path, told, kind):
    """As the programs of Debian, Alpine and others answer; a name without an answer is nothing."""
    assert kind == toolchain.kind(path, told)


def test_scripts_of_packages_are_not_asked():
    """Neither are modules and libraries that somebody has made executable."""
    programs = ("app/server", "usr/bin/gcc", "usr/libexec/gcc/x86_64-linux-gnu/14/cc1", "server")
    others = (
        "var/lib/dpkg/info/gcc.postinst",
        "etc/cron.daily/dpkg",
        "usr/lib/python3.13/pdb.py",
        "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    )

    assert programs == toolchain.programs([*programs, *others])


def test_some_are_asked_in_their_own_words():
    """The compilers behind gcc know one dash only."""
    asked = [toolchain.question(f"usr/bin/{name}") for name in ("gcc", "cc1plus", "go")]

    assert ["--version", "-version", "version"] == asked


def test_answers_are_read_by_their_marks():
    """An answer may have several lines, or none; what looks like a mark is part of it."""
    told = "m4rk /usr/bin/gcc\ngcc 14\nmore\n\nm4rk /usr/bin/true\n\nm4rk /a b\nm4rker\n\nm4rk\n"

    assert {"usr/bin/gcc": "gcc 14\nmore\n\n", "usr/bin/true": "\n", "a b": "m4rker\n\n"} == (
        toolchain.parse_answers(told, "m4rk")
    )


@pytest.mark.parametrize("told", ["", "sh: not found\n", "m4rk /usr/bin/gcc\ngcc 14\n"])
def test_answers_without_an_end_are_none(told):
    """What was cut off must not look like an image without tools."""
    assert toolchain.parse_answers(told, "m4rk") is None


class StandInLab:
    """A lab whose containers say what they were told to, by their entrypoint."""

    def __init__(self, says: dict[str, str]) -> None:
        self.says = says
        self.started: list[tuple[str, list[str]]] = []

    def start(self, _image: Any, *, command: list[str], options: dict[str, Any]) -> StandInLab:
        """Start a container; what the image has not cannot be started."""
        (program,) = options["entrypoint"]
        assert options["user"] == "65534:65534"
        assert options["network_mode"] == "none"
        assert options["cap_drop"] == ["ALL"]
        self.started.append((program, command))
        return self

    def __enter__(self) -> StandInLab:
        if self.started[-1][0] not in self.says:
            raise ContainerError("no such file")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""

    def state(self) -> Any:
        """It has ended at once."""
        return SimpleNamespace(status="exited")

    def log_text(self) -> str:
        """What it said; a shell gets its mark among its arguments."""
        program, command = self.started[-1]
        return self.says[program].replace("MARK", command[3] if program == "sh" else "")


IMAGE = SimpleNamespace(name="an image")


def test_without_a_shell_each_is_asked_by_itself():
    """As on scratch; one that cannot be executed says nothing."""
    lab = StandInLab({"/app/server": "no arguments"})

    assert {"app/server": "no arguments", "app/other": ""} == toolchain.answers(
        lab, IMAGE, ["app/server", "app/other"]
    )


def test_with_a_shell_one_container_asks_all():
    """It gets each program with its question, and the seconds that it may take."""
    lab = StandInLab({"sh": "MARK /usr/bin/gcc\ngcc 14\n\nMARK\n"})
    found = toolchain.answers(lab, IMAGE, ["usr/bin/gcc", "usr/sbin/unix_chkpwd"])
    ((_, command),) = lab.started

    assert {"usr/bin/gcc": "gcc 14\n\n"} == found
    assert ["/usr/bin/gcc", "--version", "5", "/usr/sbin/unix_chkpwd", "--version", "1"] == (
        command[4:]
    )


def test_a_shell_that_does_not_come_to_an_end_is_no_answer():
    """Half of the programs are not all of them."""
    lab = StandInLab({"sh": "MARK /usr/bin/gcc\ngcc 14\n"})

    with pytest.raises(CouldNotMeasure, match="did not all answer"):
        toolchain.answers(lab, IMAGE, ["usr/bin/gcc"])


def test_many_programs_without_a_shell_are_told():
    """A container for each would take minutes."""
    with pytest.raises(CouldNotMeasure, match="no shell"):
        toolchain.answers(StandInLab({}), IMAGE, [f"bin/{n}" for n in range(100)])


def test_an_image_without_programs_is_asked_nothing():
    """There is nobody to ask."""
    assert {} == toolchain.answers(StandInLab({}), IMAGE, [])
