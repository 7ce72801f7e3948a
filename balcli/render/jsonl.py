"""The lines of `-o jsonl`: one object per line for each part of the JSON document, and a summary at the end."""

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
"""The document's lists, with the `type` of the lines of their items."""

SUMMARY: Final = "summary"


def pieces(report: Report) -> Iterator[str]:
    """The report as one JSON object per line, in ASCII. Without a summary in the last line, it is incomplete."""
    return to_jsonl(lines(report))


def lines(report: Report) -> Iterator[dict[str, Any]]:
    """The report as dicts, each with its `type` and its keys in the document."""
    for key, items in lists(report).items():
        for item in items:
            yield {"type": KINDS[key], **item}
    yield {"type": SUMMARY, **head(report)}
