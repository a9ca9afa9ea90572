"""`nox -s clean` leaves nothing of ours on an engine, and takes nothing of anybody else's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proving import bases, buildcache, clean, private
from proving.errors import EngineError
from proving.image import Image

DOCKERFILE = "ARG SLIM=debian:13-slim\nFROM ${SLIM}\n"


class Api:
    """Stands in for the engine's API: a build cache of which records can be removed."""

    api_version = "1.41"

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = {each["ID"]: each for each in found}
        self.happened: list[str] = []

    def _url(self, path: str) -> str:
        return path

    def _get(self, _url: str) -> dict[str, Any]:
        return {"BuildCache": list(self.found.values())}

    def _post(self, _url: str, params: dict[str, str]) -> dict[str, Any]:
        (name,) = json.loads(params["filters"])["id"]
        assert not any(name == each.get("Parent") for each in self.found.values())
        del self.found[name]
        self.happened.append(name)
        return {"CachesDeleted": [name]}

    def _result(self, answer: dict[str, Any], json: bool) -> dict[str, Any]:
        assert json
        return answer


def record(name: str, run: str, parent: str = "") -> dict[str, Any]:
    """Return a record as an engine tells it."""
    description = f"mount / from exec /bin/sh -c {run}" if run else "fileop target"
    return {"ID": name, "Parent": parent, "Description": description, "Type": "regular"}


@pytest.fixture
def api() -> Api:
    """A build cache with records of the guide's Dockerfiles and of others."""
    return Api(
        record("copied", ""),
        record("ours", "make", "copied"),
        record("of ours", "", "ours"),
        record("shared", ""),
        record("theirs", "cargo build", "shared"),
        record("ours beside theirs", "make install", "shared"),
    )


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: Api) -> Callable[..., str]:
    """Have stand-ins for all that is cleaned; return how to clean up and what is said then."""
    folders = (tmp_path / "images", tmp_path / "exercises")
    for folder, run in zip(folders, ("make", "make install"), strict=True):
        file = folder / "a" / "Dockerfile"
        file.parent.mkdir(parents=True)
        file.write_text(f"FROM base\nRUN {run}\n", encoding="utf-8")
        file.with_name("Dockerfile.dockerignore").write_text("RUN cargo build\n", encoding="utf-8")
    monkeypatch.setattr(clean, "FOLDERS", folders)

    def note(what: str, count: int) -> Callable[..., int]:
        return lambda *_: api.happened.append(what) or count

    monkeypatch.setattr(clean.kit_packages, "remove", note("kit", 1))
    monkeypatch.setattr(clean.kit_packages, "images", lambda _client: [])
    monkeypatch.setattr(clean.kit_registry, "remove", note("registry", 1))
    monkeypatch.setattr(clean.leftovers, "remove", note("runs", 3))
    monkeypatch.setattr(clean.leftovers, "remove_bases", note("bases", 2))
    monkeypatch.setattr(clean.private, "erase", note("private", 0))

    def run(url: str) -> str:
        found = SimpleNamespace(docker=SimpleNamespace(api=api), url=url)
        said: list[str] = []
        monkeypatch.setattr(clean.engine, "find", lambda *, start: found)
        monkeypatch.setattr(clean, "say", said.append)
        assert 0 == clean.main([])
        return said[0]

    return run


def test_records_of_our_commands_go(cleaned, api):
    """After the images that hold them, children first; what another's command needs stays."""
    said = cleaned("tcp://127.0.0.1:2375")
    records = api.happened[4:-1]

    assert ["kit", "registry", "runs", "bases"] == api.happened[:4]
    assert "private" == api.happened[-1]
    assert {"copied", "ours", "of ours", "ours beside theirs"} == set(records)
    assert {"shared", "theirs"} == set(api.found)
    assert (
        "Removed 3 things of runs, 2 bases and 4 build cache records from tcp://127.0.0.1:2375."
        == said
    )


def test_a_private_engine_is_erased_as_a_whole(cleaned, api):
    """Its records need not be removed one by one."""
    said = cleaned(private.url())

    assert ["kit", "registry", "runs", "bases", "private"] == api.happened
    assert f"Removed 3 things of runs and 2 bases from {private.url()}." == said


def test_no_engine_is_no_error(monkeypatch):
    """There is nothing to clean then but what a private engine has left."""
    said: list[str] = []

    def none(*, start: bool) -> Any:
        assert not start
        raise EngineError("There is none.")

    monkeypatch.setattr(clean.engine, "find", none)
    monkeypatch.setattr(clean.private, "erase", lambda: False)
    monkeypatch.setattr(clean, "say", said.append)

    assert 0 == clean.main([])
    assert ["There is no private engine here."] == said


@pytest.mark.parametrize(
    ("argument", "status"), [("--help", 0), ("-h", 0), ("--halp", 2), ("09", 2), ("", 2)]
)
@pytest.mark.usefixtures("cleaned")
def test_an_argument_removes_nothing(monkeypatch, api, argument, status):
    """A question is answered, and a slip is refused, before any engine is looked for."""
    monkeypatch.setattr(clean.engine, "find", lambda *, start: api.happened.append("found"))
    with pytest.raises(SystemExit) as ended:
        clean.main([argument])

    assert status == ended.value.code
    assert [] == api.happened


def test_the_help_tells_what_goes_and_what_stays(capsys):
    """Since nobody is asked before."""
    with pytest.raises(SystemExit):
        clean.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())

    assert "usage: nox -s clean --" in told
    for words in ("the bases", "build cache", "private engine", "Nobody is asked"):
        assert words in told.partition("What stays:")[0]
    for words in ("public images", "your edits", "your progress", "nox -s hub -- --clear"):
        assert words in told.partition("What stays:")[2]


def test_the_guide_has_dockerfiles_where_they_are_looked_for():
    """Of its claims, of its bases and of its exercises."""
    for folder in clean.FOLDERS:
        found = list(folder.rglob("Dockerfile"))

        assert any(buildcache.commands(file.read_text(encoding="utf-8")) for file in found)


@pytest.mark.engine
@pytest.mark.usefixtures("nothing_left")
def test_the_records_of_one_dockerfile(engine, tmp_path):
    """Those of its command and of what came of it are gone, and those of another one are not."""
    names = [uuid.uuid4().hex for _ in range(2)]
    slim = bases.ready(engine, ["SLIM"])["SLIM"]
    files = []
    for name in names:
        context = tmp_path / name
        context.mkdir()
        files.append(context / "Dockerfile")
        files[-1].write_text(f"{DOCKERFILE}RUN echo {name} > /one\nCOPY Dockerfile /{name}\n")
        built = Image(
            engine,
            context,
            tag=f"proving-ground-test:{name}",
            dockerfile_path=str(files[-1]),
            arguments={"SLIM": slim.reference},
        ).build()
        engine.docker.images.remove(str(built.tag))
    before = buildcache.records(engine.docker)
    ours, others = (_with_children(before, f"echo {name} > /one") for name in names)
    gone = clean.remove_records(engine.docker, files[:1])
    after = buildcache.records(engine.docker)
    clean.remove_records(engine.docker, files[1:])
    last = buildcache.records(engine.docker)

    assert len(ours) >= 2
    assert gone >= len(ours)
    assert not ours & after.keys()
    assert others <= after.keys()
    assert not others & last.keys()


def _with_children(found: dict[str, buildcache.Record], command: str) -> set[str]:
    made = {name for name, each in found.items() if each.command == command}
    return made | {name for name, each in found.items() if made & set(each.parents)}
