"""The lines of `-o jsonl`: the parts of the JSON document, one object a line, and a summary at the end."""

from collections.abc import Iterator
from typing import Any, Final

from balcli.models import Report
from balcli.render.json import head, lists, to_jsonl

KINDS: Final = {
    "accounts": "account",
    "balances": "balance",
    "totals": "total",
    "warnings": "warning",
    "errors": "error",
}
"""The document's lists, and the type of a line that holds one item of each."""

SUMMARY: Final = "summary"


def pieces(report: Report) -> Iterator[str]:
    """The report as one JSON object a line, in ASCII. Without the summary, which is last, it was cut."""
    return to_jsonl(lines(report))


def lines(report: Report) -> Iterator[dict[str, Any]]:
    """The report as plain objects, each with its `type` and the keys that it has in the document."""
    for key, items in lists(report).items():
        for item in items:
            yield {"type": KINDS[key], **item}
    yield {"type": SUMMARY, **head(report)}
