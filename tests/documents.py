"""What is written for people: the README, and the pages of `docs/` that it leads to."""

import re
from typing import Final

from tests.conftest import ROOT

README: Final = (ROOT / "README.md").read_text()
OPERATIONS: Final = (ROOT / "docs" / "operations.md").read_text()
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
"""Each document's text, by its path from the root."""


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as they are made from their words where the documents are read."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
