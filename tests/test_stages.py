"""What chapter 5 reads of images and of builds, without an engine."""

from types import SimpleNamespace

import pytest
from proving import stages

BUILDKIT = """\
#1 [internal] load build definition from Dockerfile
#6 [dependencies 3/3] RUN printf 'ran %s\\n' dependencies
#6 0.312 ran dependencies
#6 DONE 0.4s
#7 [assets 1/1] RUN printf 'ran %s\\n' assets && tr a-z A-Z < /words.txt > /assets.txt
#7 0.287 ran assets
#7 DONE 0.3s
#9 [release 3/3] RUN printf 'ran %s\\n' release
#9 CACHED
"""
CLASSIC = """\
Step 4/19 : RUN printf 'ran %s\\n' dependencies
 ---> Running in 9f86d081884c
ran dependencies
 ---> 60303ae22b99
Step 7/19 : RUN printf 'ran %s\\n' test && grep -q stage /words.txt
 ---> Using cache
 ---> fd61a03af4f7
"""


@pytest.mark.parametrize(
    ("progress", "ran"),
    [(BUILDKIT, ("dependencies", "assets")), (CLASSIC, ("dependencies",)), ("", ())],
)
def test_a_stage_has_run_that_has_printed_its_line(progress, ran):
    """The instruction that prints it is no such line, and one from the cache prints nothing."""
    assert ran == stages.stages_run(progress)


def test_the_parts_of_an_image_are_all_of_it():
    """What is neither of the base nor in the application's folder came with the toolchain."""
    contents = SimpleNamespace(
        files={"app/mean.c": 30, "app/mean.h": 5, "app/server": 700, "usr/bin/gcc": 9000},
        unpacked_bytes=20_000,
        added_unpacked_bytes=12_000,
    )
    found = stages.parts(contents)

    assert {
        "base": 8000,
        "toolchain": 11_265,
        "sources": 35,
        "application": 700,
    } == {part["name"]: part["unpacked_bytes"] for part in found}
    assert contents.unpacked_bytes == sum(part["unpacked_bytes"] for part in found)
