"""What breaks ends in a sentence for a person, and leaves the engine as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from proving import bases, buildcache, cluster, lanes, leftovers, private, system
from proving import engine as engines
from proving.errors import (
    BuildError,
    ClaimFailed,
    ContainerError,
    CouldNotMeasure,
    EngineError,
    NotApplicable,
    ProvingError,
)
from proving.image import Image
from proving.lab import RUN_VARIABLE, Lab
from proving.paths import LABS
from waiting import until

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("nothing_left")]

GONE_WITHIN_SECONDS = 15
MEASURED_GONE_WITHIN_SECONDS = 10
SLUG = "09-process-management"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab that is closed at the end, whatever happens."""
    with Lab("a-test") as opened:
        yield opened


def write(folder: Path, dockerfile: str) -> Path:
    """Write a Dockerfile into a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    return folder


SLEEPER = 'ARG SLIM=debian:13-slim\nFROM ${SLIM}\nCMD ["sleep", "600"]\n'


def test_nothing_is_left_of_what_ran_before(engine):
    """Whatever ran on this engine has cleared up, the tests that ran beside each other as well."""
    assert [] == leftovers.of_runs(engine.docker)


def test_the_classic_builder_leaves_nothing(lab, tmp_path):
    """A stage that the image does not stand on has no name there, and is gone all the same."""
    context = write(
        tmp_path / "context",
        "ARG SLIM=debian:13-slim\nFROM ${SLIM} AS aside\nRUN echo aside > /aside\n"
        "FROM ${SLIM} AS last\nRUN echo last > /last\n",
    )
    with lab.workspace_of(context, context) as work:
        try:
            image = work.build_by_classic_builder(target="last")
        except NotApplicable as error:
            pytest.skip(str(error))
        labelled = {"label": f"{leftovers.RUN_LABEL}={lab.run}"}
        during = lab.engine.docker.api.images(filters=labelled)
    after = lab.engine.docker.api.images(filters=labelled, all=True)

    assert "echo aside" in image.progress
    assert 2 == len(during)
    assert [] == after


@pytest.mark.parametrize(("line", "target"), [("RUN false", ""), ("RAN", ""), ("RUN true", "no")])
def test_a_dockerfile_that_breaks_is_not_taken_for_a_missing_builder(lab, tmp_path, line, target):
    """Otherwise a claim about the classic builder would be not applicable for a slip in a line."""
    context = write(tmp_path / "context", f"ARG SLIM=debian:13-slim\nFROM ${{SLIM}}\n{line}\n")

    with lab.workspace_of(context, context) as work:
        try:
            with pytest.raises(BuildError, match="does not build"):
                work.build_by_classic_builder(target=target)
        except NotApplicable as error:
            pytest.skip(str(error))


def test_a_dockerfile_that_does_not_build(lab, tmp_path):
    """The failing step is named, with its last lines."""
    context = write(
        tmp_path, "ARG SLIM=debian:13-slim\nFROM ${SLIM}\nRUN echo last words && false\n"
    )

    with pytest.raises(BuildError, match=r"RUN echo last words && false failed") as caught:
        lab.build(context)

    assert "last words" in str(caught.value)


def test_a_dockerfile_that_cannot_be_read(lab, tmp_path):
    """There is no step to name: the builder's own words are quoted."""
    context = write(tmp_path, "FRM scratch\n")

    with pytest.raises(BuildError, match="stopped before its first step"):
        lab.build(context)


def test_a_folder_without_a_dockerfile(lab, tmp_path):
    """The sentence names the folder."""
    with pytest.raises(ProvingError, match="no Dockerfile"):
        lab.build(tmp_path)


def test_a_folder_named_like_an_option(lab, tmp_path):
    """A build context may have any name that a folder can have."""
    context = write(tmp_path / "--privileged", SLEEPER)

    assert lab.build(context).id.startswith("sha256:")


def test_an_image_named_like_an_option(engine, tmp_path):
    """A name that looks like an option is taken as a name, and refused as a bad one."""
    context = write(tmp_path, "FROM scratch\nCOPY Dockerfile /\n")

    with pytest.raises(BuildError, match="invalid"):
        Image(engine, context, tag="--output=/etc").build()


@pytest.mark.parametrize("name", ["--privileged", "-v/:/host", "no-such-image:at-all"])
def test_a_container_of_an_image_that_is_not_there(lab, name):
    """Whatever the name looks like, nothing is started and the sentence says why."""
    with pytest.raises(ContainerError, match="did not start"), lab.start(name):
        pass


def test_a_container_that_never_becomes_ready(lab, tmp_path):
    """It is not waited for without end, and its last lines are told."""
    image = lab.build(write(tmp_path, SLEEPER))
    impatient = lab.start(image, ready="never", ready_seconds=1)

    with pytest.raises(ContainerError, match="was not ready within 1 s"), impatient:
        pass


def test_a_container_that_ends_before_it_is_ready(lab, tmp_path):
    """The exit status and the last words are told at once."""
    image = lab.build(write(tmp_path, SLEEPER))
    failing = lab.start(image, command=["sh", "-c", "echo no setting; exit 3"], ready="ready")

    with pytest.raises(ContainerError, match=r"(?s)exit status 3.*no setting"), failing:
        pass


def test_a_container_that_has_ended_cannot_be_stopped(lab, tmp_path):
    """A stop that did not happen gives no figure."""
    image = lab.build(write(tmp_path, SLEEPER))
    with lab.start(image, command=["true"]) as app:
        app.wait()

        with pytest.raises(CouldNotMeasure, match="had ended before"):
            app.stop_gracefully(10)


def test_a_stop_is_timed_on_an_engine_that_has_much_else_to_tell(engine, lab, tmp_path):
    """It keeps its last 256 events, so that the stop signal's is forgotten before KILL comes."""
    image = lab.build(write(tmp_path, SLEEPER))
    with lab.start(image) as app, ThreadPoolExecutor(1) as pool:
        pool.submit(make_events, engine.docker, 300)
        stop = app.stop_gracefully(4)

    assert (stop.signal, stop.killed, stop.exit_status) == (15, True, 137)
    assert stop.seconds >= 4


def make_events(docker, count):
    """Have the engine note so many events of nothing that matters."""
    time.sleep(0.5)  # the stop has begun
    for _ in range(count // 2):
        docker.volumes.create().remove()


def test_a_claim_that_does_not_hold_is_raised(lab, capsys):
    """Which figure, of which arm, what was expected, what was found."""
    hidden = {"state": "running", "restarts": 0, "exit_status": 0, "failures": 4}

    with pytest.raises(
        ClaimFailed, match=r"good: the container's state: expected exited"
    ) as caught:
        lab.claim("P5", bad=hidden, good=hidden)

    assert "good: restarts by the platform: expected ≥ 1, found 0." in str(caught.value)


def test_an_arm_that_could_not_be_measured_is_not_a_pass(lab, capsys):
    """The other arm's figures do not make up for it."""

    def measure(image: Any) -> dict[str, Any]:
        raise CouldNotMeasure("The clock stood still.")

    with pytest.raises(CouldNotMeasure, match=r"could not be measured.*clock stood still"):
        lab.claim("P5", **lab.measure(measure, bad=None, good=None))  # type: ignore[arg-type]


def test_equal_builds_have_equal_configurations(lab, tmp_path):
    """Equal images are told by their configuration's digest, whatever their names."""
    first, second = (lab.build(write(tmp_path / name, SLEEPER)) for name in ("a", "b"))
    other = lab.build(write(tmp_path / "c", SLEEPER.replace("600", "601")))

    assert first.config_digest == second.config_digest
    assert first.config_digest != other.config_digest


def test_changed_files_are_those_of_the_writable_layer(lab, tmp_path):
    """What a container has written shows, and what its image holds does not."""
    image = lab.build(write(tmp_path, SLEEPER))
    with lab.start(image, command=["sh", "-c", "echo x > /written; sleep 60"]) as app:
        until(lambda: "/written" in app.changed_files(), 10)

        assert ("/written",) == app.changed_files()


def test_a_cell_that_is_run_twice(tmp_path):
    """A second `Lab` of the same name takes the first one's place, with nothing left of that."""
    context = write(tmp_path, SLEEPER)
    first = Lab("a-test")
    first.start(first.build(context)).start()
    with Lab("a-test") as second:
        second.build(context)
        second.build(context)

        assert [] == second.engine.docker.containers.list(
            all=True, filters={"label": f"{leftovers.RUN_LABEL}={first.run}"}
        )


def proof(*words: str, run: str = "") -> subprocess.Popen[str]:
    """Start the runner of the labs in a process group of its own."""
    named = {RUN_VARIABLE: run} if run else {}
    return subprocess.Popen(
        [sys.executable, "-m", "proving.prove", "labs", *words],
        env={**os.environ, "PYTHONPATH": str(LABS), **named},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def run() -> str:
    """A name for a run of this test alone: others may be at work on the same engine."""
    return f"test-{uuid.uuid4().hex[:8]}"


def containers_of(engine: Any, run: str) -> list[Any]:
    """Return the containers on the engine that a run has started."""
    found: list[Any] = engine.docker.containers.list(
        all=True, filters={"label": f"{leftovers.RUN_LABEL}={run}"}, ignore_removed=True
    )
    return found


def nothing_of(engine: Any, run: str) -> bool:
    """Tell whether neither containers nor images of a run are on the engine."""
    images = leftovers._tags(engine.docker, f"{leftovers.IMAGES_OF_RUNS}/{run}")
    return not containers_of(engine, run) and not images


def in_mid_lab(engine: Any, run: str) -> subprocess.Popen[str]:
    """Return a runner whose lab has started containers."""
    runner = proof("P1", run=run)

    assert until(lambda: containers_of(engine, run), 60), "the lab did not start"
    return runner


def processes_of(runner: subprocess.Popen[str], word: str) -> list[psutil.Process]:
    """Return the processes below a runner whose command line has a word."""
    below = psutil.Process(runner.pid).children(recursive=True)
    return [process for process in below if word in " ".join(process.cmdline())]


def interrupt(runner: subprocess.Popen[str], seconds: float) -> None:
    """Demand that a runner ends with a sentence within these seconds, after one Ctrl-C."""
    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=seconds)

    assert 130 == runner.returncode
    assert "Stopped; nothing is left on the engine." in output
    assert "Traceback" not in output


def test_ctrl_c_in_mid_lab(engine, run):
    """One Ctrl-C ends the run with a sentence."""
    interrupt(in_mid_lab(engine, run), 40)

    assert until(lambda: nothing_of(engine, run), GONE_WITHIN_SECONDS)


@pytest.mark.usefixtures("one_cluster")
def test_ctrl_c_with_claims_beside_the_others(engine, run):
    """Both kernels end, and neither leaves anything, on the engine or in the cluster."""
    runs = (run, f"{run}-{lanes.BESIDE}")
    api = cluster.join(engine, Path(os.environ[cluster.RUN_VARIABLE])).api
    runner = proof("10", run=run)
    started = until(lambda: all(not nothing_of(engine, one) for one in runs), 120)
    kernels = processes_of(runner, "ipykernel_launcher")
    interrupt(runner, 60)

    assert started, "the lab did not start both"
    assert 2 == len(kernels)
    assert not any(kernel.is_running() for kernel in kernels)
    for one in runs:
        assert until(lambda one=one: nothing_of(engine, one), GONE_WITHIN_SECONDS)
        assert 0 == api.remove_namespaces(one)


def test_a_kernel_that_is_killed_in_mid_lab(engine, run):
    """The runner says that the claim could not be measured; the watchdog cleans up."""
    runner = in_mid_lab(engine, run)
    (kernel,) = processes_of(runner, "ipykernel_launcher")
    kernel.kill()

    assert until(lambda: nothing_of(engine, run), GONE_WITHIN_SECONDS)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 1
    assert "could not be measured" in output
    assert "Traceback" not in output


def test_a_runner_that_is_killed_in_mid_lab(engine, run):
    """Its kernel notices, and the watchdog cleans up."""
    runner = in_mid_lab(engine, run)
    runner.kill()

    assert until(lambda: nothing_of(engine, run), GONE_WITHIN_SECONDS)
    runner.communicate()


def test_all_of_it_killed_at_once(engine, run):
    """What then is left, the clean-up finds by label and by name."""
    runner = in_mid_lab(engine, run)
    for process in psutil.Process(runner.pid).children(recursive=True):  # the watchdog too
        process.kill()
    runner.kill()
    runner.communicate()
    left = len(containers_of(engine, run))
    leftovers.remove(engine.docker, run)

    assert left > 0
    assert nothing_of(engine, run)


def test_a_cell_that_is_run_again_after_the_end(engine, run, tmp_path):
    """The last cell closes the lab; an earlier one that is run again has a watchdog again."""
    context = write(tmp_path, SLEEPER)
    again = f"""
import os, signal
from pathlib import Path
from proving import Lab
lab = Lab("a-test")
lab.close()
lab.start(lab.build(Path({str(context)!r}))).start()
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(LABS), RUN_VARIABLE: run}
    ended = subprocess.run([sys.executable, "-c", again], env=environment, check=False)

    assert -signal.SIGKILL == ended.returncode
    assert containers_of(engine, run)
    assert until(lambda: nothing_of(engine, run), GONE_WITHIN_SECONDS)


def test_a_measured_build_that_is_killed(engine, run, tmp_path):
    """Its image is gone soon, and so is what its build has left in the cache.

    Others may build on the engine at the same time: the records are told by a command of its own.
    """
    command = f"echo {uuid.uuid4().hex} > /one"
    context = write(tmp_path / "context", f"{SLEEPER}RUN {command}\nCOPY Dockerfile /two\n")
    built = f"""
import sys, time
from pathlib import Path
from proving import Lab
lab = Lab("a-test")
folder = Path({str(context)!r})
with lab.workspace_of(folder, folder) as work:
    work.build()
    print("built", flush=True)
    time.sleep(600)
"""
    measuring = subprocess.Popen(
        [sys.executable, "-c", built],
        env={**os.environ, "PYTHONPATH": str(LABS), RUN_VARIABLE: run},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert measuring.stdout is not None
    until(lambda: measuring.stdout.readline() in {"built\n", ""}, 60)
    records = buildcache.records(engine.docker)
    image_was_there = not nothing_of(engine, run)
    made = {name for name, record in records.items() if record.command == command}
    made |= {name for name, record in records.items() if made & set(record.parents)}
    measuring.kill()
    measuring.communicate()

    assert image_was_there
    assert len(made) >= 2
    assert until(
        lambda: nothing_of(engine, run) and not made & buildcache.records(engine.docker).keys(),
        MEASURED_GONE_WITHIN_SECONDS,
    )


def test_two_labs_at_once_on_one_engine():
    """Neither sees, or removes, what the other has."""
    first, second = proof("P1"), proof("P1")
    outputs = [runner.communicate(timeout=120)[0] for runner in (first, second)]

    assert [0, 0] == [first.returncode, second.returncode], outputs


@pytest.mark.parametrize("word", ["P99", "--oops", "12"])
def test_a_word_that_names_nothing(word):
    """The runner says what it does not know and proves nothing."""
    runner = proof("--", word)
    output, _ = runner.communicate(timeout=30)

    assert runner.returncode == 2
    assert "There is no claim" in output


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: Any) -> Iterator[Any]:
    """An engine that a test may kill: a private one of another checkout."""
    if not sys.platform.startswith("linux") or system.elevation() is None:
        pytest.skip("a second engine needs Linux with root or sudo")
    monkeypatch.setattr(private, "ROOT", tmp_path)
    monkeypatch.setattr(private, "STATE", tmp_path / ".engine")
    if private.missing_packages():
        private.install()
    slim = bases.ready(engine, ["SLIM"])["SLIM"]
    second = engines.Engine(private.start(), "a test")
    second.docker.images.load(engine.docker.images.get(slim.reference).save(named=True))
    monkeypatch.setenv("DOCKER_HOST", second.url)
    yield second
    private.erase()


def test_an_engine_that_dies_in_mid_lab(mortal, tmp_path):
    """The sentence says so; started again, the engine can be cleaned; erased, it is gone."""
    lab = Lab("a-test")
    image = lab.build(write(tmp_path / "context", SLEEPER))
    app = lab.start(image).start()
    (dockerd,) = [process for process in private._processes() if process.name() == "dockerd"]
    dockerd.kill()
    with pytest.raises(EngineError, match="went away") as caught:
        app.processes()
    lab.close()
    url = private.start()
    left = leftovers.remove(engines.Engine(url, "a test").docker)

    assert "nox -s clean" in str(caught.value)
    assert left > 0
    assert private.erase()
    assert not private.socket().exists()
    assert not (tmp_path / ".engine").exists()
