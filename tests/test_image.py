"""BuildKit's progress is read as facts: which step, from the cache or not, and why it broke."""

from proving.image import Step, failure, parse_steps


def test_steps_that_ran_have_seconds(answer):
    """Steps come in the order they began, with the seconds that BuildKit gives them."""
    steps = parse_steps(answer("docker-20.10/build-run.txt"))

    assert [
        Step("[build 1/2] FROM docker.io/proving-ground/slim:340b138da3cc", True, 0.0),
        Step("[build 2/2] RUN echo built > /built", False, 0.3),
        Step("[stage-1 2/3] COPY --from=build /built /built", False, 0.0),
        Step("[stage-1 3/3] RUN echo one && echo two", False, 0.2),
    ] == list(steps)


def test_steps_of_a_second_build_come_from_the_cache(answer):
    """A second build of the same files runs nothing; FROM is told apart from instructions."""
    steps = parse_steps(answer("docker-20.10/build-cached.txt"))

    assert [True, True, True] == [step.cached for step in steps if not step.is_base]


def test_a_failure_names_the_step_and_its_last_words(answer):
    """A person sees the instruction that broke and what it said last."""
    told = failure(answer("docker-20.10/build-broken.txt"))

    assert told.startswith("The step [3/3] RUN echo the last words && ls /does-not-exist failed:")
    assert "cannot access '/does-not-exist': No such file or directory" in told
    assert "before" not in told


def test_a_failure_before_the_first_step_quotes_the_end():
    """A Dockerfile that cannot be parsed has no step to name."""
    told = failure("#1 [internal] load build definition\nfailed to parse: unknown instruction: FRM")

    assert "stopped before its first step" in told
    assert "unknown instruction: FRM" in told
