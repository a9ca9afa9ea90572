"""The site, for Sphinx: `sphinx-build -n -W --keep-going -b html . _build/html`."""

import sys
from pathlib import Path

from docutils.nodes import reference
from notfound.utils import replace_uris

sys.path.insert(0, str(Path(__file__).parent / "labs"))

# jsonschema, which reads notebooks for MyST-NB, would import this optional parser of IRIs. No
# notebook has one, and the parser's 39 grammars take more than a second of every build.
sys.modules["rfc3987_syntax"] = None

# -- Project -----------------------------------------------------------------

project = "Proving Ground"
author = "The contributors to Proving Ground"
project_copyright = "the contributors to Proving Ground"
language = "en"

# -- Sources -----------------------------------------------------------------

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "notfound.extension",
    "proving.site",
]
include_patterns = ["index.md", "404.md", "chapters/*.md", "guide/*.md", "labs/*.ipynb"]
exclude_patterns = ["_build", "work", ".*", "labs/proving", "labs/images", "labs/exercises"]
exclude_patterns += ["labs/my-progress.ipynb"]  # it shows what only a reader's own machine has

# -- Notebooks and MyST ------------------------------------------------------

nb_execution_mode = "off"  # a lab is executed by `nox -s record`, never by the site
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = [
    "mystnb.unknown_mime_type",  # a result as data stands beside its HTML, which is shown
]

# -- References --------------------------------------------------------------

nitpicky = True

# -- HTML --------------------------------------------------------------------

html_theme = "furo"
html_title = "Proving Ground"
html_static_path = ["_static"]
html_css_files = ["proving.css"]
html_js_files = [("proving.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_logo": "favicon.svg",
    "dark_logo": "favicon.svg",
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#0b6178",
        "color-brand-content": "#0b6178",
        "color-brand-visited": "#5b4b8a",
        "color-api-name": "#0b6178",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc8dd",
        "color-brand-content": "#7cc8dd",
        "color-brand-visited": "#b8a9e8",
        "color-api-name": "#7cc8dd",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

copybutton_exclude = ".linenos, .gp, .go"

# The local server answers from below this path; elsewhere: `-D notfound_urls_prefix=/`.
notfound_urls_prefix = "/site/"


def setup(app):
    """Let the links of that page lead somewhere from any depth, as its style sheets do."""

    def absolute(app, doctree, page):
        if page == app.config.notfound_pagename:
            replace_uris(app, doctree, reference, "refuri")

    app.connect("doctree-resolved", absolute)
