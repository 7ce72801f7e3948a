"""The Markdown output of a run: the environment, and a line for each figure."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.bench import Line
from benchmarks.network import version

_PACKAGES: Final = ("typer", "urllib3", "requests", "rich", "tomli")
_COLUMNS: Final = ("row", "what", "measured", "peer", "target", "met")


def document(lines: Sequence[Line], *, quick: bool, tool: str | None) -> str:
    """The head and the table of a run."""
    return "\n".join([*_head(quick=quick, tool=tool), "", *_table(lines)]) + "\n"


def _head(*, quick: bool, tool: str | None) -> list[str]:
    packages = ", ".join(f"{name} {_installed(name)}" for name in _PACKAGES)
    tools = ", ".join(version(name) or f"no {name}" for name in ("curl", "jq"))
    kind = "quick" if quick else "full"
    judged = f"{tool} (user space)" if tool else "not counted: targets of rows 1 to 4 are held to CPU time"
    return [
        f"# balcli {_installed('balcli')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {kind} run",
        "",
        f"- machine: {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}; balcli {_how()}; {packages}",
        f"- {tools}; instructions: {judged}",
        "- figures are medians with [quartiles] (of fewer than four runs: least and most); a ratio is that of pairs",
    ]


def _table(lines: Sequence[Line]) -> list[str]:
    rows: list[Sequence[str]] = [_COLUMNS, ["---"] * len(_COLUMNS)]
    rows += [
        (str(line.row), line.what, line.measured, line.peer, line.target, _met(line))
        for line in sorted(lines, key=lambda line: line.row)
    ]
    return [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]


def _met(line: Line) -> str:
    if line.failed:
        return "FAILED"
    return {True: "yes", False: "no", None: "–"}[line.met]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _how() -> str:
    """How balcli is installed in this environment."""
    try:
        told = metadata.distribution("balcli").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return "not installed"
    editable = told is not None and json.loads(told).get("dir_info", {}).get("editable")
    return "installed editable" if editable else "installed as a wheel"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
