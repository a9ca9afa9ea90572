"""The README quotes recorded figures, and says the same commands as the site."""

import pytest
from proving import readme, recorded
from proving.errors import ClaimsFileError
from proving.paths import LABS, ROOT


def test_figures_are_the_recorded_ones():
    """A figure of the README that no run has given would be typed by hand."""
    text = readme.README.read_text(encoding="utf-8")
    results = recorded.results(recorded.load_all(LABS).values())

    assert readme.quoted(text, results) == text


def test_a_figure_that_nobody_measured_is_an_error():
    """A slip in a name does not stay unnoticed."""
    with pytest.raises(ClaimsFileError):
        readme.quoted("<!-- P1.bad.stop_minutes -->0.2<!-- / -->", {})


def test_readme_and_site_give_the_same_commands():
    """The two commands are the same words in the README and on the front page."""
    shared = (ROOT / "guide" / "two-commands.inc").read_text(encoding="utf-8").strip()

    assert shared in readme.README.read_text(encoding="utf-8")
