"""Amounts over time: a table with a sparkline for people, and json, jsonl and csv."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from balcli.history.series import Interval, Series
from balcli.models import AMOUNT_FIELDS
from balcli.money import Amount, parse_canonical
from balcli.render.csv import text, to_csv
from balcli.render.json import SCHEMA_VERSION, encode, format_time, to_jsonl
from balcli.render.layout import Column, Line, first_fitting, local_time, paragraph
from balcli.text import LONGEST_NAME, printable

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.:-=+*#"
"""For streams whose encoding lacks the others."""
_SPARKS: Final = 40
_MOST_NAMES: Final = 4
_WORDS: Final = {"failed": "unavailable", "absent": "not listed"}
_FACTS: Final = Series._fields[:-1]  # all but the intervals
_TIMES: Final = len("2026-11-21T00:57:00+00:00")


def table(series: Sequence[Series], columns: int | None, bars: str = BARS) -> str:
    """Each series under its name, a line for each interval of runs that said the same; every amount whole.

    `columns` is the terminal's width; None means any width will do.
    """
    lines = []
    for number, each in enumerate(series):
        if number:
            lines.append("")
        lines += [line.text for line in paragraph(title(each), "", columns)]
        lines += _spark_lines(each.intervals, bars, columns)
        layouts = ((Line().add(row) for row in layout(each.intervals)) for layout in (_wide, _stacked, _tall))
        lines += [line.text for line in first_fitting(layouts, columns)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def title(series: Series) -> str:
    """The title of a series: its asset, account and what else tells it apart."""
    asset = printable(series.asset, LONGEST_NAME)
    if series.account is None:
        names = ", ".join(printable(name, LONGEST_NAME) for name in series.over[:_MOST_NAMES])
        more = len(series.over) - _MOST_NAMES
        return f"{asset}, sum over {names}" + (f" and {more} more" if more > 0 else "")
    facts = [series.provider if series.provider != series.account else None, series.kind]
    facts.append(f"merchant {series.merchant_id}" if series.merchant_id else None)
    facts.append(f"row {series.nth + 1}" if series.nth else None)
    about = ", ".join(printable(fact, LONGEST_NAME) for fact in facts if fact)
    return f"{asset} at {printable(series.account, LONGEST_NAME)}" + (f" ({about})" if about else "")


def _spark_lines(intervals: Sequence[Interval], bars: str, columns: int | None) -> list[str]:
    totals = [parse_canonical(interval.total) for interval in intervals if interval.total is not None]
    if not totals:
        return []
    low, high = min(totals), max(totals)
    about = str(low) if low == high else f"{low} to {high}"
    sparks = f"  {sparkline(intervals, bars)}"
    together = f"{sparks}  total {about}"
    if columns is None or len(together) <= columns:
        return [together]
    return [sparks, *(line.text for line in paragraph(f"total {about}", "  ", columns))]


def sparkline(intervals: Sequence[Interval], bars: str) -> str:
    """The totals over time as a row of bars, a blank where there was none; the lowest bar is the least total."""
    totals = {text: parse_canonical(text) for interval in intervals if (text := interval.total) is not None}
    low, high = min(totals.values()), max(totals.values())
    # Where the clock stepped back, the first and last are not those of the earliest and latest time.
    start, end = min(each.since for each in intervals), max(each.until for each in intervals)
    slots = min(_SPARKS, sum(interval.runs for interval in intervals))
    shown = ""
    at = 0
    for slot in range(1, slots + 1):
        # The last that was said before the slot's end.
        until = start + (end - start) * slot / slots
        while at + 1 < len(intervals) and intervals[at + 1].since <= until:
            at += 1
        said = intervals[at].total
        shown += " " if said is None else bars[position(totals[said], low, high, len(bars) - 1)]
    return shown


def position(amount: Amount, low: Amount, high: Amount, most: int) -> int:
    """An amount's position between two others, as an integer from 0 to `most`, rounded down."""
    above, span = amount - low, high - low
    places = max(above.places, span.places)
    units, of = (each.units * 10 ** (places - each.places) for each in (above, span))
    return units * most // of if of else 0


def _wide(intervals: Sequence[Interval]) -> Iterator[str]:
    rows = [_texts(interval) for interval in intervals if interval.status == "ok"]
    columns = [Column([row[n] for row in rows], name.upper()) for n, name in enumerate(AMOUNT_FIELDS)]
    runs = max(len("RUNS"), *(len(str(interval.runs)) for interval in intervals))
    heads = "  ".join(column.heading for column in columns)
    yield f"  {'SINCE':<{_TIMES}}  {'UNTIL':<{_TIMES}}  {'RUNS':>{runs}}  {heads}"
    for interval in intervals:
        line = f"  {local_time(interval.since)}  {local_time(interval.until)}  {interval.runs:>{runs}}  "
        if interval.status == "ok":
            cells = zip(columns, _texts(interval), strict=True)
            line += "  ".join(column.cell(text) for column, text in cells)
        else:
            line += _WORDS[interval.status]
        yield line


def _stacked(intervals: Sequence[Interval]) -> Iterator[str]:
    """A line for each amount, beside its name."""
    column = Column(text for each in intervals if each.status == "ok" for text in _texts(each))
    for interval in intervals:
        yield f"  {local_time(interval.since)} to {local_time(interval.until)}, {_runs(interval)}"
        if interval.status != "ok":
            yield f"    {_WORDS[interval.status]}"
            continue
        for name, amount in zip(AMOUNT_FIELDS, _texts(interval), strict=True):
            yield f"    {name:<9}  {column.cell(amount)}"


def _tall(intervals: Sequence[Interval]) -> Iterator[str]:
    """Each amount below its name."""
    for interval in intervals:
        yield f" {local_time(interval.since)}"
        yield f" to {local_time(interval.until)}"
        yield f" {_runs(interval)}"
        if interval.status != "ok":
            yield f"  {_WORDS[interval.status]}"
            continue
        for name, amount in zip(AMOUNT_FIELDS, _texts(interval), strict=True):
            yield f"  {name}"
            yield f"  {amount}"


def _texts(interval: Interval) -> list[str]:
    return [text or "unknown" for text in (interval.total, interval.available, interval.locked)]


def _runs(interval: Interval) -> str:
    return f"{interval.runs} run{'s' if interval.runs > 1 else ''}"


def as_json(series: Sequence[Series]) -> Iterator[str]:
    """One document, an interval a line, in pieces."""
    yield f'{{\n  "schema_version": "{SCHEMA_VERSION}",\n  "series": ['
    between = "\n"
    for each in series:
        yield f'{between}    {encode(_facts(each))[:-1]},\n      "points": ['
        inner = "\n        "
        for lines in to_jsonl(map(_plain, each.intervals)):
            yield inner + lines[:-1].replace("\n", ",\n        ")
            inner = ",\n        "
        yield "\n      ]}"
        between = ",\n"
    yield "\n  ]\n}\n" if series else "]\n}\n"


def as_jsonl(series: Sequence[Series]) -> Iterator[str]:
    """An interval a line, and a summary last, in pieces."""
    points = sum(len(each.intervals) for each in series)
    lines = (
        {"type": "point", **_facts(each), **_plain(interval)}
        for each in series
        for interval in each.intervals
    )
    summary = {"type": "summary", "schema_version": SCHEMA_VERSION, "points": points}
    return to_jsonl(chain(lines, [summary]))


def as_csv(series: Sequence[Series]) -> Iterator[str]:
    """A row for each interval, in pieces; a sum has its accounts in the column `over`."""
    return to_csv(chain([(*_FACTS, *Interval._fields)], chain.from_iterable(map(_rows, series))))


def _rows(series: Series) -> Iterator[Sequence[object]]:
    *names, nth = (_facts(series) | {"over": " + ".join(series.over)}).values()
    facts = (*map(text, names), nth)
    return ((*facts, *_plain(interval).values()) for interval in series.intervals)


def _facts(series: Series) -> dict[str, Any]:
    return dict(zip(_FACTS, series, strict=False))


def _plain(interval: Interval) -> dict[str, Any]:
    since, until, *others = interval
    return dict(zip(Interval._fields, (format_time(since), format_time(until), *others), strict=True))
