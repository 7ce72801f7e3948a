"""What is written for people: the README, the pages beside it and those of `docs/`."""

import re
from typing import Final

from tests.conftest import ROOT

README: Final = (ROOT / "README.md").read_text()
DOCS: Final = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
"""The text of each page of `docs/`, by the name of its file."""
PAGES: Final = {
    **{path.name: path.read_text() for path in sorted(ROOT.glob("*.md"))},
    **{f"docs/{name}": text for name, text in DOCS.items()},
}
"""Each document's text, by its path from the root."""


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as they are made from their words where the documents are read."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
