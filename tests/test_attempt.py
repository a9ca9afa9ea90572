"""What an engine says of a program that it cannot execute, in the same words everywhere."""

import pytest
from proving.attempt import Attempt


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (Attempt(0, "hello\n"), "none"),
        (
            Attempt(
                1,
                "standard_init_linux.go:228: exec user process caused: no such file or directory\n",
            ),
            "no such file or directory",
        ),
        (Attempt(255, "exec /hello.sh: no such file or directory\n"), "no such file or directory"),
        (
            Attempt(127, "", 'exec: "sh": executable file not found in $PATH: unknown'),
            "executable file not found",
        ),
    ],
)
def test_the_reason_is_the_same_wherever_it_is_told(attempt, expected):
    """In the output of the container, or as the engine's refusal."""
    assert expected == attempt.reason
