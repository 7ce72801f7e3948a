"""The lines of `-o jsonl`: the parts of the JSON document, one object a line, and a summary at the end."""

import json
from typing import Any, Final

from balcli.models import Report
from balcli.render.json import document

KINDS: Final = {
    "accounts": "account",
    "balances": "balance",
    "totals": "total",
    "warnings": "warning",
    "errors": "error",
}
"""The document's lists, and the type of a line that holds one item of each."""

SUMMARY: Final = "summary"


def render(report: Report) -> str:
    """The report as one JSON object a line, in ASCII. Without the summary, which is last, it was cut."""
    return "".join(f"{json.dumps(line)}\n" for line in lines(report))


def lines(report: Report) -> list[dict[str, Any]]:
    """The report as plain objects, each with its `type` and the keys that it has in the document."""
    whole = document(report)
    found = [{"type": kind, **item} for key, kind in KINDS.items() for item in whole.pop(key)]
    return [*found, {"type": SUMMARY, **whole}]
