"""How Sphinx builds the pages: ``make docs``."""

from mascot_jax import __version__

project = "mascot-jax"
author = "The mascot-jax developers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = False
napoleon_use_ivar = True  # a class's attributes are listed once, not documented twice
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"mascot-jax {release}"
html_show_copyright = False
