"""BuildKit's progress is read as facts: which step, from the cache or not, and why it broke."""

import os
import stat
import subprocess
import time
from types import SimpleNamespace

import pytest
from proving import image
from proving.image import (
    Image,
    Step,
    begins_with_nothing,
    failure,
    label_stages,
    parse_steps,
    parse_written,
)

BUILDERS = pytest.mark.parametrize("recording", ["docker-20.10", "docker-26.1", "docker-28.5"])
"""BuildKit 0.8 within the engine, and two releases of buildx (0.13, 0.29)."""


@pytest.mark.parametrize(
    ("recording", "base_cached", "seconds"),
    [
        ("docker-20.10", True, (0.3, 0.0, 0.2)),
        ("docker-26.1", True, (0.5, 0.0, 0.4)),
        ("docker-28.5", False, (0.5, 0.0, 0.9)),
    ],
)
def test_steps_that_ran_have_seconds(answer, recording, base_cached, seconds):
    """Steps come in the order they began, with the seconds that BuildKit gives them."""
    base, *steps = parse_steps(answer(f"{recording}/build-run.txt"))

    assert base.is_base
    assert base.name.startswith("[build 1/2] FROM docker.io/proving-ground/slim:340b138da3cc")
    assert base_cached == base.cached
    assert [
        Step("[build 2/2] RUN echo built > /built", False, seconds[0]),
        Step("[stage-1 2/3] COPY --from=build /built /built", False, seconds[1]),
        Step("[stage-1 3/3] RUN echo one && echo two", False, seconds[2]),
    ] == steps


@BUILDERS
def test_steps_of_a_second_build_come_from_the_cache(answer, recording):
    """A second build of the same files runs nothing; FROM is told apart from instructions."""
    steps = parse_steps(answer(f"{recording}/build-cached.txt"))

    assert [True, True, True] == [step.cached for step in steps if not step.is_base]


@BUILDERS
def test_a_failure_names_the_step_and_its_last_words(answer, recording):
    """A person sees the instruction that broke and what it said last."""
    told = failure(answer(f"{recording}/build-broken.txt"))

    assert told.startswith("The step [3/3] RUN echo the last words && ls /does-not-exist failed:")
    assert "cannot access '/does-not-exist': No such file or directory" in told
    assert "before" not in told


def test_a_failure_before_the_first_step_quotes_the_end():
    """A Dockerfile that cannot be parsed has no step to name."""
    told = failure("#1 [internal] load build definition\nfailed to parse: unknown instruction: FRM")

    assert "stopped before its first step" in told
    assert "unknown instruction: FRM" in told


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        ("FROM scratch\nCOPY a /\n", True),
        ("FROM debian AS build\nRUN make\n\nfrom --platform=linux/amd64 scratch as last\n", True),
        ("FROM scratch AS Root\nCOPY a /\nFROM root\n", True),
        ("FROM scratch AS root\nCOPY a /\nFROM debian\nCOPY --from=root /a /\n", False),
        ("ARG SLIM=debian:13-slim\nFROM ${SLIM}\n# FROM scratch\n", False),
    ],
)
def test_an_image_from_scratch_has_no_base(dockerfile, expected):
    """It is the last stage that counts, and what that stands on."""
    assert expected == begins_with_nothing(dockerfile)


def test_an_image_that_could_not_be_named_is_told_by_its_id():
    """A disk that is full may take the image and not its name."""
    written = f"sha256:{'a' * 64}"
    progress = f"#7 exporting to image\n#7 writing image {written} done\n#7 naming to x\n"

    assert (written,) == parse_written(progress)
    assert () == parse_written("#7 ERROR: no space left on device")


@pytest.fixture
def unbuilt(monkeypatch, tmp_path):
    """Return an image with a secret that is never built, and what its build would be."""
    monkeypatch.setattr(image, "point_testcontainers_at", lambda _engine: None)
    builder = SimpleNamespace(command=lambda *, provenance: ["docker", "build", str(provenance)])
    engine = SimpleNamespace(builder=builder, url="unix:///nowhere")
    monkeypatch.setattr("testcontainers.core.image.DockerClient", lambda **_: None)
    return Image(engine, tmp_path, tag="some:1", secrets={"token": b"hush"}, provenance=True)


def test_a_build_secret_is_in_a_private_file_while_the_build_runs(monkeypatch, unbuilt):
    """Nobody else may read it, the command does not have it, and no failure leaves it behind."""
    seen = []

    def run(command):
        (option,) = [word for word in command if word.startswith("--secret=id=token,src=")]
        file = image.Path(option.partition("src=")[2])
        seen.append((file, file.read_bytes(), stat.S_IMODE(file.stat().st_mode), command))
        raise KeyboardInterrupt

    monkeypatch.setattr(unbuilt, "_run", run)
    with pytest.raises(KeyboardInterrupt):
        unbuilt.build()
    ((file, content, mode, command),) = seen

    assert (b"hush", 0o600) == (content, mode)
    assert not file.parent.exists()
    assert "hush" not in " ".join(command)
    assert ["docker", "build", "True"] == command[:3]


def proxies(unbuilt: Image) -> list[str]:
    """Return the proxies that a build is given, where a kit was loaded."""
    words = unbuilt._command({}, image.Path("Dockerfile"))
    return [word for word in words if "proxy=" in word.lower()]


@pytest.fixture
def kit_proxy(monkeypatch):
    """Have a kit's package cache, and return the build argument that names it."""
    answer = {"http_proxy": "http://kit:3142"}
    monkeypatch.setattr(image.kit_packages, "build_arguments", lambda _engine: answer)
    return "--build-arg=http_proxy=http://kit:3142"


def test_a_build_asks_the_kit_for_packages(unbuilt, kit_proxy):
    """Where one was loaded, and the build is one that the kit has packages of."""
    assert [kit_proxy] == proxies(unbuilt)

    unbuilt.takes_packages_from_kit = False

    assert [] == proxies(unbuilt)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy"])
def test_a_kit_overrides_no_proxy_that_was_asked_for(unbuilt, kit_proxy, name):
    """Whoever names one by a build argument has it."""
    unbuilt._arguments = {name: "http://own"}

    assert [f"--build-arg={name}=http://own"] == proxies(unbuilt)


def test_without_secrets_no_file_is_written(monkeypatch, tmp_path):
    """Most builds have none."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with image._private_files({}) as files:
        assert {} == files


@pytest.mark.parametrize(
    "script", ["sleep 60", "trap '' TERM; while :; do sleep 0.1; done", "sleep 60 & wait"]
)
def test_a_client_that_takes_too_long_is_ended(monkeypatch, script):
    """With what it has started, which holds on to its output; and by force, if it must be."""
    monkeypatch.setattr(image, "ENDING_SECONDS", 0.3)
    began = time.monotonic()
    with (
        subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as process,
        image._ended_after(process, 0.2) as was_ended,
    ):
        process.stdout.read()

    assert was_ended.is_set()
    assert process.returncode != 0
    assert time.monotonic() - began < 20


def test_a_client_that_is_in_time_is_left_alone():
    """And one without a limit as well."""
    for seconds in (30.0, None):
        with (
            subprocess.Popen(["true"], stdout=subprocess.PIPE, text=True) as process,
            image._ended_after(process, seconds) as was_ended,
        ):
            process.stdout.read()

        assert not was_ended.is_set()
        assert process.returncode == 0


def test_every_stage_gets_the_labels():
    """As its first instruction, whatever the FROM looks like; nothing else is touched."""
    dockerfile = (
        "ARG SLIM=debian\nFROM ${SLIM} AS build\n\nRUN echo FROM here\n"
        "from --platform=linux/amd64 scratch\nCOPY --from=build /a /a\n"
    )
    lines = [line for line in label_stages(dockerfile, {"run": "1"}).splitlines() if line]

    assert [
        "ARG SLIM=debian",
        "FROM ${SLIM} AS build",
        'LABEL run="1"',
        "RUN echo FROM here",
        "from --platform=linux/amd64 scratch",
        'LABEL run="1"',
        "COPY --from=build /a /a",
    ] == lines


class TestStamped:
    """The copy of a Dockerfile that is built."""

    def test_equal_length_and_time_do_not_make_equal_files(self, tmp_path):
        """As in a clone, which writes many files at one time."""
        stamps = {}
        for name in ("bad", "good"):
            file = tmp_path / name / "Dockerfile"
            file.parent.mkdir()
            file.write_text(f"FROM {name:>4}\n")
            os.utime(file, ns=(1, 1))
            for _ in range(2):
                with image._stamped(file) as copy:
                    assert file.read_text() == copy.read_text()
                    stamps.setdefault(name, set()).add(copy.stat().st_mtime_ns)
                assert not copy.exists()

        assert 1 == len(stamps["bad"]) == len(stamps["good"])
        assert stamps["bad"] != stamps["good"]

    def test_its_own_list_of_what_is_ignored_goes_with_it(self, tmp_path):
        """BuildKit looks for it beside the Dockerfile."""
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")
        (tmp_path / "Dockerfile.dockerignore").write_text("secret\n")

        with image._stamped(tmp_path / "Dockerfile") as copy:
            assert "secret\n" == copy.with_name("Dockerfile.dockerignore").read_text()

    def test_a_dockerfile_that_is_missing_is_the_builders_news(self, tmp_path):
        """It says so in its own words."""
        with image._stamped(tmp_path / "Dockerfile") as copy:
            assert not copy.exists()
