"""What the audit says of a run: by what was seen, and on the guide's own bad and good arms."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from proving import claims
from proving.audit import run_checks
from proving.audit import run_judgements as judge
from proving.audit.cage import Start, Up
from proving.audit.run_judgements import Answered, Drained, Setting, Without
from proving.claims import Verdict
from proving.container import Process, Stop
from proving.errors import CouldNotMeasure

HOLDS, FAILS = Verdict.HOLDS, Verdict.DOES_NOT_HOLD
NOT_MEASURED, NOT_APPLICABLE = Verdict.COULD_NOT_BE_MEASURED, Verdict.NOT_APPLICABLE

SHELL = Process(1, 0, "S", "sh", "/bin/sh -c /app/worker.sh")
WORKER = Process(7, 1, "S", "worker.sh", "/bin/sh /app/worker.sh")

ORDERS = {"DATABASE_URL": "postgres://db/orders", "CURRENCY": "EUR"}

ARMS = (
    ("P1", ("pid-1", "stops"), Start()),
    ("P2", ("stops",), Start()),
    ("P3", ("pid-1",), Start()),
    ("P4", ("reaps",), Start()),
    ("P6", ("foreground",), Start()),
    ("P7", ("drains",), Start()),
    ("P8", ("drains",), Start()),
    ("Q1", ("pid-1",), Start()),
    ("Q4", ("writes",), Start(path="/entries", volumes=("/data",))),
    ("Q5", ("logs",), Start()),
    ("Q6", ("logs",), Start()),
    ("Q8", ("read-only-root", "any-user", "no-capabilities"), Start()),
    ("S3K", ("writes",), Start()),
    ("R6", ("settings",), Start(environment=ORDERS, path="/orders")),
)
"""Claims of the guide, the checks that must see what is bad about the one arm, and its start."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    """Return a lab, which leaves nothing on the engine."""
    from proving import Lab

    with Lab("audit-of-arms") as opened:
        yield opened


@pytest.mark.engine
@pytest.mark.beside
@pytest.mark.parametrize(("claim", "checks", "start"), ARMS, ids=[row[0] for row in ARMS])
def test_the_fault_of_a_bad_arm_is_found_and_not_in_the_good_one(
    lab: Any, claim: str, checks: tuple[str, ...], start: Start
) -> None:
    """The images are those of the guide's claim; both are audited at once, since audits wait."""

    def audit(image: Any) -> dict[str, str]:
        seen = run_checks.run(lab, image.id, start, writes_seconds=5.0, only=checks)
        return {finding.check.id: str(finding.verdict) for finding in seen.findings}

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(("bad", "good"), pool.map(audit, lab.arms(claim)), strict=True))

    assert {"bad": dict.fromkeys(checks, FAILS), "good": dict.fromkeys(checks, HOLDS)} == found


@pytest.mark.engine
@pytest.mark.beside
def test_a_manager_of_services_is_found_and_one_that_fails_alone_is_no_pass(lab: Any) -> None:
    """The application of P5 fails at every start: only the manager's container runs on."""
    bad, good = (
        run_checks.run(lab, image.id, only=("pid-1",)).findings[0].verdict
        for image in lab.arms("P5")
    )

    assert (FAILS, NOT_MEASURED) == (bad, good)


@pytest.mark.engine
@pytest.mark.beside
def test_what_is_written_in_the_layer_is_found(lab: Any, tmp_path: Path) -> None:
    """A file that grows outside of /tmp is a fault; its path and its size are told."""
    script = "while :; do head -c 100000 /dev/zero >> /var/data; sleep 0.2; done"
    (tmp_path / "Dockerfile").write_text(
        f'ARG SLIM=debian:13-slim\nFROM ${{SLIM}}\nCMD ["bash", "-c", "{script}"]\n'
    )

    seen = run_checks.run(lab, lab.build(tmp_path).id, writes_seconds=5.0, only=["writes"])

    finding = seen.findings[0]
    assert FAILS == finding.verdict
    assert finding.places[0].startswith("/var/data (")
    assert int(finding.values["written_bytes"]) > 100_000


@pytest.mark.engine
@pytest.mark.beside
def test_a_path_that_tells_of_readiness_is_found(lab: Any, tmp_path: Path) -> None:
    """The server answers at once, and says for two seconds that it is not ready."""
    (tmp_path / "web.py").write_text(WEB)
    (tmp_path / "Dockerfile").write_text(
        "ARG PYTHON=python:3.13-slim\nFROM ${PYTHON}\nCOPY web.py /\nEXPOSE 8000\n"
        'CMD ["python", "/web.py"]\n'
    )

    seen = run_checks.run(lab, lab.build(tmp_path).id, writes_seconds=2.0, only=["readiness"])

    finding = seen.findings[0]
    assert HOLDS == finding.verdict
    assert "/healthz" == finding.values["ready_path"]
    assert finding.values["ready_seconds"] > finding.values["answered_seconds"]
    assert "with 503" in finding.figure


WEB = """
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGAN = time.monotonic()


class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        ready = time.monotonic() - BEGAN > 2
        status = {"/": 200, "/healthz": 200 if ready else 503}.get(self.path, 404)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer(("", 8000), Web).serve_forever()
"""


def test_a_shell_that_waits_for_a_program_is_not_the_application() -> None:
    """The same child is there at both looks."""
    finding = judge.pid_1([SHELL, WORKER], [SHELL, WORKER])

    assert FAILS == finding.verdict
    assert "waits for /bin/sh /app/worker.sh" in finding.figure


def test_a_script_whose_children_come_and_go_is_the_application() -> None:
    """A worker written in shell runs short programs, one after the other."""
    script = Process(1, 0, "S", "worker.sh", "/bin/sh /app/worker.sh")
    first = [script, Process(8, 1, "S", "sleep", "sleep 0.5")]
    second = [script, Process(11, 1, "S", "sleep", "sleep 0.5")]

    assert HOLDS == judge.pid_1(first, second).verdict


def test_an_entrypoint_that_does_not_exec_is_found() -> None:
    """Its name is its own, and its interpreter a shell."""
    script = Process(1, 0, "S", "entrypoint.sh", "/bin/sh /entrypoint.sh nginx")
    nginx = Process(7, 1, "S", "nginx", "nginx: master process nginx")
    finding = judge.pid_1([script, nginx], [script, nginx])

    assert FAILS == finding.verdict
    assert "a script of a shell" in finding.figure


def test_an_init_is_looked_through() -> None:
    """One that passes signals on to the application is fine; to a shell that waits it is not."""
    init = Process(1, 0, "S", "tini", "tini -- x")
    python = Process(7, 1, "S", "python", "python app.py")
    shell = Process(7, 1, "S", "sh", "sh -c app")
    app = Process(8, 7, "S", "app", "app")

    assert HOLDS == judge.pid_1([init, python], [init, python]).verdict
    assert FAILS == judge.pid_1([init, shell, app], [init, shell, app]).verdict


def test_a_launcher_that_waits_and_a_manager_are_not_the_application() -> None:
    """A launcher that has handed over, or has nothing to wait for, is fine."""
    npm = Process(1, 0, "S", "npm start", "npm start")
    node = Process(20, 1, "S", "node", "node server.js")
    manager = Process(1, 0, "S", "supervisord", "/usr/bin/python3 /usr/bin/supervisord")

    assert FAILS == judge.pid_1([npm, node], [npm, node]).verdict
    assert HOLDS == judge.pid_1([npm], [npm]).verdict
    assert FAILS == judge.pid_1([manager], [manager]).verdict


def test_a_helper_beside_the_application_is_not_what_is_waited_for() -> None:
    """The server has workers, and the daemon that was started before it has none."""
    server, worker = Process(20, 1, "S", "su", "su -c server"), Process(21, 20, "S", "server", "s")
    helper = Process(30, 1, "S", "epmd", "epmd -daemon")
    seen = [SHELL, server, worker, helper]

    assert "waits for su -c server" in judge.pid_1(seen, seen).figure


def test_zombies_are_no_application_and_an_unseen_process_no_pass() -> None:
    """A shell that is the application may have left zombies."""
    zombie = Process(7, 1, "Z", "sleep", "")

    assert HOLDS == judge.pid_1([SHELL, zombie], [SHELL, zombie]).verdict
    assert NOT_MEASURED == judge.pid_1([], []).verdict


def stop(seconds: float = 0.2, status: int = 0, *, killed: bool = False) -> Stop:
    """Return a stop by TERM that began at second 100."""
    return Stop(seconds, status, killed, 15, 100.0, 100.0 + seconds)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (stop(), HOLDS),
        (stop(status=143), HOLDS),
        (stop(10.1, 137, killed=True), FAILS),
        (stop(6.0), FAILS),
    ],
)
def test_a_stop_is_judged_by_the_kill_and_the_grace(seen: Stop, verdict: Verdict) -> None:
    """More than half of the grace, or SIGKILL, is a fault; the exit status is told."""
    assert verdict == judge.stops(seen, 10.0).verdict


def drained(status: int, *, whole: bool = False, ended: Stop | None = None) -> Drained:
    """Return what became of a request for a path that usually answers with 200."""
    return Drained(200, status, whole, "/", 80, ended or stop())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    ("status", "ended", "verdict"),
    [
        (200, None, HOLDS),
        (0, None, FAILS),
        (503, None, FAILS),
        (200, stop(10.0, 137, killed=True), NOT_MEASURED),
        (0, stop(10.0, 137, killed=True), FAILS),
    ],
)
def test_what_was_under_way_decides_how_it_drains(
    status: int, ended: Stop | None, verdict: Verdict, whole: bool
) -> None:
    """Who takes no notice of the signal and answers on has not been seen to drain."""
    assert verdict == judge.drains(drained(status, whole=whole, ended=ended), 10.0).verdict


def test_a_signal_that_missed_the_request_measures_nothing() -> None:
    """TERM must come between the two halves, or before the answer to a whole request."""
    begun = {"usual": (98.0, 200), "sent": (99.5, 0), "rest": (101.6, 0), "begun": (101.7, 200)}
    whole = {"usual": (98.0, 200), "sent": (99.5, 0), "whole": (101.6, 200)}

    for events, is_whole in ((begun, False), (whole, True)):
        seen = run_checks.read_drain(events, stop(), 80, "/")
        assert (200, is_whole) == (seen.status, seen.was_whole)
        with pytest.raises(CouldNotMeasure, match="not before its"):
            run_checks.read_drain({**events, "sent": (100.5, 0)}, stop(), 80, "/")
    with pytest.raises(CouldNotMeasure, match="did not come to its end"):
        run_checks.read_drain({"usual": (98.0, 200)}, stop(), 80, "/")


def test_orphans_are_told_from_the_list_that_follows() -> None:
    """The helper prints both."""
    told = "orphan 12\norphan 14\n1 (python) S 0 1\tpython app.py\n"

    assert ((12, 14), "1 (python) S 0 1\tpython app.py") == run_checks.read_orphans(told)


def test_orphans_that_are_left_as_zombies_are_a_fault() -> None:
    """Those that run still, or were never made, tell nothing."""
    one = Process(1, 0, "S", "python", "python jobs.py")
    zombie, living = Process(12, 1, "Z", "sleep", ""), Process(12, 1, "S", "sleep", "sleep 9")

    assert HOLDS == judge.reaps([12, 14], [one]).verdict
    assert FAILS == judge.reaps([12, 14], [one, zombie]).verdict
    assert 1 == judge.reaps([12, 14], [one, zombie]).values["zombies"]
    assert NOT_MEASURED == judge.reaps([12], [one, living]).verdict
    assert NOT_MEASURED == judge.reaps([], [one]).verdict


def test_a_log_in_a_file_is_a_fault_and_silence_is_no_pass() -> None:
    """What is on standard output beside it does not make it good."""
    path = "/var/log/nginx/access.log"

    assert FAILS == judge.logs(100, {}, {path: 400}, 5).verdict
    assert FAILS == judge.logs(100, {path: 400}, {path: 400}, 0).verdict
    assert HOLDS == judge.logs(100, {}, {path: 0}, 5).verdict
    assert HOLDS == judge.logs(100, {}, {}, 0).verdict
    assert NOT_MEASURED == judge.logs(0, {}, {}, 5).verdict
    assert "at least" in judge.logs(100, {}, {}, 5, all_kept=False).figure


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/var/log/guestbook.log", True),
        ("/app/logs/today", True),
        ("/srv/server.log.1", True),
        ("/srv/access_log", True),
        ("/var/log/wtmp", False),
        ("/app/catalog", False),
        ("/app/login/page", False),
    ],
)
def test_logs_are_told_by_their_paths(path: str, verdict: bool) -> None:
    """Their folder or their ending says so; what merely sounds alike does not."""
    assert verdict == judge.is_log(path)


def ended(status: int, listened: tuple[int, ...] = ()) -> Up:
    """Return a start that ended before it was up."""
    return Up(False, 0.4, exit_status=status, listened=listened, fault="It ended.")


def test_a_server_that_goes_into_the_background_is_a_fault_and_a_job_is_not() -> None:
    """A port that was opened, or that the image exposes, tells them apart."""
    assert FAILS == judge.foreground(ended(0, (80,)), ()).verdict
    assert FAILS == judge.foreground(ended(0), (80,)).verdict
    assert NOT_APPLICABLE == judge.foreground(ended(0), ()).verdict
    assert NOT_MEASURED == judge.foreground(ended(1), (80,)).verdict
    assert NOT_MEASURED == judge.foreground(Up(False, 15.0, fault="It hangs."), (80,)).verdict
    assert HOLDS == judge.foreground(Up(True, 3.0), ()).verdict


def test_a_start_under_a_limit_must_answer_as_without_it() -> None:
    """A server that starts and answers with an error is none."""
    up = Up(True, 1.0, told_by="port 80 is listened on")

    assert HOLDS == judge.starts("any-user", up, how="So").verdict
    assert HOLDS == judge.starts("any-user", up, how="So", usual=200, now=404).verdict
    assert FAILS == judge.starts("any-user", up, how="So", usual=200, now=500).verdict
    assert FAILS == judge.starts("any-user", up, how="So", usual=200, now=0).verdict
    assert HOLDS == judge.starts("any-user", up, how="So", usual=502, now=502).verdict
    assert FAILS == judge.starts("read-only-root", ended(1), how="So").verdict

    late = Up(False, 15.0, fault="It runs and did not come up.")
    assert FAILS == judge.starts("any-user", late, how="So", usual_seconds=0.5).verdict
    assert NOT_MEASURED == judge.starts("any-user", late, how="So", usual_seconds=2.0).verdict


def written(sizes: dict[str, int], layer_bytes: int = 100) -> Verdict:
    """Return the verdict on files that were written within a minute."""
    return judge.writes(
        sizes, layer_bytes=layer_bytes, seconds=60.0, asked=5, seen=len(sizes)
    ).verdict


def test_small_passing_files_are_no_write_and_lasting_ones_are() -> None:
    """Many bytes are, wherever they lie."""
    assert HOLDS == written({})
    assert HOLDS == written({"/run/nginx.pid": 2, "/tmp/x": 10})
    assert FAILS == written({"/run/nginx.pid": 2, "/data/db": 10})
    assert FAILS == written({"/tmp/x": 5_000_000}, 5_000_000)
    assert HOLDS == written({"/app/__pycache__/app.cpython-313.pyc": 900})
    assert FAILS == written({"/app/__pycache__/notes.txt": 900})


def answered(
    path: str, first: float, status: int, well: float | None, silent: float = 0.0
) -> Answered:
    """Return when a path of port 80 answered."""
    return Answered(80, path, first, status, well, silent)


ROOT = answered("/", 1.0, 200, 1.0)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([ROOT, answered("/healthz", 1.0, 200, 1.0)], HOLDS),
        ([ROOT, answered("/readyz", 1.0, 503, 4.0)], HOLDS),
        ([ROOT, answered("/readyz", 1.0, 503, None)], FAILS),
        ([ROOT, answered("/health", 1.0, 404, None)], FAILS),
        ([ROOT, answered("/livez", 1.0, 200, 1.0)], FAILS),
        ([answered("/", 1.0, 502, 5.0), answered("/ready", 1.0, 200, 1.0)], HOLDS),
        ([answered("/", 5.0, 200, 5.0, 4.6), answered("/ready", 1.0, 200, 1.0)], FAILS),
        ([answered("/", 5.0, 200, 5.0, 1.2), answered("/ready", 1.0, 200, 1.0)], HOLDS),
    ],
)
def test_a_path_of_readiness_must_not_come_before_the_rest(
    answers: list[Answered], verdict: Verdict
) -> None:
    """One that only tells of life, or that never answers well, is none.

    A busy machine that asks for `/` late has not seen that it was silent meanwhile.
    """
    nothing = answered(run_checks.NO_SUCH_PATH, 1.0, 404, None)

    finding = judge.readiness(answers, no_such_path=nothing, named="", ports="80")

    assert verdict == finding.verdict


def test_a_server_that_answers_any_path_tells_nothing_of_readiness() -> None:
    """A path that nobody has is answered well, too; one that differs, or that was named, tells."""
    any_path = answered(run_checks.NO_SUCH_PATH, 1.0, 200, 1.0)

    def judged(*answers: Answered, named: str = "") -> Verdict:
        return judge.readiness(
            [ROOT, *answers], no_such_path=any_path, named=named, ports="80"
        ).verdict

    assert NOT_MEASURED == judged(answered("/healthz", 1.0, 200, 1.0))
    assert HOLDS == judged(answered("/healthz", 1.0, 503, 4.0))
    assert HOLDS == judged(answered("/up", 1.0, 200, 1.0), named="/up")


@pytest.mark.parametrize(("named", "usual"), [("/mean?of=3", 0), ("/readyz", 1)])
def test_a_path_that_was_named_counts_as_usual_only_where_it_is(named: str, usual: int) -> None:
    """It tells of readiness all the same, since somebody has said so."""
    answers = [ROOT, answered(named, 1.0, 200, 1.0)]

    finding = judge.readiness(answers, no_such_path=None, named=named, ports="80")

    assert (HOLDS, usual) == (finding.verdict, finding.values["ready_paths"])


def test_answers_are_read_by_port_and_path() -> None:
    """No answer is none, and lines of another form are left out."""
    told = "101.0 80 /ready 0\n102.0 80 /ready 503\n103.5 80 /ready 200\nrubbish\n101.0 80 / 0\n"

    assert [Answered(80, "/ready", 2.0, 503, 3.5, 1.0)] == run_checks.read_answers(told, 100.0)


def settings(*outcomes: Without, path: str = "/") -> Verdict:
    """Return the verdict on settings with these outcomes."""
    tried = [Setting(f"S{number}", outcome, 0.5) for number, outcome in enumerate(outcomes)]
    return judge.settings(tried, left_out=0, path=path).verdict


def test_a_setting_that_is_missed_late_or_in_silence_is_a_fault() -> None:
    """One that is missed at once, by its name, is right; one that is not needed tells nothing."""
    assert HOLDS == settings(Without.NAMED, Without.NOT_NEEDED)
    assert FAILS == settings(Without.NAMED, Without.LATE)
    assert FAILS == settings(Without.UNNAMED)
    assert FAILS == settings(Without.HANGS)
    assert NOT_MEASURED == settings(Without.NOT_NEEDED)
    assert HOLDS == settings(Without.NOT_NEEDED, path="/orders")


@pytest.mark.parametrize(
    ("up", "log", "statuses", "outcome"),
    [
        (ended(1), "DATABASE_URL is missing", {}, Without.NAMED),
        (ended(1), "OTHER_DATABASE_URL is missing", {}, Without.UNNAMED),
        (Up(False, 15.0, fault="It hangs."), "", {}, Without.HANGS),
        (Up(True, 1.0), "", {80: 500}, Without.LATE),
        (Up(True, 1.0), "", {80: 0}, Without.LATE),
        (Up(True, 1.0), "", {80: 200}, Without.NOT_NEEDED),
        (Up(True, 1.0), "", {}, Without.NOT_NEEDED),
    ],
)
def test_what_comes_of_a_missing_setting_is_read_from_end_log_and_answers(
    up: Up, log: str, statuses: dict[int, int], outcome: Without
) -> None:
    """A name within a longer one is not the name."""
    found = run_checks.read_setting("DATABASE_URL", up, log, {80: 200}, statuses)

    assert outcome == found.outcome


def test_variables_of_base_images_are_no_settings() -> None:
    """They are for tools, and no application fails for want of them."""
    names = ("PATH", "PYTHON_VERSION", "NGINX_VERSION", "LANG", "JAVA_HOME", "DATABASE_URL", "PORT")

    assert ["DATABASE_URL", "PORT"] == [name for name in names if judge.is_setting(name)]


def test_every_arm_of_the_table_is_one_of_the_guide() -> None:
    """Its claim is among those that the check names."""
    from proving.audit.catalogue import CHECKS

    for claim, checks, _ in ARMS:
        assert claims.get(claim)
        assert all(claim in CHECKS[check].claims for check in checks), claim
