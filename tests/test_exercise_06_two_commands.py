"""Chapter 6, once more: a report beside a server, and who sees that it has failed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from exercised import answer, mend, on_engine
from proving.container import Process
from proving.exercises import Answer, Outcome
from proving.paths import LABS

CHAPTER, EXERCISE = "06-one-function", "06-two-commands"
SCRIPT = """#!/bin/sh
if [ "$1" = report ]; then
    python /app/report.py 2>&1 | tee -a /var/log/report.log
else
    python /app/server.py
fi
"""


class TestJudged:
    """What is said of processes, logs and ends that were seen; no engine needed."""

    @pytest.fixture
    def check(self) -> dict[str, Any]:
        """Return the names of the exercise's check."""
        return runpy.run_path(str(LABS / "exercises" / EXERCISE / "check.py"))

    @staticmethod
    def process(pid: int, ppid: int, args: str) -> Process:
        """Return a process that runs."""
        return Process(pid, ppid, "S", args.partition(" ")[0].rpartition("/")[2], args)

    def test_an_init_and_a_shell_above_the_server_are_no_functions(self, check):
        """The server descends from them."""
        processes = [
            self.process(1, 0, "tini -- sh -c start"),
            self.process(7, 1, "sh -c start"),
            self.process(8, 7, "python /app/server.py"),
        ]

        assert check["judge_functions"](processes, "the shop is open\n") is None

    def test_a_daemon_below_the_server_is_a_function(self, check):
        """A script that has handed over to the server leaves cron behind, as its child."""
        processes = [
            self.process(1, 0, "python /app/server.py"),
            self.process(7, 1, "cron"),
        ]
        found: Answer = check["judge_functions"](processes, "")

        assert Outcome.HINT == found.outcome
        assert "it runs `cron`. Who else" in found.sentence

    def test_a_report_at_the_start_is_a_function(self, check):
        """It is over when the server listens, and its words are in the log."""
        server = self.process(1, 0, "python -m server")
        found: Answer = check["judge_functions"]([server], "no report, for nobody is there\n")

        assert Outcome.HINT == found.outcome
        assert "(`no report, for nobody is there`)" in found.sentence

    def test_a_report_that_runs_on_gets_a_hint(self, check):
        """The argument was not read, or the report waits for its next hour."""
        sleeper = self.process(9, 1, "sleep 3600")
        found: Answer = check["judge_report"](check["Run"](None, "", (sleeper,)))

        assert Outcome.HINT == found.outcome
        assert "`sleep 3600`" in found.sentence

    def test_a_report_in_a_file_gets_a_hint(self, check):
        """The file is named."""
        run = check["Run"](0, "", changed=("/var", "/var/log", "/var/log/report.log"))
        found: Answer = check["judge_report"](run)

        assert Outcome.HINT == found.outcome
        assert "It has written /var/log/report.log" in found.sentence

    def test_a_failure_without_a_word_gets_a_hint(self, check):
        """An exit status alone does not tell what to mend."""
        assert "has no word of it" in check["judge_failure"](check["Run"](1, ""))

    def test_a_retry_without_an_end_gets_a_hint(self, check):
        """Nobody outside sees that it fails again and again."""
        retry = self.process(1, 0, "sh -c retry")

        assert "it still runs" in check["judge_failure"](check["Run"](None, "no report", (retry,)))


@on_engine
def test_the_start_gets_a_hint():
    """The script and its sleep are found beside the server, and a failure that nobody sees."""
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "second function: beside `python /app/server.py`" in found.sentence
    assert "no report, for http://127.0.0.1:9 cannot be asked" in found.sentence


@on_engine
def test_the_solution_passes():
    """The argument names the program, and nothing stands between the two and the engine."""
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.PASSED == found.outcome, found.sentence


def write_script(folder: Path, *edits: tuple[str, str]) -> None:
    """Let a script choose by its argument, as a reader would write it first."""
    text = SCRIPT
    for old, new in edits:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    (folder / "start.sh").write_text(text, encoding="utf-8")


@on_engine
def test_half_a_solution_gets_the_next_hint(turns):
    """A script that chooses still hides the failure, then keeps the signal, and passes at last."""
    folder = turns / EXERCISE / "start"
    mend(folder / "Dockerfile", ('CMD ["/app/start.sh"]', 'ENTRYPOINT ["/app/start.sh"]'))
    write_script(folder)
    hidden = answer(CHAPTER, "start", EXERCISE)
    alone = (" 2>&1 | tee -a /var/log/report.log", "")
    write_script(folder, alone)
    kept = answer(CHAPTER, "start", EXERCISE)
    write_script(folder, alone, ("    python /app/server.py", "    exec python /app/server.py"))
    passed = answer(CHAPTER, "start", EXERCISE)

    assert [Outcome.HINT, Outcome.HINT] == [hidden.outcome, kept.outcome], kept.sentence
    assert "ends with exit status 0: to the engine" in hidden.sentence
    assert "PID 1 is `/bin/sh /app/start.sh`" in kept.sentence
    assert Outcome.PASSED == passed.outcome, passed.sentence


@on_engine
def test_an_argument_that_names_no_program_has_failed(turns):
    """With the loop alone removed, nobody can start a report any more."""
    mend(
        turns / EXERCISE / "start" / "Dockerfile",
        ('CMD ["/app/start.sh"]', 'CMD ["python", "/app/server.py"]'),
    )
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert "with the argument `report`, no container of the image starts" in found.sentence


@on_engine
def test_a_program_of_that_name_passes_too(turns):
    """Without an entrypoint the argument is a command, and may be one of the image's own."""
    mend(
        turns / EXERCISE / "start" / "Dockerfile",
        (
            'CMD ["/app/start.sh"]',
            "RUN printf '#!/bin/sh\\nexec python /app/report.py\\n' > /usr/local/bin/report \\\n"
            " && chmod +x /usr/local/bin/report\n"
            'CMD ["python", "/app/server.py"]',
        ),
    )

    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.PASSED == found.outcome, found.sentence


@on_engine
def test_an_edited_program_is_told(turns):
    """The two programs are right as they are."""
    mend(turns / EXERCISE / "start" / "report.py", ("sys.exit(", "print("))
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert found.sentence.startswith("report.py must stay")
