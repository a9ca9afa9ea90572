"""Chapter 4's second exercise: what layers have twice, and what the next release has new."""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import pytest
from exercised import answer, mend, on_engine
from proving.archive import Changeset, Entry
from proving.exercises import Outcome
from proving.layers import describe
from proving.paths import LABS

CHAPTER, EXERCISE = "04-layer-size", "04-daily-release"
CHECK = runpy.run_path(str(LABS / "exercises" / EXERCISE / "check.py"))

YEAR, ARCHIVE = "srv/readings/readings.csv", "tmp/2025.csv.gz"

IN_STEPS = (
    "COPY . .\n"
    "RUN python fetch.py /tmp/2025.csv.gz\n"
    "RUN mkdir /srv/readings && gunzip -c /tmp/2025.csv.gz > /srv/readings/readings.csv\n"
    "RUN rm /tmp/2025.csv.gz\n"
    "# every release has the readings of its day\n"
    "RUN cat today.csv >> /srv/readings/readings.csv\n"
    "# the server corrects readings where they lie\n"
    "RUN chown -R station /srv/readings\n"
)
IN_ONE = (
    "COPY . .\n"
    "RUN python fetch.py /tmp/2025.csv.gz \\\n"
    " && mkdir /srv/readings \\\n"
    " && gunzip -c /tmp/2025.csv.gz > /srv/readings/readings.csv \\\n"
    " && rm /tmp/2025.csv.gz \\\n"
    " && cat today.csv >> /srv/readings/readings.csv \\\n"
    " && chown -R station /srv/readings\n"
)


def stacked(*layers, whiteouts=()):
    """Return the contents of layers on an empty base, and the layers: the last has whiteouts."""
    stack = [
        Changeset(
            diff_id=f"sha256:{number}",
            transfer_bytes=sum(layer.values()) // 10,
            entries={path: Entry(size) for path, size in layer.items()},
            whiteouts=frozenset(whiteouts) if number == len(layers) - 1 else frozenset(),
        )
        for number, layer in enumerate(layers)
    ]
    return describe(stack, [f"RUN step {number}" for number in range(len(stack))], 0), stack


class TestWithoutAnEngine:
    """What is said of what was found."""

    def test_a_file_in_several_layers_is_told_with_all_of_them(self):
        """The reader sees who wrote it first, and who touched it."""
        contents, stack = stacked({YEAR: 9_000_000, ARCHIVE: 20}, {YEAR: 9_000_100}, {"a": 1})
        told = CHECK["most_wasted"](contents.added, stack, contents.files)

        assert f"/{YEAR}, of 9 MB, is in 2 layers" in told
        assert "`RUN step 0`, `RUN step 1`." in told

    def test_a_file_that_is_removed_is_told_as_that(self):
        """No container sees it, and one layer has it."""
        contents, stack = stacked({ARCHIVE: 1_500_000, YEAR: 9_000_000}, {}, whiteouts=[ARCHIVE])
        told = CHECK["most_wasted"](contents.added, stack, contents.files)

        assert told.startswith(f"/{ARCHIVE}, of 1.5 MB, came with `RUN step 0`, and a later layer")

    def test_what_the_server_does_not_read_is_told(self):
        """An archive that is not removed is not in vain by its layers, and nobody reads it."""
        contents, stack = stacked({YEAR: 9_000_000, ARCHIVE: 1_500_000, "app/app.py": 900})
        told = CHECK["largest_other"](stack, contents.files)

        assert told.startswith("The largest file of that is /tmp/2025.csv.gz, of 1.5 MB.")

    def test_a_year_in_each_release_gets_a_hint(self):
        """The figures are those of a node that has today's image, and of one that has not."""
        today, _ = stacked({YEAR: 9_000_000})
        tomorrow, _ = stacked({"app/app.py": 900}, {YEAR: 9_000_100})
        found = CHECK["judge_release"](today, tomorrow)

        assert Outcome.HINT == found.outcome
        assert "that has today's image downloads 900 kB" in found.sentence
        assert "that had only its base 900 kB" in found.sentence
        assert "with `RUN step 1`" in found.sentence

    def test_a_release_of_a_day_passes(self):
        """The layer of the year has kept its digest."""
        today, _ = stacked({YEAR: 9_000_000})
        tomorrow, _ = stacked({YEAR: 9_000_000}, {"srv/readings/today.csv": 300})
        found = CHECK["judge_release"](today, tomorrow)

        assert Outcome.PASSED == found.outcome
        assert found.sentence.endswith("For the next release it downloads 30 B.")

    @pytest.mark.parametrize(
        ("status", "output", "told"),
        [
            (0, b"10001\n", ""),
            (0, b"0\n", "The server runs as root"),
            (0, b"10001\n/srv/readings/of today.csv\n", "cannot write to /srv/readings/of today."),
            (127, b'exec failed: "sh": not found\n', 'status 127 and said \'exec failed: "sh":'),
            (1, b"10001\nfind: /srv/readings: no\n", "status 1 and said 'find: /srv/readings: no'"),
            (0, b"", "could not be seen"),
        ],
    )
    def test_what_the_server_may_do_is_judged_by_a_look_that_went_well(self, status, output, told):
        """One that did not is told with its last words, and is no user and no file."""
        found = CHECK["_not_allowed"](SimpleNamespace(exec=lambda _: (status, output)))

        assert told in found
        assert bool(told) == bool(found)

    def test_other_readings_are_told(self, tmp_path):
        """Without a build: a year of fewer hours would be smaller, and was not asked for."""
        for name in ("app.py", "today.csv"):
            (tmp_path / name).write_text((CHECK["OWN"] / name).read_text("utf-8"), "utf-8")
        (tmp_path / "fetch.py").write_text("HOURS = 24\n", "utf-8")
        found = CHECK["check_folder"](SimpleNamespace(), tmp_path)

        assert Outcome.FAILED == found.outcome
        assert found.sentence.startswith("fetch.py must stay")


@on_engine
def test_the_start_gets_a_hint():
    """The year's readings are in three layers, and the answer names them."""
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome
    assert f"/{YEAR}, of 11.4 MB, is in 3 layers" in found.sentence
    assert "`RUN cat today.csv" in found.sentence
    assert "`RUN chown -R station" in found.sentence


@on_engine
def test_the_solution_passes():
    """Nothing is there twice, and the next release is small."""
    assert Outcome.PASSED == answer(CHAPTER, "solution", EXERCISE).outcome


@on_engine
def test_everything_in_one_run_moves_the_bytes(turns):
    """No layer has anything in vain, and each release has the year again."""
    mend(turns / EXERCISE / "start" / "Dockerfile", (IN_STEPS, IN_ONE))
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome
    assert "a node that has today's image downloads" in found.sentence
    assert "`RUN python fetch.py" in found.sentence


@on_engine
def test_an_archive_that_stays_gets_a_hint(turns):
    """Removed by nobody, it is not hidden, and is carried all the same."""
    mend(turns / EXERCISE / "solution" / "Dockerfile", (" && rm /tmp/2025.csv.gz \\\n", ""))
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.HINT == found.outcome
    assert "/tmp/2025.csv.gz, of 1.49 MB. Who reads it" in found.sentence


@on_engine
def test_a_server_that_may_do_less_is_no_solution(turns):
    """Readings that are root's are in no layer twice, and nobody can correct them."""
    mend(
        turns / EXERCISE / "solution" / "Dockerfile",
        (" \\\n && chown -R station /srv/readings", ""),
        ("COPY --chown=station", "COPY"),
    )
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.FAILED == found.outcome
    assert "cannot write" in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """A stage for the year, run for each release: of the same files, COPY makes no new layer."""
    mend(
        turns / EXERCISE / "start" / "Dockerfile",
        ("FROM ${PYTHON}\n", "FROM ${PYTHON} AS year\n"),
        ("RUN useradd --system station\nWORKDIR /app\n", "WORKDIR /app\n"),
        ("RUN rm /tmp/2025.csv.gz\n", ""),
        (
            "# every release has the readings of its day\n"
            "RUN cat today.csv >> /srv/readings/readings.csv\n"
            "# the server corrects readings where they lie\n"
            "RUN chown -R station /srv/readings\n",
            "\nFROM ${PYTHON}\nRUN useradd --system station\nWORKDIR /app\n"
            "COPY --from=year --chown=station /srv/readings /srv/readings\n"
            "COPY --chown=station today.csv /srv/readings/today.csv\nCOPY app.py .\n",
        ),
    )

    assert Outcome.PASSED == answer(CHAPTER, "start", EXERCISE).outcome
