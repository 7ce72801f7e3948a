"""The documentation: the README, the other pages in the root folder, and the pages in `docs/`."""

import re
from typing import Final

from tests.conftest import ROOT

README: Final = (ROOT / "README.md").read_text()
DOCS: Final = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
"""The text of each page of `docs/`, by file name."""
PAGES: Final = {
    **{path.name: path.read_text() for path in sorted(ROOT.glob("*.md"))},
    **{f"docs/{name}": text for name, text in DOCS.items()},
}
"""The text of each page, by its path from the root."""


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, made from their words as on GitHub."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
