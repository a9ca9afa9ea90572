"""The second turn of chapter 8: who else can read the secrets, and what is said of missing ones."""

from __future__ import annotations

import base64
import runpy
import subprocess
from typing import Any

import pytest
from exercised import answer, mend, on_engine
from proving.errors import CouldNotMeasure
from proving.exercises import Outcome
from proving.leaks import Token
from proving.paths import LABS

SLUG, SECRETS = "08-runtime-configuration", "08-secrets"
LEAK = "whoever can pull its image can read the token"
FETCH = "TOKEN_FILE=/run/secrets/token sh /app/fetch.sh"


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    """What the exercise's check consists of."""
    return runpy.run_path(str(LABS / "exercises" / SECRETS / "check.py"))


class TestWhoShowsThePassword:
    """What is told of a container's processes."""

    @staticmethod
    def shown(check: dict[str, Any], arguments: str, environment: str, password: Token) -> str:
        """Judge one process by what /proc tells of it."""
        lists = (base64.b64encode(text.encode()).decode() for text in (arguments, environment))
        found: str = check["_shown"]([check["parse"](" ".join(["7", *lists]))], password)
        return found

    def test_the_environment_shows_it(self, check):
        """Its variable is named, and the password is not told."""
        password = Token.random()
        told = self.shown(check, "python\0shop.py\0", f"A=1\0PW={password.value}\0", password)

        assert "by the process 7, `python shop.py`, in its environment, as PW," in told
        assert password.value not in told

    def test_arguments_show_it(self, check):
        """They are masked."""
        password = Token.random()
        told = self.shown(check, f"python\0shop.py\0{password.value}\0", "A=1\0", password)

        assert "by the process 7, `python shop.py ••••`, among its arguments," in told

    def test_a_process_without_either_shows_nothing(self, check):
        """One that is just ending has neither arguments nor environment."""
        assert "" == self.shown(check, "", "", Token.random())


class TestWhatIsSeen:
    """A process of which nothing could be read does not show that it shows nothing."""

    def test_processes_that_were_read_are_whole(self, check):
        """Also one that is just ending: its environment was read, and is empty."""
        listed = tuple(map(check["parse"], ("1 cA== QT0x", "7  ", "8  -")))

        assert listed == check["whole"](listed)
        assert [["A=1"], [""], None] == [one.environment for one in listed]

    @pytest.mark.parametrize(
        ("lines", "told"),
        [
            ((), "its first one is not listed"),
            (("7 cA== QT0x",), "its first one is not listed"),
            (("1  -", "7 cA== QT0x"), "the environment of the process 1 "),
            (("1 cA== QT0x", "7 cA== -"), "the environment of the process 7 "),
        ],
    )
    def test_what_was_not_read_is_no_pass(self, check, lines, told):
        """It is told which process that is."""
        with pytest.raises(CouldNotMeasure, match=told):
            check["whole"](tuple(map(check["parse"], lines)))

    def test_the_helper_tells_what_it_could_not_read(self, check, tmp_path):
        """In its script, played with folders of processes; one of them has no such file."""
        for pid in ("1", "7"):
            (tmp_path / pid).mkdir()
            (tmp_path / pid / "cmdline").write_bytes(b"p\0")
        (tmp_path / "1" / "environ").write_bytes(b"A=1")
        script = check["_PROCESSES"].replace("/proc/", f"{tmp_path}/")
        run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

        assert ["1 cAA= QT0x", "7 cAA= -"] == run.stdout.splitlines()


class TestWhatIsMissed:
    """What is told of a shop that was started without its settings, or without its file."""

    NAMES = "DATABASE_HOST, DATABASE_USER, DATABASE_PASSWORD_FILE"

    @staticmethod
    def end(check: dict[str, Any], log: str, status: int = 1, *, running: bool = False) -> Any:
        """Return how a container has ended."""
        return check["End"](running, status, log)

    def test_settings_that_are_not_named_are_counted(self, check):
        """The first one ended the script."""
        told = check["_unnamed"](self.end(check, "entrypoint.sh: DATABASE_HOST: is not set", 2))

        assert f"of {self.NAMES} it names DATABASE_HOST. How many starts" in told

    def test_lines_that_a_traceback_quotes_name_nothing(self, check):
        """They are the program's source, and stand there for one setting alone."""
        quoted = f'Traceback:\n  File "shop.py"\n    f({self.NAMES})\nKeyError: "DATABASE_USER"\n'
        told = check["_unnamed"](self.end(check, quoted))

        assert "it names DATABASE_USER." in told

    def test_a_list_with_a_line_for_each_names_all(self, check):
        """A sentence is not asked for."""
        told = check["_unnamed"](
            self.end(check, "missing:\n  DATABASE_HOST\n  DATABASE_USER\n  DATABASE_PASSWORD\n")
        )

        assert "" == told

    def test_an_end_without_a_fault_tells_nobody(self, check):
        """All are named, and the status is that of a success."""
        assert "exit status 0" in check["_unnamed"](self.end(check, self.NAMES, 0))

    def test_a_file_that_is_not_there_must_end_it_and_be_named(self, check):
        """It is, by its path or by its setting."""
        unopened = check["_unopened"]

        assert "it starts all the same" in unopened(self.end(check, "ready", running=True))
        assert "does not name the file" in unopened(self.end(check, "cannot start"))
        assert "" == unopened(self.end(check, "No such file: '/run/secrets/password'"))


@on_engine
def test_the_start_gets_a_hint():
    """The token is in the history, and is masked where that is told."""
    found = answer(SLUG, "start", SECRETS)

    assert Outcome.HINT == found.outcome
    assert f"{LEAK}: history: RUN |1 TOKEN=••••" in found.sentence
    assert "fetch.sh" in found.sentence


@on_engine
def test_the_solution_passes():
    """No place shows a secret, and whatever is missing is named."""
    assert Outcome.PASSED == answer(SLUG, "solution", SECRETS).outcome


@on_engine
def test_a_build_secret_alone_gets_a_hint(turns):
    """The client writes it into a layer, and a later one only hides it."""
    mend(
        turns / SECRETS / "solution" / "Dockerfile",
        (" \\\n && rm /root/.catalogue", "\nRUN rm /root/.catalogue"),
    )
    found = answer(SLUG, "solution", SECRETS)

    assert Outcome.HINT == found.outcome
    assert "/root/.catalogue" in found.sentence
    assert "The builder has not written it down" in found.sentence


@on_engine
def test_half_a_solution_gets_the_next_hint(turns):
    """With the build mended in a stage of its own, the script hands the password down."""
    folder = turns / SECRETS / "start"
    mend(
        folder / "Dockerfile",
        ("FROM ${PYTHON}\nARG TOKEN\n", "FROM ${PYTHON} AS catalogue\n"),
        ("RUN sh /app/fetch.sh", f"RUN --mount=type=secret,id=token {FETCH}"),
        (
            "COPY shop.py",
            "FROM ${PYTHON}\nCOPY --from=catalogue /app/catalogue /app/\nCOPY shop.py",
        ),
    )
    found = answer(SLUG, "start", SECRETS)

    assert Outcome.HINT == found.outcome
    assert "`python /app/shop.py`, in its environment, as DATABASE_PASSWORD" in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """The client's home is in memory, and the shop looks for its settings without a script."""
    folder = turns / SECRETS / "solution"
    mend(
        folder / "Dockerfile",
        ("type=secret,id=token \\\n", "type=secret,id=token --mount=type=tmpfs,target=/root \\\n"),
        (" \\\n && rm /root/.catalogue", ""),
        ('["/app/entrypoint.sh"]', '["python", "/app/shop.py"]'),
    )
    needed = '("DATABASE_HOST", "DATABASE_USER", "DATABASE_PASSWORD_FILE")'
    mend(
        folder / "shop.py",
        (
            "CATALOGUE =",
            f"missing = [name for name in {needed} if name not in os.environ]\n"
            'if missing:\n    raise SystemExit(f"missing: {missing}")\nCATALOGUE =',
        ),
    )

    assert Outcome.PASSED == answer(SLUG, "solution", SECRETS).outcome


@on_engine
def test_another_client_has_failed(turns):
    """One that keeps no login is not the one that others have written."""
    mend(turns / SECRETS / "start" / "fetch.sh", ("/.catalogue", "/../tmp/gone"))
    found = answer(SLUG, "start", SECRETS)

    assert Outcome.FAILED == found.outcome
    assert "fetch.sh must stay" in found.sentence


@on_engine
def test_a_build_that_fails_tells_no_token(turns):
    """What is told of it is masked."""
    mend(turns / SECRETS / "start" / "Dockerfile", ("EXPOSE", "RUN echo $TOKEN && false\nEXPOSE"))
    found = answer(SLUG, "start", SECRETS)

    assert Outcome.FAILED == found.outcome
    assert "••••" in found.sentence
    assert "token-" not in found.sentence
