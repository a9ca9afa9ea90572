"""BuildKit's progress is read as facts: which step, from the cache or not, and why it broke."""

import pytest
from proving.image import Step, begins_with_nothing, failure, parse_steps, parse_written

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
