"""How the documentation is built: Markdown through MyST, nothing fetched from the network."""

project = "Foretell"
author = "Foretell contributors"
copyright = author

extensions = ["myst_parser"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "tools", "picture"]
html_theme = "furo"
html_title = "Foretell"
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []
# Examples show what a terminal prints; a lexer that stumbles over it is no fault of the page.
suppress_warnings = ["misc.highlighting_failure"]
