"""Wheels are fetched once, for the base's interpreter, and told apart by what was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from proving import wheels
from proving.errors import ProvingError

REQUIREMENTS = "Flask>=3.1,<4\ngunicorn>=23,<26\n"


class Pip:
    """Stands in for `pip download`: it writes two wheels, or fails."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.complaint = ""

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        """Do what the command says."""
        self.commands.append(command)
        if self.complaint:
            return subprocess.CompletedProcess(command, 1, "", self.complaint)
        folder = Path(next(w for w in command if w.startswith("--dest=")).removeprefix("--dest="))
        folder.mkdir()
        for name in ("flask-3.1.3-py3-none-any.whl", "Markup_Safe-3.0-cp313-cp313-linux.whl"):
            (folder / name).write_bytes(name.encode())
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """Have a pip that needs no network, and a place of its own for what it fetches."""
    stand_in = Pip()
    monkeypatch.setattr(wheels, "STATE", tmp_path / "state")
    monkeypatch.setattr(wheels.subprocess, "run", stand_in)
    return stand_in


@pytest.fixture
def requirements(tmp_path):
    """Return a requirements file."""
    file = tmp_path / "requirements.txt"
    file.write_text(REQUIREMENTS, encoding="utf-8")
    return file


def quiet(_: str) -> None:
    """Say nothing."""


def test_wheels_that_are_there_are_not_fetched_again(pip, requirements):
    """With the wheels present, no pip runs and no network is needed."""
    first = wheels.ready(requirements, "amd64", quiet)
    second = wheels.ready(requirements, "amd64", quiet)

    assert first == second
    assert 1 == len(pip.commands)


def test_a_comment_asks_for_nothing(pip, requirements):
    """A lab salts the file with a comment; the same wheels serve it."""
    plain = wheels.ready(requirements, "amd64", quiet)
    requirements.write_text(REQUIREMENTS + "# salt 0123\n", encoding="utf-8")

    assert plain == wheels.ready(requirements, "amd64", quiet)
    assert 1 == len(pip.commands)


def test_other_wheels_for_other_requirements_and_architectures(pip, requirements):
    """What was asked for tells the folders apart."""
    plain = wheels.ready(requirements, "amd64", quiet)
    elsewhere = wheels.ready(requirements, "arm64", quiet)
    requirements.write_text(REQUIREMENTS + "rich\n", encoding="utf-8")
    more = wheels.ready(requirements, "amd64", quiet)

    assert 3 == len({plain, elsewhere, more})


def test_a_damaged_wheel_is_fetched_again(pip, requirements):
    """The digests kept beside the wheels are held against them."""
    folder = wheels.ready(requirements, "amd64", quiet)
    wheel = next(folder.glob("*.whl"))
    wheel.write_bytes(b"cut")
    wheels.ready(requirements, "amd64", quiet)

    assert wheel.name.encode() == wheel.read_bytes()
    assert 2 == len(pip.commands)


def test_the_base_s_interpreter_is_asked_for(pip, requirements):
    """Not the one here: wheels only, for the engine's architecture, and from no named index."""
    wheels.ready(requirements, "arm64", quiet)
    (command,) = pip.commands

    assert [sys.executable, "-m", "pip", "download"] == command[:4]
    assert "--only-binary=:all:" in command
    assert f"--python-version={wheels.python_version()}" in command
    assert "--platform=manylinux_2_28_aarch64" in command
    assert "--platform=manylinux2014_aarch64" in command
    assert not [word for word in command if "index" in word or "://" in word]


def test_without_network_the_sentence_has_the_cure(pip, requirements):
    """pip's own words are quoted, and nothing half fetched is left."""
    pip.complaint = "ERROR: No matching distribution found for Flask"
    with pytest.raises(ProvingError, match=r"(?s)PIP_FIND_LINKS.*No matching distribution"):
        wheels.ready(requirements, "amd64", quiet)

    assert [] == list((wheels.STATE / "wheels").iterdir())


def test_projects_are_named_as_an_index_names_them(pip, requirements):
    """PEP 503: lower case, and one dash for each run of dashes, dots and underscores."""
    folder = wheels.ready(requirements, "amd64", quiet)

    assert "a-b-c-d" == wheels.normalised("A.b__C-_.d")
    assert ["markup-safe", "flask"] == [name for name, _ in wheels.by_project(folder)]


def test_options_for_another_machine_name_its_python_and_every_glibc():
    """Both forms of the platform's name, and no wheel that would have to be built."""
    told = wheels.options_for("3.12", "arm64", range(17, 19))

    assert [
        "--only-binary=:all:",
        "--implementation=cp",
        "--python-version=3.12",
        "--platform=manylinux_2_17_aarch64",
        "--platform=manylinux_2_18_aarch64",
        "--platform=manylinux2014_aarch64",
    ] == told
