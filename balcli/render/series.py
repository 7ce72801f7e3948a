"""How amounts went from run to run: a table with a sparkline for people, and json, jsonl and csv."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from balcli.history.series import Series, Stretch
from balcli.models import PARTS
from balcli.money import Amount, restore
from balcli.render.csv import sheet, text
from balcli.render.json import SCHEMA_VERSION, moment
from balcli.render.layout import Column, Line, fitting, paragraph
from balcli.text import LONGEST_NAME, printable

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.:-=+*#"
"""For streams that cannot carry the others."""
_SPARKS: Final = 40
_MOST_NAMES: Final = 4
_SAID: Final = {"failed": "unavailable", "absent": "not listed"}
_FACTS: Final = ("profile", "account", "over", "provider", "asset", "asset_id", "kind", "merchant_id", "nth")
_TIMES: Final = len("2026-11-21T00:57:00Z")


def table(series: Sequence[Series], columns: int | None, bars: str = BARS) -> str:
    """Each series under its name, a line for each stretch of runs that said the same; every amount whole.

    `columns` is the terminal's width; None means any width will do.
    """
    lines = []
    for number, each in enumerate(series):
        if number:
            lines.append("")
        lines += [line.text for line in paragraph(title(each), "", columns)]
        lines += _spark_lines(each.stretches, bars, columns)
        layouts = ((Line().add(row) for row in layout(each.stretches)) for layout in (_wide, _stacked, _tall))
        lines += [line.text for line in fitting(layouts, columns)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def title(series: Series) -> str:
    """What a series is of, in words."""
    asset = printable(series.asset, LONGEST_NAME)
    if series.account is None:
        names = ", ".join(printable(name, LONGEST_NAME) for name in series.over[:_MOST_NAMES])
        more = len(series.over) - _MOST_NAMES
        return f"{asset}, sum over {names}" + (f" and {more} more" if more > 0 else "")
    facts = [series.provider if series.provider != series.account else None, series.kind]
    facts.append(f"merchant {series.merchant}" if series.merchant else None)
    facts.append(f"row {series.nth + 1}" if series.nth else None)
    about = ", ".join(printable(fact, LONGEST_NAME) for fact in facts if fact)
    return f"{asset} at {printable(series.account, LONGEST_NAME)}" + (f" ({about})" if about else "")


def _spark_lines(stretches: Sequence[Stretch], bars: str, columns: int | None) -> list[str]:
    totals = [restore(stretch.total) for stretch in stretches if stretch.total is not None]
    if not totals:
        return []
    low, high = min(totals), max(totals)
    about = str(low) if low == high else f"{low} to {high}"
    sparks = f"  {sparkline(stretches, bars)}"
    together = f"{sparks}  total {about}"
    if columns is None or len(together) <= columns:
        return [together]
    return [sparks, *(line.text for line in paragraph(f"total {about}", "  ", columns))]


def sparkline(stretches: Sequence[Stretch], bars: str) -> str:
    """The totals over time as a row of bars, a blank where there was none; the lowest bar is the least total."""
    totals = {text: restore(text) for stretch in stretches if (text := stretch.total) is not None}
    low, high = min(totals.values()), max(totals.values())
    # Where the clock stepped back, the first and last are not those of the earliest and latest time.
    start, end = min(each.since for each in stretches), max(each.until for each in stretches)
    slots = min(_SPARKS, sum(stretch.runs for stretch in stretches))
    shown = ""
    at = 0
    for slot in range(1, slots + 1):
        # The last that was said before the slot's end.
        until = start + (end - start) * slot / slots
        while at + 1 < len(stretches) and stretches[at + 1].since <= until:
            at += 1
        said = stretches[at].total
        shown += " " if said is None else bars[position(totals[said], low, high, len(bars) - 1)]
    return shown


def position(amount: Amount, low: Amount, high: Amount, most: int) -> int:
    """Where an amount stands between two others, as a whole number from 0 to `most`, rounded down."""
    above, span = amount - low, high - low
    places = max(above.places, span.places)
    units, of = (each.units * 10 ** (places - each.places) for each in (above, span))
    return units * most // of if of else 0


def _wide(stretches: Sequence[Stretch]) -> Iterator[str]:
    cells = [
        [getattr(stretch, part) or "unknown" for stretch in stretches if stretch.status == "ok"]
        for part in PARTS
    ]
    shown = [Column(texts, part.upper()) for part, texts in zip(PARTS, cells, strict=True)]
    runs = max(len("RUNS"), *(len(str(stretch.runs)) for stretch in stretches))
    heads = "  ".join(column.heading for column in shown)
    yield f"  {'SINCE':<{_TIMES}}  {'UNTIL':<{_TIMES}}  {'RUNS':>{runs}}  {heads}"
    for stretch in stretches:
        line = f"  {moment(stretch.since)}  {moment(stretch.until)}  {stretch.runs:>{runs}}  "
        if stretch.status == "ok":
            texts = (getattr(stretch, part) or "unknown" for part in PARTS)
            line += "  ".join(column.cell(text) for column, text in zip(shown, texts, strict=True))
        else:
            line += _SAID[stretch.status]
        yield line


def _stacked(stretches: Sequence[Stretch]) -> Iterator[str]:
    """A line for each amount, beside its name."""
    shown = Column(
        getattr(each, part) or "unknown" for each in stretches if each.status == "ok" for part in PARTS
    )
    for stretch in stretches:
        runs = f"{stretch.runs} run{'s' if stretch.runs > 1 else ''}"
        yield f"  {moment(stretch.since)} to {moment(stretch.until)}, {runs}"
        if stretch.status != "ok":
            yield f"    {_SAID[stretch.status]}"
            continue
        for part in PARTS:
            yield f"    {part:<9}  {shown.cell(getattr(stretch, part) or 'unknown')}"


def _tall(stretches: Sequence[Stretch]) -> Iterator[str]:
    for stretch in stretches:
        yield f" {moment(stretch.since)}"
        yield f" to {moment(stretch.until)}"
        yield f" {stretch.runs} run{'s' if stretch.runs > 1 else ''}"
        if stretch.status != "ok":
            yield f"  {_SAID[stretch.status]}"
            continue
        for part in PARTS:
            yield f"  {part}"
            yield f"  {getattr(stretch, part) or 'unknown'}"


def as_json(series: Sequence[Series]) -> str:
    """One document, a stretch a line."""
    blocks = []
    for each in series:
        points = ",\n".join(f"        {json.dumps(_plain(stretch))}" for stretch in each.stretches)
        facts = json.dumps(_facts(each))[:-1]
        blocks.append(f'    {facts},\n      "points": [\n{points}\n      ]}}')
    body = ",\n".join(blocks)
    return (
        f'{{\n  "schema_version": "{SCHEMA_VERSION}",\n  "series": ['
        + (f"\n{body}\n  " if series else "")
        + "]\n}\n"
    )


def as_jsonl(series: Sequence[Series]) -> str:
    """A stretch a line, and a summary last."""
    lines = [
        {"type": "point", **_facts(each), **_plain(stretch)} for each in series for stretch in each.stretches
    ]
    lines.append({"type": "summary", "schema_version": SCHEMA_VERSION, "points": len(lines)})
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def as_csv(series: Sequence[Series]) -> str:
    """A row for each stretch; a sum has its accounts in the column `over`."""
    rows: list[Sequence[str]] = [
        (*_FACTS, "since", "until", "runs", "status", *PARTS),
    ]
    for each in series:
        of = [text(each.profile), text(each.account), text(" + ".join(each.over)), text(each.provider)]
        of += [text(each.asset), text(each.asset_id), text(each.kind), text(each.merchant), str(each.nth)]
        rows += [
            (
                *of,
                moment(s.since),
                moment(s.until),
                str(s.runs),
                s.status,
                *(getattr(s, part) or "" for part in PARTS),
            )
            for s in each.stretches
        ]
    return "".join(sheet(rows))


def _facts(series: Series) -> dict[str, Any]:
    return {
        "profile": series.profile,
        "account": series.account,
        "over": list(series.over),
        "provider": series.provider,
        "asset": series.asset,
        "asset_id": series.asset_id,
        "kind": series.kind,
        "merchant_id": series.merchant,
        "nth": series.nth,
    }


def _plain(stretch: Stretch) -> dict[str, Any]:
    facts: dict[str, datetime | int | str | None] = stretch._asdict()
    return {key: moment(value) if isinstance(value, datetime) else value for key, value in facts.items()}
