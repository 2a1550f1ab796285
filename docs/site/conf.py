"""Settings of the documentation site: `make site` builds it, with warnings as errors.

The source folder is the repository, so that links between pages are the same here and in the
files. What docstrings, table declarations and the command say of themselves becomes pages in
docs/reference, which are written before each build (pages/) and not committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import pages
from pages import docstrings, links
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from flowbench import __version__

project = "flowbench"
version = release = __version__
project_copyright = ""

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/**.ipynb",
    "benchmarks/*.md",
    "data/winterday/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "THIRD_PARTY.md",
]
exclude_patterns = [".*", "build", "flowbench", "tests", "docs/site", "**/.ipynb_checkpoints"]

# Notebooks are shown, not run: `make gallery` runs them.
nb_execution_mode = "off"
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # sections of notebooks and included parts begin at any level
highlight_language = "none"

# Docstrings are of Google's form; signatures are written as in the source.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [
    ("Edge attributes", "params_style"),
    ("Node attributes", "params_style"),
]
python_maximum_signature_line_length = 80

html_theme = "pydata_sphinx_theme"
html_title = "flowbench"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
smartquotes_action = "D"  # dashes between a parameter and its meaning; quotes stay
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page opened from a file cannot read other files
html_additional_pages = {"index": "redirect.html"}
templates_path = ["templates"]
html_sidebars: dict[str, list[str]] = {"docs/index": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "footer_start": [],
    "footer_end": [],
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}


def keep_columns(*args: object) -> None:
    """Pass on the lines of a docstring, the last of autodoc's arguments."""
    docstrings.keep_columns(args[-1])  # type: ignore[arg-type]


def setup(app: Sphinx) -> None:
    """Write the pages that are made from the code before the files are listed."""
    app.connect("builder-inited", lambda _: pages.write_all(ROOT))
    app.connect("doctree-resolved", links.link_commands)
    app.connect("autodoc-process-docstring", keep_columns, priority=400)  # before napoleon
    app.add_lexer("csv", TextLexer)  # pages show data as CSV
