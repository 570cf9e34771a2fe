"""How Sphinx builds the pages: ``make docs``."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring

from mascot_jax import __version__

project = "mascot-jax"
author = "The mascot-jax developers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"mascot-jax {release}"
html_show_copyright = False

# Attributes of a class stay one list; what is returned stays one line.
NUMPY_STYLE = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)


def to_rst(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Translate a docstring; not that of an attribute, which is plain text.

    The extension napoleon would take what stands before a colon there for a type.
    """
    if what not in ("attribute", "property"):
        lines[:] = NumpyDocstring(lines, NUMPY_STYLE, app, what, name, thing, options).lines()


def setup(app: Sphinx) -> None:
    """Have docstrings translated."""
    app.connect("autodoc-process-docstring", to_rst)
