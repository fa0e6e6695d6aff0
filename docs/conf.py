"""Settings of the documentation; the pages of commands and of the public names are written here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from _pages import write_commands, write_reference

from nanospine.version import __version__

project = "nanospine"
author = "The nanospine developers"
copyright = "The nanospine developers"
version = release = __version__

extensions = [
    "_mathml",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "tutorials", "auto_tutorials/*.ipynb", "**/sg_execution_times*"]
html_math_renderer = "mathml"
smartquotes = False
html_theme = "furo"
html_title = f"nanospine {__version__}"
nitpicky = False
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False

sphinx_gallery_conf = {
    "examples_dirs": ["tutorials"],
    "gallery_dirs": ["auto_tutorials"],
    "filename_pattern": r"/tutorial_",
    "ignore_pattern": r"__init__|_pages",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ["_gallery.png_scraper"],
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "write_computation_times": False,
}


def plain_bars(*given: Any) -> None:
    """Bars in docstrings are absolute values, not the substitutions of reStructuredText."""
    lines: list[str] = given[-1]
    in_math = False
    for number, line in enumerate(lines):
        if line.startswith(".. math"):
            in_math = True
        elif line and not line.startswith(" "):
            in_math = False
        if "|" in line and not in_math and ":math:" not in line and ">>>" not in line:
            lines[number] = line.replace("|", "\\|")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", plain_bars)


write_commands(HERE / "commands")
write_reference(HERE / "reference")
