"""Pages, messages and docstrings avoid phrases that are stiff or unusual in technical English."""

import ast
import re

from tests.conftest import ROOT
from tests.documents import PAGES

PHRASES = {
    r"(?:is|are|was|were) no [a-z]+ (?:that|which|who)": "it is no key that balcli knows",
    r"lest": "lest it be lost",
    r"whom?(?:so)?ever": "whoever reads it",
    r"for whom": "for whom it is",
    r"of which": "the name of which",
    r"(?:in|of|by) whose": "in whose folder",
    r"(?:is|are|was|were|be|been) (?:told|asked)": "the host is asked",
    r"as (?:it|they) (?:was|were|stands?)": "as it was sent",
    r"stands? (?:for|beside|there|below|behind)": "what it stands for",
    r"beside": "beside the profile",
    r"wholly": "it fails wholly",
    r"all the same": "it is shown all the same",
    r"in vain": "waits in vain",
    r"anew": "read anew",
    r"to be had": "not to be had",
    r"neither of them": "neither of them holds",
    r"where that is": "where that is wanted",
}
"""Patterns of whole words, each with a phrase that it finds."""


def found(pattern: str, text: str) -> list[str]:
    """The places in a text at which a pattern matches, with a few words around them."""
    return [each[0] for each in re.finditer(rf"(?i).{{0,30}}\b(?:{pattern})\b.{{0,30}}", text)]


def prose(page: str) -> str:
    """A page without its blocks of code and the names in backquotes."""
    return re.sub(r"`[^`\n]+`", "``", re.sub(r"(?ms)^```.*?^```", "", page))


def strings(source: str) -> str:
    """The strings of a module, its docstrings among them."""
    nodes = ast.walk(ast.parse(source))
    return "\n".join(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_pages_and_modules_are_in_plain_english() -> None:
    """No page and no string of the package has one of the phrases; write a shorter sentence instead."""
    texts = {name: prose(page) for name, page in PAGES.items()}
    modules = (ROOT / "balcli").rglob("*.py")
    texts |= {str(path): prose(strings(path.read_text(encoding="utf-8"))) for path in modules}
    places = [
        (name, place) for name, text in texts.items() for pattern in PHRASES for place in found(pattern, text)
    ]
    assert [] == places


def test_each_pattern_finds_its_phrase() -> None:
    """Each pattern matches its own phrase, and does not match plain sentences."""
    assert [] == [pattern for pattern, phrase in PHRASES.items() if not found(pattern, phrase)]
    plain = "Besides, ask which host stands out: the newest, in which no key is known. It has none."
    assert [] == [pattern for pattern in PHRASES if found(pattern, plain)]
