"""`Lab`: what a notebook talks to. It builds, starts, measures, judges, and leaves no trace."""

from __future__ import annotations

import atexit
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import (
    archive,
    bases,
    buildcache,
    claims,
    cluster,
    engine,
    leftovers,
    manifests,
    my_progress,
    node,
    packages,
    registry,
    watchdog,
    wheels,
)
from .claims import MIME, Claim, Value, Verdict
from .cluster import Cluster
from .errors import (
    BuildError,
    ClaimFailed,
    ContainerError,
    CouldNotMeasure,
    NotApplicable,
    ProvingError,
)
from .kube import Namespace
from .manifests import MANIFESTS, Manifest
from .node import Node
from .packages import PackageServer
from .paths import LABS
from .progress import Progress
from .registry import Registry
from .system import Say, say
from .workspace import Workspace

if TYPE_CHECKING:
    from .container import Container
    from .image import Image

RUN_VARIABLE = "PROVING_RUN"
"""Names the run that a lab belongs to; unset, the lab makes up a name."""

TEETH_VARIABLE = "PROVING_TEETH"
"""Set to 1, the arms that a claim exchanges are exchanged when they are built."""

NO_CACHE_VARIABLE = "PROVING_NO_CACHE"
"""Set to 1, the arms of claims are built without the cache: a machine that builds them first."""

TIMELINE, BUILD, LAYERS = "timeline", "build", "layer_stack"
"""Keys under which a measurement may return, beside its figures, what is drawn of it."""

_DRAWN = {TIMELINE: "timelines", BUILD: "builds", LAYERS: "layers"}
"""Under which name a record has them, by arm; what else is drawn keeps its key."""

_open_labs: dict[str, Lab] = {}


@dataclass(frozen=True)
class NotMeasured:
    """An arm that could not be measured, and why; perhaps there is nothing to measure here."""

    reason: str
    applicable: bool = True


Arm = TypeVar("Arm")
Figures = Mapping[str, Any]
Measured = Figures | NotMeasured


class Lab:
    """A lab on an engine: it is given the name of its notebook, `NN-slug`.

    All that it puts on the engine is gone when it is closed, when its process ends, and, by a
    watchdog, when its process is killed.

    Raises:
        EngineError: there is no engine, and no way to one.
    """

    def __init__(self, slug: str) -> None:
        earlier = _open_labs.pop(slug, None)
        if earlier is not None:
            earlier.close()
        self.slug = slug
        self.engine = engine.find()
        self.run = os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex[:12]
        self.exchanged = os.environ.get(TEETH_VARIABLE) == "1"
        self._bases: dict[str, bases.Base] = {}
        self._began: dict[str, float] = {}
        self._roles: dict[str, set[str]] = {}
        self._builds = 0
        self._counting, self._serving = threading.Lock(), threading.Lock()
        self._server_images: dict[Path, Image] = {}
        self._cluster: Cluster | None = None
        self._joining, self._loading = threading.Lock(), threading.Lock()
        self._images_of_manifests: dict[str, Image] = {}
        self._watchdog = watchdog.start(self.engine, self.run)
        self.window = buildcache.Window(self.engine, self._tell_watchdog)
        self._reopen()
        atexit.register(self.close)
        told = self.engine.description
        print(
            f"{told.engine} {told.engine_version}, {told.store}, {told.architecture}, "
            f"{told.cores} cores · {self.engine.found}"
        )

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def images(self) -> Path:
        """The folder of the labs' build contexts."""
        return claims.IMAGES

    @property
    def grace_seconds(self) -> float:
        """The grace period between the stop signal and SIGKILL, unless a claim sets its own."""
        return float(next(iter(claims.load().values())).settings["grace_seconds"])

    def setting(self, claim_id: str, name: str) -> Value:
        """Return a setting of a claim, such as the number of requests, from `claims.toml`."""
        return claims.get(claim_id).settings[name]

    def _reopen(self) -> None:
        """Have a watchdog, also where a cell is run again after the lab was closed."""
        if not self._watchdog.is_awake:
            self._watchdog = watchdog.start(self.engine, self.run)
        _open_labs[self.slug] = self

    def _tell_watchdog(self, line: bytes) -> None:
        self._watchdog.tell(line)  # the one that is there now: see `_reopen`

    def close(self) -> None:
        """Remove all that this lab has put on the engine."""
        _open_labs.pop(self.slug, None)
        self._server_images.clear()
        self._images_of_manifests.clear()
        if self._cluster is not None:
            with suppress(Exception):  # a cluster that is gone holds nothing of ours
                self._cluster.api.remove_namespaces(self.run)
            self._cluster = None
        with suppress(Exception):  # an engine that is gone holds nothing of ours
            leftovers.remove(self.engine.docker, self.run)
        self._watchdog.dismiss()

    def arms(self, claim_id: str) -> tuple[Image, Image]:
        """Build the bad and the good arm of a claim, side by side, and return them in that order.

        Raises:
            BuildError: a Dockerfile does not build.
            BaseImageError: a base cannot be had.
        """
        self._began.setdefault(claim_id, time.monotonic())
        bad, good = self._build(claim_id, ("bad", "good"))
        return bad, good

    def variants(self, claim_id: str, *names: str) -> tuple[Image, ...]:
        """Build further arms of a claim: those that it shows beside the bad and the good one."""
        self._began.setdefault(claim_id, time.monotonic())
        return self._build(claim_id, names)

    def classic_variant(self, claim_id: str, name: str) -> Image | None:
        """Build an arm by the classic builder, or return None where the engine has none."""
        self._began.setdefault(claim_id, time.monotonic())
        dockerfile = claims.IMAGES / claims.get(claim_id).folder / name / "Dockerfile"
        self._make_ready(bases.roles_in(dockerfile))
        image = self.image_of(claim_id, claims.IMAGES, dockerfile)
        return image if image.build_by_classic_builder() else None

    def package_server(self) -> PackageServer:
        """Return a package server, to be started by `with`; its image is built once.

        Raises:
            BuildError: its image does not build, for want of a network perhaps.
        """
        return PackageServer(self, self.server_images(packages.DOCKERFILE)[0])

    def registry(self) -> Registry:
        """Return a registry without images, to be started by `with`; its own is built once.

        Raises:
            BuildError: its image does not build, for want of a network perhaps.
        """
        return Registry(self, self.server_images(registry.DOCKERFILE)[0])

    def node(self, registry: Registry) -> Node:
        """Return a fresh node that pulls from a registry, to be started by `with`.

        The node's image is built once.

        Raises:
            BuildError: its image does not build, for want of a network perhaps.
        """
        return Node(self, self.server_images(node.DOCKERFILE)[0], registry)

    def server_images(self, *dockerfiles: Path) -> tuple[Image, ...]:
        """Return the images of servers by their Dockerfiles, each built once, new ones together.

        Raises:
            BuildError: one does not build, for want of a network perhaps.
        """
        with self._serving:
            new = [file for file in dockerfiles if file not in self._server_images]
            if new:
                built = self._build_files("servers", claims.IMAGES, new)
                self._server_images.update(zip(new, built, strict=True))
            return tuple(self._server_images[file] for file in dockerfiles)

    def cluster(self) -> Cluster:
        """Return the cluster of this run: the one of all its labs, or else one of this lab's own.

        Raises:
            CouldNotMeasure: there is none; the sentence says what is missing, and how to get it.
        """
        with self._joining:
            if self._cluster is None:
                self._reopen()
                self._cluster = cluster.find(self.engine, self.run)
            return self._cluster

    def namespace(self) -> Namespace:
        """Return a namespace of its own in the cluster, to be made by `with`.

        Raises:
            CouldNotMeasure: there is no cluster.
        """
        return self.cluster().namespace(self.run)

    def manifests(self, claim_id: str, *names: str) -> tuple[Manifest, ...]:
        """Return arms of a claim that are manifests; the images that they name are in the cluster.

        Raises:
            BuildError: an image does not build.
            CouldNotMeasure: there is no cluster, or it does not take the images.
            ProvingError: a manifest is not one, or names an image that is not ours.
        """
        claim = claims.get(claim_id)
        self._began.setdefault(claim_id, time.monotonic())
        taken = [self._taken(claim, name).replace("_", "-") for name in names]
        read = self.manifests_of(*(MANIFESTS / claim.id / f"{name}.yaml" for name in taken))
        files = [manifests.dockerfile_of(image) for one in read for image in one.images]
        roles = (role for file in files for role in bases.roles_in(claims.IMAGES / file))
        self._roles.setdefault(claim_id, set()).update(roles)
        return read

    def manifests_of(self, *files: Path) -> tuple[Manifest, ...]:
        """Return manifests by their files, once the images that they name are in the cluster."""
        read = tuple(manifests.read(file) for file in files)
        self.load_images(*dict.fromkeys(image for one in read for image in one.images))
        return read

    def load_images(self, *names: str) -> None:
        """Build images by the names that manifests have for them, and load them into the cluster.

        Raises:
            BuildError: one does not build.
            CouldNotMeasure: there is no cluster, or it does not take them.
            ProvingError: one is not ours.
        """
        joined = self.cluster()
        with self._loading:
            new = [name for name in names if name not in self._images_of_manifests]
            if new:
                files = [manifests.dockerfile_of(name) for name in new]
                built = self._build_files("manifests", claims.IMAGES, files)
                self._images_of_manifests.update(zip(new, built, strict=True))
            joined.load({name: str(self._images_of_manifests[name].tag) for name in names})

    def wheels_of(self, requirements: Path) -> Path:
        """Return the folder with the wheels that a requirements file needs; see `wheels.ready`.

        Raises:
            ProvingError: a wheel cannot be had.
        """
        with Progress("wheels") as progress:
            return wheels.ready(requirements, self.engine.description.architecture, progress.note)

    def variant(self, claim_id: str, name: str) -> Image:
        """Build one further arm of a claim."""
        return self.variants(claim_id, name)[0]

    def built_with(self, claim_id: str, name: str, arguments: Mapping[str, str]) -> Image:
        """Build an arm of a claim with build arguments of its own.

        It is the arm of this name, also where `teeth` exchanges: what builds it is exchanged then.
        An exercise may build it, too: the claim's seconds count from its arms or their exchange.

        Raises:
            BuildError: it does not build.
            BaseImageError: a base cannot be had.
        """
        file = Path(claims.get(claim_id).folder, name, "Dockerfile")
        return self._build_files(claim_id, claims.IMAGES, [file], arguments)[0]

    def exchange(self, claim_id: str, **arms: Arm) -> dict[str, Arm]:
        """Return the arms of a claim, of which `teeth` has exchanged those that it exchanges.

        This is for arms that are no images: an edit, a way to build.
        """
        claim = claims.get(claim_id)
        self._began.setdefault(claim_id, time.monotonic())
        return {name: arms[self._taken(claim, name)] for name in arms}

    def workspace(self, claim_id: str, arm: str = "") -> Workspace:
        """Return a private copy of an arm's build context, to be edited and built; used by `with`.

        The context of all arms is `images/<claim>/context`, or the folder that the claim's row
        names. A claim whose arms differ by what is done to it has one Dockerfile for all of them.
        """
        claim = claims.get(claim_id)
        self._began.setdefault(claim_id, time.monotonic())
        own = claims.IMAGES / claim.folder
        context = claims.IMAGES / claim.context if claim.context else own / "context"
        folder = own / self._taken(claim, arm).replace("_", "-") if arm else own
        return self.workspace_of(folder, context, key=claim_id)

    def workspace_of(self, folder: Path, context: Path, *, key: str = "") -> Workspace:
        """Return a private copy of a folder with a Dockerfile and of its build context."""
        dockerfile = folder / "Dockerfile"
        if not dockerfile.is_file():
            raise ProvingError(f"There is no Dockerfile in {folder.name}.")
        self._reopen()
        roles = bases.roles_in(dockerfile)
        self._roles.setdefault(key or folder.name, set()).update(roles)
        self._make_ready(roles)
        return Workspace(self, key or folder.name, dockerfile, context)

    def _taken(self, claim: Claim, arm: str) -> str:
        name = arm.replace("-", "_")
        return claim.exchanged(name) if self.exchanged else name

    def _build(self, claim_id: str, names: Sequence[str]) -> tuple[Image, ...]:
        claim = claims.get(claim_id)
        taken = [self._taken(claim, name).replace("_", "-") for name in names]
        files = [Path(claim.folder, name, "Dockerfile") for name in taken]
        for file in files:
            if not (claims.IMAGES / file).is_file():
                raise ProvingError(f"Claim {claim_id} has no arm {file.parent.name!r}.")
        return self._build_files(claim_id, claims.IMAGES, files)

    def _build_files(
        self,
        key: str,
        context: Path,
        files: Sequence[Path],
        arguments: Mapping[str, str] | None = None,
    ) -> tuple[Image, ...]:
        self._reopen()
        roles = list(dict.fromkeys(r for file in files for r in bases.roles_in(context / file)))
        self._roles.setdefault(key, set()).update(roles)
        told = ", ".join(str(file.parent) for file in files if file.parent.name) or context.name
        with Progress(told) as progress:
            self._make_ready(roles, progress.note)
            no_cache = os.environ.get(NO_CACHE_VARIABLE) == "1"
            images = [
                self.image_of(
                    key,
                    context,
                    file,
                    arguments=arguments,
                    no_cache=no_cache,
                    on_line=progress.line,
                )
                for file in files
            ]
            with ThreadPoolExecutor(len(images)) as pool:
                built = tuple(pool.map(_built, images))
            progress.built([step for image in built for step in image.steps])
        return built

    def _make_ready(self, roles: Sequence[str], tell: Say = say) -> None:
        missing = [role for role in roles if role not in self._bases]
        if missing:
            self._bases.update(bases.ready(self.engine, missing, tell))

    def image_of(
        self,
        key: str,
        context: Path,
        dockerfile: Path,
        *,
        arguments: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        provenance: bool = False,
        target: str = "",
        no_cache: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> Image:
        """Return an image of this run that is not built yet, with all bases that are ready."""
        from .image import Image

        with self._counting:
            self._builds += 1
            number = self._builds
        words = re.sub(r"[^a-z0-9]+", "-", f"{key}-{dockerfile.parent.name}".lower()).strip("-")
        return Image(
            self.engine,
            context,
            tag=leftovers.image_name(self.run, f"{words or 'image'}-{number}"),
            dockerfile_path=str(dockerfile),
            bases={role: base.reference for role, base in self._bases.items()},
            arguments=arguments,
            environment={watchdog.BUILD_VARIABLE: self.run},
            hosts=hosts,
            secrets=secrets,
            provenance=provenance,
            target=target,
            no_cache=no_cache,
            on_line=on_line,
        )

    def build(
        self, context: Path, arguments: Mapping[str, str] | None = None, *, key: str = ""
    ) -> Image:
        """Build the Dockerfile of a folder that builds by itself, such as a reader's own.

        It may have build arguments; `key` is the claim that it is built for, where it is for one.
        """
        if not (context / "Dockerfile").is_file():
            raise ProvingError(f"There is no Dockerfile in {context}.")
        name = key or context.name
        return self._build_files(name, context, [Path("Dockerfile")], arguments)[0]

    def start(self, image: Image | str, **arguments: Any) -> Container:
        """Return a container of an image, to be started by `with`.

        The arguments are those of `Container`: `command`, `environment`, `ports`, `restart`,
        `ready` (a regular expression that its log must match), `ready_seconds`, `options`.
        Without ports, and without options that say otherwise, it has no network: it starts sooner,
        and browsers on the same machine are not told that the network has changed.
        """
        from .container import Container

        if not isinstance(image, str):
            arguments.setdefault("called", image.name.removesuffix("/Dockerfile"))
        if not arguments.get("ports"):
            arguments["options"] = {"network_mode": "none", **(arguments.get("options") or {})}

        self._reopen()
        reference = image if isinstance(image, str) else image.id
        return Container(
            self.engine,
            reference,
            helper_image=self.helper_image,
            labels=leftovers.label(self.run),
            **arguments,
        )

    @property
    def helper_image(self) -> str:
        """The reference of a base with a shell, for containers that help to measure others.

        Raises:
            BaseImageError: it cannot be had.
        """
        self._make_ready(["SLIM"])
        return self._bases["SLIM"].reference

    def sleeper(self, **arguments: Any) -> Container:
        """Return a container that has a shell and does nothing, to be started by `with`.

        It holds what others use, such as a volume; the arguments are those of `start`.
        """
        return self.start(self.helper_image, command=["sleep", "infinity"], **arguments)

    @contextmanager
    def own(self, create: Callable[..., Any], **options: Any) -> Iterator[str]:
        """Create a network or a volume of this run by the client's `create`; remove it at the end.

        Yields its name.
        """
        name = f"{leftovers.IMAGES_OF_RUNS}-{self.run}-{uuid.uuid4().hex[:8]}"
        with engine.talking_to(self.engine):
            made = create(name, labels=leftovers.label(self.run), **options)
        try:
            yield name
        finally:
            with engine.talking_to(self.engine):
                made.remove()

    def measure(self, function: Callable[[Arm], Figures], **arms: Arm) -> dict[str, Measured]:
        """Measure all arms at once, each in a thread of its own, and return figures by arm.

        An arm is an image, or whatever else the function measures.

        An arm that cannot be measured does not hide what the others show: it is kept, with its
        reason, and `claim` says so.
        """
        return self.run_together({name: _call(function, arm) for name, arm in arms.items()})

    def measure_in_turn(
        self, function: Callable[[Arm], Figures], **arms: Arm
    ) -> dict[str, Measured]:
        """Measure the arms one after the other; see `measure`.

        This is for what builds at the same time would disturb: their seconds, and on some engines
        the cache itself. Docker 26.1 was seen to miss it for what it had built while another build
        was sending its context.
        """
        return {name: _measured(_call(function, arm)) for name, arm in arms.items()}

    def run_together(self, jobs: Mapping[str, Callable[[], Figures]]) -> dict[str, Measured]:
        """Run the measurements of several arms at once; see `measure`."""
        pool = ThreadPoolExecutor(max(1, len(jobs)))
        futures = {name: pool.submit(_measured, job) for name, job in jobs.items()}
        try:
            wait(futures.values())
        except BaseException:
            leftovers.remove(self.engine.docker, self.run)  # the threads' waits end with it
            raise
        finally:
            pool.shutdown()
        return {name: future.result() for name, future in futures.items()}

    def claim(self, claim_id: str, **arms: Measured) -> None:
        """Judge a claim, display its card with the result as data, and raise where it fails.

        Raises:
            ClaimFailed: it was measured and does not hold.
            CouldNotMeasure: it could not be measured.
        """
        from . import show

        claim = claims.get(claim_id)
        record = self._record(claim, arms)
        recorded = _recorded(self.slug, claim_id)
        bundle = {
            MIME: record,
            "text/html": show.card_html(claim, record, recorded),
            "text/plain": show.card_text(claim, record, recorded),
        }
        _display(bundle)
        if self._is_readers:
            my_progress.note_claim(
                claim_id, record["verdict"], record["environment"]["engine_version"]
            )
        sentence = f"{claim_id} {record['verdict']}. {record['reason']}"
        if record["verdict"] == Verdict.DOES_NOT_HOLD:
            raise ClaimFailed(sentence)
        if record["verdict"] == Verdict.COULD_NOT_BE_MEASURED:
            raise CouldNotMeasure(sentence)

    def _record(self, claim: Claim, arms: Mapping[str, Measured]) -> dict[str, Any]:
        figures: dict[str, dict[str, Value]] = {}
        drawn: dict[str, dict[str, Any]] = {"timelines": {}}
        missing: dict[bool, list[str]] = {}
        for name, measured in arms.items():
            if isinstance(measured, NotMeasured):
                missing.setdefault(measured.applicable, []).append(f"{name}: {measured.reason}")
                continue
            figures[name] = {key: told for key, told in measured.items() if not _is_drawn(told)}
            for key, told in measured.items():
                if _is_drawn(told) and told:
                    drawn.setdefault(_DRAWN.get(key, key), {})[name] = told
        if True in missing:
            judged = claims.Judgement(Verdict.COULD_NOT_BE_MEASURED, " ".join(missing[True]))
        elif missing:
            judged = claims.Judgement(Verdict.NOT_APPLICABLE, " ".join(missing[False]))
        else:
            judged = claims.judge(claim, figures)
        now = time.monotonic()
        return {
            "id": claim.id,
            "verdict": str(judged.verdict),
            "reason": judged.reason,
            "arms": figures,
            "checks": [
                {
                    "sentence": result.sentence,
                    "holds": result.holds,
                    "expected": result.expected,
                    "found": result.found,
                }
                for result in judged.checks
            ],
            "settings": dict(claim.settings),
            **drawn,
            "exchanged": self.exchanged,
            "environment": self._environment(claim.id),
            "measured_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": round(now - self._began.pop(claim.id, now), 1),
        }

    def _environment(self, claim_id: str) -> dict[str, Any]:
        roles = sorted(self._roles.get(claim_id, set()))
        joined = self._cluster if claims.get(claim_id).needs_cluster else None
        return {
            **self.engine.description.as_data(),
            "transfer": archive.CODEC,
            "bases": {role: self._bases[role].as_data() for role in roles},
            **({"cluster": joined.as_data()} if joined else {}),
        }

    def exercise(self, folder: str = "start", exercise: str = "") -> None:
        """Check the reader's turn: build `exercises/NN-name/<folder>`, run it, and answer.

        Without the name of an exercise it is the lab's first one, which bears the lab's name.
        The answer is one of three: pass, a hint, or fail.

        Raises:
            ProvingError: there is no such exercise, or no such folder of it.
        """
        from . import exercises

        exercise = exercise or self.slug
        answer = exercises.check(self, folder, exercise)
        _display(exercises.bundle(answer))
        if self._is_readers and folder != "solution":
            version = self.engine.description.engine_version
            my_progress.note_exercise(exercise, answer.outcome, version)

    @property
    def _is_readers(self) -> bool:
        """Whether a reader works here, and no runner of the labs: only theirs is their progress."""
        return not (self.exchanged or os.environ.get(RUN_VARIABLE))

    def audit(self, image: Image | str, **options: Any) -> None:
        """Audit an image, or one by a name that the engine has or can pull; display the scorecard.

        The options are those of `audit.Options`: how to start it, and how to know that it is up.

        Raises:
            CouldNotMeasure: the engine does not have it, or its archive cannot be read.
        """
        from .audit import in_lab
        from .audit.audit import Options

        self._reopen()
        if isinstance(image, str):
            reference = called = image
        else:
            own = image.name.removesuffix("Dockerfile").rstrip("/")
            reference, called = str(image.tag), own or Path(image.path).name
        with Progress(called) as progress:
            progress.note(f"Auditing {called}: it is read, and run in cages …")
            report = in_lab.audited(self, reference, Options(**options), called=called)
            progress.note(f"Audited {called}.")
        _display(in_lab.bundle(report))


def _built(image: Image) -> Image:
    """Build an image, and once more where BuildKit has lost a step that two builds share.

    A build whose steps or cache are measured is not one of these.
    """
    from .image import lost_a_step

    try:
        return image.build()
    except BuildError as error:
        if not lost_a_step(error.progress):
            raise
        return image.build()


def _is_drawn(value: object) -> bool:
    """Tell what is drawn, a list or a mapping, from a figure, which is one value."""
    return isinstance(value, list | tuple | Mapping)


def _call(function: Callable[[Arm], Figures], arm: Arm) -> Callable[[], Figures]:
    return lambda: function(arm)


def _measured(job: Callable[[], Figures]) -> Measured:
    from docker.errors import APIError

    try:
        return job()
    except NotApplicable as error:
        return NotMeasured(str(error), applicable=False)
    except (CouldNotMeasure, ContainerError, BuildError) as error:
        return NotMeasured(str(error))
    except APIError as error:
        return NotMeasured(f"The engine refused: {error.explanation}.")


def _recorded(slug: str, claim_id: str) -> dict[str, Any] | None:
    """Return the committed result of a claim, to be shown beside the reader's own."""
    from . import recorded

    notebook = LABS / f"{slug}.ipynb"
    if os.environ.get(RUN_VARIABLE) or not notebook.is_file():
        return None
    return dict(recorded.load(notebook).results.get(claim_id) or {}) or None


def _display(bundle: Mapping[str, Any]) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = None
    if get_ipython is None or get_ipython() is None:
        print(bundle["text/plain"])
    else:
        display(dict(bundle), raw=True)
