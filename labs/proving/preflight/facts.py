"""What the preflight finds on this machine and on its engine, without a judgement."""

from __future__ import annotations

import os
import platform
import queue
import shutil
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from .. import bases, browser, claims, cluster, disk, guide, kubernetes_image, prepare, private
from .. import engine as engines
from ..engine import LOOPBACK, Engine
from ..errors import EngineError, EngineForbidden, NoSuchEngine, ProvingError
from ..system import Say
from .trial import Trial

ENGINE_SECONDS = 15.0
"""How long an engine may take to its first answers."""

TRIAL_SECONDS = 40.0
"""How long the trial of an image may take in all."""

_ANSWER_SECONDS = 25.0

Result = TypeVar("Result")


class TooLate(Exception):
    """An answer did not come in time."""


@dataclass(frozen=True)
class EngineFacts:
    """What an engine tells of itself; `is_here` where it shares this machine's file system."""

    found: str
    flavour: str
    name: str
    version: str
    api_version: str
    store: str
    architecture: str
    cgroup: str
    cores: int
    memory_bytes: int
    limits_memory: bool
    limits_processes: bool
    is_here: bool


@dataclass(frozen=True)
class BasesFacts:
    """Which roles have no base on the engine, and by which road they would come: its id, and why.

    The roads are `here`, `pulled`, `packages` and `none`.
    """

    road: str
    missing: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class ClusterFacts:
    """Which cluster there would be, by the id of the answer, and a sentence about it."""

    outcome: str
    told: str


@dataclass(frozen=True)
class Facts:
    """All that was found; None, or an empty text, where it was not asked.

    `fault` is the id of the answer where no engine can be used, and `fault_told` its sentence.
    """

    system: str
    machine: str
    fault: str = ""
    fault_told: str = ""
    engine: EngineFacts | None = None
    builder: str = ""
    builder_fault: str = ""
    available_bytes: int | None = None
    disk_free_bytes: int | None = None
    port: int | None = None
    browser: str = ""
    chromium: str = ""
    bases: BasesFacts | None = None
    cluster: ClusterFacts | None = None
    trial: Trial | None = None
    trial_fault: str = ""


def within(seconds: float, job: Callable[[], Result]) -> Result:
    """Return what a job returns, or raise what it raises; one that is late is left behind.

    Raises:
        TooLate: it has not ended within these seconds.
    """
    told: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            told.put((job(), None))
        except BaseException as error:
            told.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = told.get(timeout=seconds)
    except queue.Empty:
        raise TooLate from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value] # there was no error: this is what it returned


def this_system() -> str:
    """Return which of the catalogue's systems this machine is."""
    if sys.platform == "darwin":
        return "macos"
    if sys.platform == "win32":
        return "windows"
    if "microsoft" in platform.release().lower():
        return "wsl"
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        return "linux"
    names = {told.get("ID", ""), *told.get("ID_LIKE", "").split()}
    if names & {"debian", "ubuntu"}:
        return "debian"
    return "fedora" if names & {"fedora", "rhel", "centos"} else "linux"


def flavour(engine: Engine, info: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    """Return which of the catalogue's kinds of engine this is, by its own answers."""
    components = [str(one.get("Name", "")) for one in version.get("Components") or []]
    if any("podman" in name.lower() for name in components):
        return "podman"
    platform_name = str((version.get("Platform") or {}).get("Name", ""))
    if "Docker Desktop" in (str(info.get("OperatingSystem", "")) + platform_name):
        return "docker-desktop"
    if engine.url == private.url():
        return "private"
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or []):
        return "rootless"
    if str(info.get("Name", "")).startswith("colima"):
        return "colima"
    return "docker" if engine.host == LOOPBACK else "remote"


def read_engine(engine: Engine, info: Mapping[str, Any], version: Mapping[str, Any]) -> EngineFacts:
    """Return the facts of an engine by its `/info` and `/version`."""
    told = engines.describe(info, version, "")
    driver = str(info.get("CgroupDriver", ""))
    return EngineFacts(
        found=engine.found,
        flavour=flavour(engine, info, version),
        name=told.engine,
        version=told.engine_version,
        api_version=told.api_version,
        store=told.store,
        architecture=told.architecture,
        cgroup=told.cgroup,
        cores=told.cores,
        memory_bytes=int(info.get("MemTotal") or 0),
        limits_memory=bool(info.get("MemoryLimit")) and driver != "none",
        limits_processes=bool(info.get("PidsLimit")) and driver != "none",
        is_here=disk.is_here(info.get("Name"), info.get("KernelVersion")),
    )


def gather(show: Say, *, start: bool) -> Facts:
    """Look at all of it, and try one image; with `start`, a private engine is started if needed.

    One that was started is stopped again. `show` is told what is being done.
    """
    show("Looking at this machine")
    facts = _this_machine()
    show("Looking for an engine")
    facts, engine = _find_engine(facts)
    if facts.fault == "startable" and start:
        show("Starting a private engine")
        try:
            engine = engines.find()
        except EngineError as error:
            return replace(facts, fault="none", fault_told=str(error))
        try:
            return _on_engine(replace(facts, fault="", fault_told=""), engine, show, build=True)
        finally:
            if engine.url == private.url():
                private.stop()
    if engine is None:
        return facts
    return _on_engine(facts, engine, show, build=start)


def _this_machine() -> Facts:
    import psutil

    facts = Facts(this_system(), engines.architecture(platform.machine().lower()))
    with suppress(ProvingError):
        facts = replace(facts, port=guide.next_port())
    return replace(
        facts,
        browser=_browser(facts.system),
        chromium=browser.find() or "",
        available_bytes=int(psutil.virtual_memory().available),
    )


def _browser(system: str) -> str:
    """Return what opens an address here; empty where nothing with a window can."""
    if system in ("macos", "windows"):
        return "the system's"
    if system == "wsl" and (found := shutil.which("wslview")):
        return found
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return ""
    with suppress(webbrowser.Error):
        webbrowser.get()
        return os.environ.get("BROWSER") or browser.find() or "the desktop's"
    return browser.find() or ""


def _find_engine(facts: Facts) -> tuple[Facts, Engine | None]:
    try:
        engine = within(ENGINE_SECONDS, lambda: engines.find(start=False, any_version=True))
    except TooLate:
        told = f"An engine did not answer within {ENGINE_SECONDS:.0f} s."
        return replace(facts, fault="silent", fault_told=told), None
    except NoSuchEngine as error:
        return replace(facts, fault="named-gone", fault_told=str(error)), None
    except EngineForbidden as error:
        return replace(facts, fault="forbidden", fault_told=str(error)), None
    except EngineError as error:
        if private.can_start():
            told = "No engine answers here, and a private one can be started."
            return replace(facts, fault="startable", fault_told=told), None
        return replace(facts, fault="none", fault_told=str(error)), None
    return facts, engine


def _on_engine(facts: Facts, engine: Engine, show: Say, *, build: bool) -> Facts:
    """Add what an engine tells; with `build`, a base may be built that cannot be pulled."""
    try:
        info, version = within(
            ENGINE_SECONDS, lambda: (engine.docker.info(), engine.docker.version())
        )
        told = read_engine(engine, info, version)
    except TooLate:
        sentence = f"The engine at {engine.url} did not answer within {ENGINE_SECONDS:.0f} s."
        return replace(facts, fault="silent", fault_told=sentence)
    facts = replace(facts, engine=told)
    if not told.is_here:
        facts = replace(facts, available_bytes=None)
    if engines.is_too_old(told.api_version):
        return replace(facts, trial_fault="The engine is too old for the labs.")
    try:
        facts = replace(facts, builder=engine.builder.name)
    except EngineError as error:
        return replace(facts, builder_fault=str(error), trial_fault="There is no builder.")
    with ThreadPoolExecutor(2) as pool:
        show("Asking for base images and for a cluster")
        of_cluster = pool.submit(_cluster, engine, told)
        of_bases = _bases(engine)
        facts = replace(facts, bases=of_bases, cluster=of_cluster.result())
    show("Building, running and stopping one image")
    facts = _tried(facts, engine, build=build)
    _, usage = disk.data_root(engine)
    seen = facts.trial.disk_free_bytes if facts.trial else None
    return replace(facts, disk_free_bytes=usage[0] if usage else seen)


def _bases(engine: Engine) -> BasesFacts:
    """Tell by which road bases come; a registry is asked for one that is not there."""
    missing = tuple(
        name for name in prepare.roles_of_labs() if bases.on_engine(engine, name) is None
    )
    if not missing:
        return BasesFacts("here")
    why = "PROVING_BASES is build"
    if bases.forced_road() != bases.BUILT:
        public = bases.ROLES[missing[0]].public
        why = _in_time(lambda: bases.refusal(engine, public), "the registry did not answer")
        if not why:
            return BasesFacts("pulled", missing)
    cannot = "PROVING_BASES is pull"
    if bases.forced_road() != bases.PULLED:
        cannot = bases.cannot_build(engine)
        if not cannot:
            return BasesFacts("packages", missing, why)
    return BasesFacts("none", missing, f"{why}; {cannot}")


def _in_time(job: Callable[[], str], late: str) -> str:
    try:
        return within(_ANSWER_SECONDS, job)
    except TooLate:
        return late


def _cluster(engine: Engine, told: EngineFacts) -> ClusterFacts:
    """Tell which cluster a run would have, in the order in which `proving.cluster` looks."""
    try:
        forced = cluster.source()
        if forced == cluster.NAMED or (not forced and os.environ.get(cluster.CONFIG_VARIABLE)):
            named = within(_ANSWER_SECONDS, lambda: cluster.named(engine))
            return ClusterFacts("named", f"{named}.")
    except ProvingError as error:
        return ClusterFacts("named-gone", str(error))
    except TooLate:
        return ClusterFacts("named-gone", "The cluster that is named does not answer.")
    if forced == cluster.NONE:
        return ClusterFacts("left-out", f"{cluster.SOURCE_VARIABLE} is {cluster.NONE}.")
    if told.flavour == "rootless":
        return ClusterFacts("rootless", "This engine is rootless.")
    return _cluster_in_a_container(engine, told, forced)


def _cluster_in_a_container(engine: Engine, told: EngineFacts, forced: str) -> ClusterFacts:
    why = f"{cluster.SOURCE_VARIABLE} is {cluster.NODE}."
    if forced in ("", cluster.K3S):
        refused = _in_time(lambda: _no_k3s(engine), "the registry did not answer")
        if not refused:
            return ClusterFacts("k3s", f"{cluster.K3S_IMAGE} is to be had.")
        why = f"No K3s: {refused}."
    return _node(engine, told, forced, why)


def _no_k3s(engine: Engine) -> str:
    from docker.errors import ImageNotFound

    try:
        engine.docker.images.get(cluster.K3S_IMAGE)
    except ImageNotFound:
        return bases.refusal(engine, cluster.K3S_IMAGE)
    return ""


def _node(engine: Engine, told: EngineFacts, forced: str, why: str) -> ClusterFacts:
    if forced == cluster.K3S or told.cgroup == "v2":
        node = "" if forced else " The guide's own node was never tried with control groups v2."
        return ClusterFacts("none", f"{why}{node}")
    if kubernetes_image.is_there(engine):
        return ClusterFacts("node", f"{kubernetes_image.name()} is on the engine.")
    minutes = kubernetes_image.MINUTES
    return ClusterFacts("to-build", f"{why} The guide's node takes {minutes} minutes to build.")


def claims_in_cluster() -> int:
    """Return how many claims are proved in a cluster."""
    return sum(one.needs_cluster and one.proved_by_a_lab for one in claims.load().values())


def _tried(facts: Facts, engine: Engine, *, build: bool) -> Facts:
    """Try one image, on the smallest base; that one is pulled, and built only where it may be."""
    if facts.bases and facts.bases.road == "none" and "SLIM" in facts.bases.missing:
        return replace(facts, trial_fault="There is no base image to build on.")
    if why := _without_base(facts, engine, build=build):
        return replace(facts, trial_fault=why)
    trial = Trial()
    try:
        with _quiet():
            within(TRIAL_SECONDS, trial.run)
    except TooLate:
        trial.seconds = TRIAL_SECONDS
        trial.told = f"{trial.told.rstrip('.')}: {TRIAL_SECONDS:.0f} s were over."
    except EngineError as error:
        trial.told = str(error)
    return replace(facts, trial=trial)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep standard output for the report: what a lab says of itself goes to nowhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def _without_base(facts: Facts, engine: Engine, *, build: bool) -> str:
    """Have the base of the trial; return why it is not to be had, or empty where it is there."""
    road = facts.bases.road if facts.bases else "none"
    if bases.on_engine(engine, "SLIM") is not None:
        return ""
    if road == "packages" and not build:
        return "Its base would have to be built from packages first: `-- --start` has that done."
    try:
        if road == "pulled":
            public = bases.ROLES["SLIM"].public
            refused = bases.pull(engine, public)  # which takes what the network takes, once
            return f"{public} was not pulled: {refused}." if refused else ""
        bases.ready(engine, ["SLIM"])
    except ProvingError as error:
        return str(error)
    return ""
