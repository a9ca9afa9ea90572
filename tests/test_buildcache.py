"""Which records of a build cache a lab's own builds have made, by what three engines tell of them.

The recorded answers are those to two builds of `DOCKERFILE`, the second one without the cache.
That of Docker 20.10 has other builds' records too.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError
from proving import buildcache
from proving.buildcache import Record, commands, left_by, own, records
from proving.errors import ProvingError

ENGINES = ("20.10", "26.1", "28.5")

DOCKERFILE = """\
ARG SLIM=debian:13-slim
FROM ${SLIM}
WORKDIR /app
COPY hello.txt /app/
RUN echo one > /app/one && echo two > /app/two
RUN --mount=type=cache,target=/var/cache/x echo kept > /var/cache/x/y && cp /var/cache/x/y /app/y
RUN true
RUN rm /app/one
"""

FOREIGN_ON_20_10 = (
    "apt-get update && apt-get install",  # a base's recipe
    "echo one > /one",
    "echo two > /var/cache/foo/x",
)


class Api:
    """Stands in for the engine's API: it lists the build cache and removes records of it."""

    def __init__(self, answer: dict[str, Any], version: str = "1.41") -> None:
        self.answer, self.api_version = answer, version
        self.asked: list[dict[str, str]] = []
        self.deleted: list[str] = []
        self.kept: set[str] = set()

    def _url(self, path: str) -> str:
        return path

    def _get(self, _url: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        self.asked.append(params or {})
        return self.answer

    def _post(self, _url: str, params: dict[str, str]) -> dict[str, Any]:
        (name,) = json.loads(params["filters"])["id"]
        if name in self.kept:
            return {"CachesDeleted": None}
        self.deleted.append(name)
        left = [found for found in self.answer["BuildCache"] if found["ID"] != name]
        self.answer = {"BuildCache": left}
        return {"CachesDeleted": [name]}

    def _result(self, answer: dict[str, Any], json: bool) -> dict[str, Any]:
        assert json
        return answer


def record(name: str, *parents: str, run: str = "", kind: str = "regular") -> Record:
    """Make a record, of a RUN instruction or of another one."""
    description = f"mount / from exec /bin/sh -c {run}" if run else "fileop target"
    return Record(name, parents, kind, description, False, 0)


def by_id(*found: Record) -> dict[str, Record]:
    """Return records as an engine lists them."""
    return {each.id: each for each in found}


def ids(found: Iterable[Record]) -> set[str]:
    """Return the ids of records."""
    return {each.id for each in found}


@pytest.fixture
def recorded(answer):
    """Return the records that an engine has told."""
    return lambda engine: records(
        SimpleNamespace(api=Api(answer(f"docker-{engine}/build-cache.json")))
    )


def test_every_run_is_a_command():
    """Flags are no part of it, and neither is another instruction."""
    expected = {
        "echo one > /app/one && echo two > /app/two",
        "echo kept > /var/cache/x/y && cp /var/cache/x/y /app/y",
        "true",
        "rm /app/one",
    }

    assert expected == commands(DOCKERFILE)


def test_a_continued_command_is_one():
    """Comments, empty lines and blanks after the backslash do not end it."""
    dockerfile = """\
FROM base
run apt-get update \\
    # the server
 && apt-get install -y nginx \\\x20

 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/a,sharing=locked \\
    --network=none \\
    make all
# RUN not me
"""
    expected = {
        "apt-get update && apt-get install -y nginx && rm -rf /var/lib/apt/lists/*",
        "make all",
    }

    assert expected == commands(dockerfile)


def test_a_here_document_is_the_command_that_it_makes():
    """As BuildKit runs it: by the shell, as a file of its own, or left to the shell."""
    dockerfile = """\
FROM base
RUN <<EOF
apt-get update
# for the record
apt-get install -y \\
  nginx
EOF
RUN <<'EOF'
RUN not me
EOF
RUN --mount=type=cache,target=/c <<PY
#!/usr/bin/env python3
print("hello")
PY
RUN <<-PY
\t#!/usr/bin/env python3
\tprint("hello")
\tPY
RUN cat <<A > /a && cat <<B > /b
one
A
two
B
COPY <<EOF /etc/motd
RUN not me either
EOF
RUN true
"""
    expected = {
        "apt-get update # for the record apt-get install -y \\ nginx",
        "RUN not me",
        "/dev/pipes/PY",
        '#!/usr/bin/env python3 print("hello")',
        "cat <<A > /a && cat <<B > /b one A two B",
        "true",
    }

    assert expected == commands(dockerfile)


def test_the_commands_of_here_documents_are_those_of_an_engines_records(answer):
    """As Docker 26.1 has told them of that Dockerfile's build."""
    told = [Record("", (), "", one, False, 0) for one in answer("docker-26.1/heredoc-records.json")]

    assert commands(answer("heredoc.Dockerfile")) == {one.command for one in told if one.command}


def test_the_exec_form_is_its_words():
    """Records tell them with blanks between; what only looks like a list is for the shell."""
    dockerfile = 'RUN ["pip", "install", "flask"]\nRUN ["/bin/sh", "-c", "ls"]\nRUN [ -f /etc/x ]\n'

    assert {"pip install flask", "ls", "[ -f /etc/x ]"} == commands(dockerfile)


def test_another_shell_is_part_of_the_command():
    """A record names every shell but the usual one; which RUN has it depends on the stage."""
    dockerfile = 'FROM base\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nRUN a | b\n'

    assert {"a | b", "/bin/bash -o pipefail -c a | b"} == commands(dockerfile)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_commands_of_a_dockerfile_are_those_of_its_records(engine, recorded):
    """Each engine's words for a RUN, and for its cache mount, lead to the same command."""
    told = {found.command for found in recorded(engine).values() if found.command}
    foreign = {command for command in told if command.startswith(FOREIGN_ON_20_10)}

    assert commands(DOCKERFILE) == told - foreign
    assert ("20.10" == engine) == bool(foreign)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cache_mount_is_told_by_its_command(engine, recorded):
    """Newer engines add the name of the mount, and it has no parent on any."""
    mounts = [found for found in recorded(engine).values() if found.kind == "exec.cachemount"]
    ours = [found for found in mounts if found.command in commands(DOCKERFILE)]

    assert 1 == len(ours)
    assert () == ours[0].parents


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_tells_the_parents(engine, recorded):
    """Under three names of the field; all but bases, contexts and mounts have one."""
    found = recorded(engine)
    without = [each for each in found.values() if not each.parents]

    assert all(parent in found for each in found.values() for parent in each.parents)
    assert 1 == sum(each.kind == "regular" for each in without)
    assert any(each.is_source for each in without)


@pytest.mark.parametrize("engine", ENGINES)
def test_all_that_two_builds_have_left_is_theirs(engine, recorded):
    """Whatever was there before them stays, and what other commands have made or need."""
    found = recorded(engine)
    base = {each.id for each in found.values() if each.kind == "regular" and not each.parents}
    chosen = own(base, found, commands(DOCKERFILE))
    kept = [each.command for each in found.values() if each not in chosen]

    assert set(commands(DOCKERFILE)) <= {each.command for each in chosen}
    if engine == "20.10":
        assert not {"echo one > /one", None} - set(kept)
        assert "true" in kept, "another build's, by what it came from"
    else:
        assert base == ids(found.values()) - ids(chosen)


@pytest.mark.parametrize("engine", ENGINES)
def test_records_go_before_what_they_came_from(engine, recorded):
    """An engine keeps a record that has children."""
    order = [each.id for each in own((), recorded(engine), commands(DOCKERFILE))]
    found = recorded(engine)

    for place, name in enumerate(order):
        assert not set(found[name].parents) & set(order[:place])


def test_what_a_foreign_command_has_made_stays_with_all_around_it():
    """It needs what it came from, and nobody else can tell what came of it."""
    found = by_id(
        record("base"),
        record("copied", "base"),
        record("theirs", "copied", run="make"),
        record("of theirs", "theirs", run="true"),
        record("ours", "base", run="true"),
        record("last", "ours"),
    )

    assert ["last", "ours"] == [each.id for each in own((), found, {"true"})]


def test_an_old_foreign_record_does_not_keep_its_way_here():
    """What was there before needs nothing that came later, but its new children are foreign."""
    found = by_id(
        record("base"),
        record("theirs", "base", run="make"),
        record("new of theirs", "theirs"),
        record("ours", "base", run="true"),
    )

    assert {"ours"} == ids(own({"base", "theirs"}, found, {"true"}))


def test_sent_contexts_that_are_new_are_ours():
    """No record tells whose they are; a client sends them again."""
    found = by_id(record("context", kind="source.local"), record("old", kind="source.local"))

    assert {"context"} == ids(own({"old"}, found, ()))


def test_what_commands_have_left_hangs_together_with_them():
    """Of what was listed by nobody before, only what a command of ours tells is taken."""
    found = by_id(
        record("context", kind="source.local"),
        record("base"),
        record("copied", "base"),
        record("ours", "copied", run="true"),
        record("last", "ours"),
        record("stray"),
        record("needed"),
        record("theirs", "needed", run="make"),
        record("both", "needed", run="true"),
    )
    chosen = [each.id for each in left_by(found, {"true"})]

    assert {"last", "ours", "copied", "base", "both"} == set(chosen)
    assert chosen.index("last") < chosen.index("ours") < chosen.index("copied")


def test_new_engines_list_the_build_cache_alone():
    """The whole of `/system/df` weighs every image; older ones know no other way."""
    old, new = Api({"BuildCache": None}, "1.41"), Api({"BuildCache": None}, "1.44")
    for api in (old, new):
        assert {} == records(SimpleNamespace(api=api))

    assert [{}] == old.asked
    assert [{"type": "build-cache"}] == new.asked


BUSY = "a disk usage operation is already running"


@pytest.mark.parametrize(
    ("patience_seconds", "refusals", "works"),
    [(5, [BUSY, BUSY], True), (0, [BUSY], False), (5, ["no"], False)],
)
def test_an_engine_that_is_asked_by_two_at_once(patience_seconds, refusals, works, monkeypatch):
    """Docker 20.10 refuses the second while the first waits; another refusal is told at once."""
    monkeypatch.setattr(buildcache, "BUSY_SECONDS", patience_seconds)
    api = Api({"BuildCache": [{"ID": "one"}]})
    answer, left = api._get, list(refusals)

    def get(url: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        if left:
            raise APIError(left.pop(0))
        return answer(url, params)

    monkeypatch.setattr(api, "_get", get)
    client = SimpleNamespace(api=api)

    if works:
        assert {"one"} == set(records(client))
    else:
        with pytest.raises(APIError, match=refusals[0]):
            records(client)
    assert [] == left


def test_records_in_use_are_left_after_some_patience(answer, monkeypatch):
    """Each record is removed by its id, and one that the engine holds on to is not counted."""
    monkeypatch.setattr(buildcache, "IN_USE_SECONDS", 0.3)
    api = Api(answer("docker-26.1/build-cache.json"))
    client = SimpleNamespace(api=api)
    chosen = own((), records(client), commands(DOCKERFILE))
    api.kept = {chosen[0].id}
    gone = buildcache.remove(client, chosen)

    assert len(chosen) - 1 == gone
    assert {chosen[0].id} == set(records(client))


class TestWindow:
    """The time between a first and a last measured build."""

    @pytest.fixture
    def api(self, monkeypatch, tmp_path: Path) -> Api:
        """Have an engine with one record of before, and a state folder of our own."""
        monkeypatch.setattr(buildcache, "STATE", tmp_path)
        monkeypatch.setattr(buildcache.leftovers, "remove_images", lambda *_: None)
        return Api({"BuildCache": [{"ID": "before", "Description": "fileop target"}]})

    @pytest.fixture
    def told(self) -> list[Any]:
        """What the watchdog was told, a line each."""
        return []

    @pytest.fixture
    def window(self, api: Api, told: list[Any]) -> buildcache.Window:
        """Return a window on that engine."""
        engine: Any = SimpleNamespace(docker=SimpleNamespace(api=api))
        return buildcache.Window(engine, lambda line: told.append(json.loads(line)))

    def test_the_last_one_removes_what_is_new(self, api, window):
        """As long as a workspace is open, its records may be another's measurement."""
        window.enter("RUN a")
        window.enter("RUN b")
        api.answer["BuildCache"] += [
            {"ID": name, "Description": f"mount / from exec /bin/sh -c {name}"} for name in "abc"
        ]
        window.leave([])
        still = set(records(window._engine.docker))
        window.leave([])

        assert {"before", "a", "b", "c"} == still
        assert {"before", "c"} == set(records(window._engine.docker))

    def test_the_watchdog_knows_what_to_tidy_up(self, window, told):
        """Each Dockerfile's commands, and at the end that there is nothing to do."""
        window.enter("RUN a")
        window.note("RUN b")
        window.leave([])

        assert [
            {"before": ["before"], "commands": ["a"]},
            {"before": ["before"], "commands": ["a", "b"]},
            {},
        ] == told

    def test_a_clean_up_that_fails_opens_the_way_for_the_next(self, window, monkeypatch):
        """The lock is let go, and the images are not removed twice."""

        def fail(*_: object) -> None:
            raise ProvingError("The engine is gone.")

        with monkeypatch.context() as broken:
            broken.setattr(buildcache.leftovers, "remove_images", fail)
            window.enter("RUN a")
            with pytest.raises(ProvingError, match="gone"):
                window.leave(["image"])
        window.enter("RUN a")
        window.leave([])

        assert [] == window._tags

    def test_a_window_that_cannot_open_opens_the_way_for_the_next(self, window, monkeypatch):
        """An engine that does not list its records leaves no lock, which nobody would let go."""

        def fail(_client: object) -> None:
            raise ProvingError("The engine is gone.")

        with monkeypatch.context() as broken:
            broken.setattr(buildcache, "records", fail)
            with pytest.raises(ProvingError, match="gone"):
                window.enter("RUN a")

        assert is_free(buildcache.STATE)
        window.enter("RUN a")
        assert not is_free(buildcache.STATE)
        window.leave([])
        assert is_free(buildcache.STATE)

    @pytest.mark.parametrize("inside", [0, 1])
    def test_a_watchdog_that_is_not_told_keeps_nobody_out(self, inside, window, monkeypatch):
        """Who has not entered does not leave: the last of those inside still closes the window."""

        def fail(_line: bytes) -> None:
            raise ProvingError("There is no watchdog.")

        for _ in range(inside):
            window.enter("RUN a")
        with monkeypatch.context() as broken:
            broken.setattr(window, "_tell", fail)
            with pytest.raises(ProvingError, match="no watchdog"):
                window.enter("RUN b")
        free_within = is_free(buildcache.STATE)
        for _ in range(inside):
            window.leave([])

        assert (inside == 0) == free_within
        assert is_free(buildcache.STATE)


def is_free(state: Path) -> bool:
    """Tell whether the build cache's lock is free; one process' files keep each other out too."""
    with (state / "build-cache.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
