"""Settings of the documentation; `generate.py` beside this file writes what is taken from the code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate

from nuemstat import __version__

project = "nuemstat"
author = "The nuemstat developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "mathtext"]
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathtext"
html_theme = "furo"
html_title = f"nuemstat {__version__}"
html_theme_options = {"navigation_with_keys": True}
exclude_patterns = ["_build", "README.md"]
suppress_warnings = ["myst.header"]  # pages written by exporters start where they like
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
smartquotes = False  # options of commands keep their two hyphens

generate.write(Path(__file__).resolve().parent / "generated")
