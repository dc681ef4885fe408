"""How the site is built: `make docs`."""

import re
from importlib.metadata import version as installed
from typing import Any

project = "celery-rs"
copyright = "the celery-rs authors"  # noqa: A001 - Sphinx's own name
version = release = installed("celery-rs")
language = "en"

extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"celery-rs {release}"
html_copy_source = False
html_show_sphinx = False

# What is copied is what is typed, not what is printed.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

_FENCE = re.compile(r"^```(\w+)((?: \w+=\S+)+)$", re.MULTILINE)


def _captioned(app: Any, page: str, source: list[str]) -> None:
    """Show what the blocks of a page say besides their language: which file they are (tests/docs/pages.py)."""
    source[0] = _FENCE.sub(_caption, source[0])


def _caption(fence: "re.Match[str]") -> str:
    words = dict(word.split("=", 1) for word in fence[2].split())
    caption = words.get("title") or words.get("append")
    return f"```{{code-block}} {fence[1]}\n:caption: {caption}\n" if caption else f"```{fence[1]}"


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("source-read", _captioned)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
