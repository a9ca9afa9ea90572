"""Chapter 3's second exercise: what builds ask a repository for that has moved on."""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import pytest
from exercised import answer, mend, on_engine
from proving.buildcache import Record
from proving.errors import BuildError
from proving.exercises import Outcome
from proving.packages import Request
from proving.paths import LABS

CHAPTER, EXERCISE = "03-layers-and-cache", "03-moving-repository"
CHECK = runpy.run_path(str(LABS / "exercises" / EXERCISE / "check.py"))

STALE = (
    "RUN apt-get update\n"
    "WORKDIR /app\n"
    "COPY packages.txt .\n"
    "RUN xargs -a packages.txt apt-get install -y --no-install-recommends\n"
    "RUN rm -rf /var/lib/apt/lists/*\n"
)
ONE_RUN = (
    "WORKDIR /app\n"
    "COPY packages.txt .\n"
    "RUN apt-get update \\\n"
    " && xargs -a packages.txt apt-get install -y --no-install-recommends \\\n"
    " && rm -rf /var/lib/apt/lists/*\n"
)
MOUNTED = ONE_RUN.replace("RUN ", "RUN --mount=type=cache,target=/var/cache/apt \\\n ")
CLEANED_UP = "RUN rm -f /etc/apt/apt.conf.d/docker-clean\n"


def judged(*again, kept_bytes=0, lists_bytes=0, mounts=()):
    """Judge a last build, of three packages at most, by what was found of it."""
    requests = tuple(Request(f"/debian/{name}_2.0_all.deb", 200, 300_500) for name in again)
    return CHECK["judge"](CHECK["Found"](requests, len(again) + 1, kept_bytes, lists_bytes, mounts))


class TestWithoutAnEngine:
    """What is said of what was found."""

    def test_downloads_that_are_nowhere_get_a_hint(self):
        """The names and the bytes of what was downloaded before."""
        found = judged("greeting", "farewell")

        assert Outcome.HINT == found.outcome
        assert "3 packages were downloaded; greeting and farewell (601 kB)" in found.sentence
        assert "without a layer" in found.sentence

    def test_a_mount_that_stays_empty_is_told(self):
        """Of the base's file the hint asks where a mount is, and no earlier."""
        mount = Record("1", (), "exec.cachemount", "cached mount /var/cache/apt", False, 4_096)
        found = judged("greeting", mounts=(mount,))

        assert "it holds 4.1 kB, where a package has 300 kB" in found.sentence
        assert "/etc/apt/apt.conf.d" in found.sentence

    def test_downloads_in_the_image_are_told(self):
        """They are kept where the next RUN does not see them, or beside a place where it does."""
        for found in (judged("greeting", kept_bytes=601_000), judged(kept_bytes=601_000)):
            assert Outcome.HINT == found.outcome
            assert "601 kB" in found.sentence
            assert "/var/cache/apt/archives" in found.sentence

    def test_lists_in_the_image_are_told(self):
        """All else is well, and the downloads lie in a mount."""
        found = judged(lists_bytes=1_400)

        assert Outcome.HINT == found.outcome
        assert "1.4 kB of package lists" in found.sentence

    def test_nothing_again_and_nothing_left_passes(self):
        """One package is new."""
        found = judged()

        assert Outcome.PASSED == found.outcome
        assert "downloads 1 package and none" in found.sentence

    def test_a_build_that_ends_for_another_reason_is_told_as_that(self):
        """Where nothing came from the cache, or apt complained of nothing, nothing is stale."""
        for progress in ("#5 [2/3] RUN false\n", "#5 [2/3] RUN apt-get update\n#5 CACHED\n"):
            error = BuildError("The step RUN false failed.", progress=progress)
            with pytest.raises(BuildError, match="RUN false failed"):
                CHECK["_stale"](error)

    def test_another_list_is_told(self, tmp_path):
        """The check writes lists of its own, and builds nothing of another exercise."""
        for name in ("board.sh", "packages.sources"):
            (tmp_path / name).write_text((CHECK["OWN"] / name).read_text("utf-8"), "utf-8")
        found = CHECK["check_folder"](SimpleNamespace(), tmp_path)

        assert Outcome.FAILED == found.outcome
        assert found.sentence.startswith("packages.txt must stay")


@on_engine
def test_the_start_fails_with_its_reason():
    """Its lists are those of the time before: the answer has apt's words, and the cached steps."""
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.FAILED == found.outcome
    assert "Version '2.0' for 'greeting' was not found" in found.sentence
    assert "RUN apt-get update`" in found.sentence


@on_engine
def test_the_solution_passes():
    """The lists are new, and of three packages one is downloaded."""
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.PASSED == found.outcome
    assert "downloads 1 package" in found.sentence


@on_engine
def test_one_run_is_half_a_solution(turns):
    """It builds, and downloads all again; with a mount alone as well, since it stays empty."""
    dockerfile = turns / EXERCISE / "start" / "Dockerfile"
    mend(dockerfile, (STALE, ONE_RUN))
    bare = answer(CHAPTER, "start", EXERCISE)
    mend(dockerfile, (ONE_RUN, MOUNTED))
    mounted = answer(CHAPTER, "start", EXERCISE)

    assert [Outcome.HINT, Outcome.HINT] == [bare.outcome, mounted.outcome]
    assert "3 packages were downloaded; farewell and greeting" in bare.sentence
    assert "without a layer" in bare.sentence
    assert "There is a cache mount" in mounted.sentence


@on_engine
def test_downloads_in_a_layer_get_a_hint(turns):
    """apt keeps them, and the next build does not have them."""
    dockerfile = turns / EXERCISE / "start" / "Dockerfile"
    mend(dockerfile, (STALE, CLEANED_UP + ONE_RUN))
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome
    assert "Packages are kept" in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """One mount, for the downloads; they are kept by an option, at a place of their own."""
    dockerfile = turns / EXERCISE / "start" / "Dockerfile"
    mend(
        dockerfile,
        (
            STALE,
            "WORKDIR /app\n"
            "COPY packages.txt board.sh ./\n"
            "RUN --mount=type=cache,target=/downloads,sharing=locked \\\n"
            "    mkdir -p /downloads/partial \\\n"
            " && apt-get update \\\n"
            " && xargs -a packages.txt apt-get install -y -o Dir::Cache::archives=/downloads \\\n"
            " && rm -rf /var/lib/apt/lists/*\n",
        ),
        ("COPY board.sh .\n", ""),
    )

    assert Outcome.PASSED == answer(CHAPTER, "start", EXERCISE).outcome
