"""Build these documents as a site: `sh scripts/docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from make_docs import GENERATED, at_home, write_generated  # noqa: E402

from unmask._version import __version__  # noqa: E402

project, release, version = "unmask", __version__, __version__
copyright = "the unmask authors"  # noqa: A001 - Sphinx's name
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"unmask {__version__}"
html_show_sphinx = False
smartquotes = False  # two hyphens begin an option
exclude_patterns = ["_build"]
nitpicky = False  # names of numpy and the like lead to sites that a build without network cannot ask

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
suppress_warnings = ["misc.highlighting_failure"]
linkcheck_timeout = 20

write_generated(HERE / GENERATED)


def setup(app):
    """Let links that leave the folder of documents lead to the copies that the site has."""

    def read(_, name, source):
        source[0] = at_home(source[0], name)

    app.connect("source-read", read)
