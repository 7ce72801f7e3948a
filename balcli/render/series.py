"""Amounts over time: a table with a sparkline, json, jsonl and csv."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

from balcli.history.series import Interval, Series
from balcli.models import AMOUNT_FIELDS
from balcli.money import Amount, parse_canonical
from balcli.render.csv import text, to_csv
from balcli.render.json import SCHEMA_VERSION, encode, format_time, to_jsonl
from balcli.render.layout import (
    Block,
    Column,
    Line,
    Style,
    first_fitting,
    local_iso,
    paragraph,
    stacked,
    tall,
    to_text,
)
from balcli.render.words import local_time, short_times
from balcli.text import LONGEST_NAME, numbered, printable

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.:-=+*#"
"""For streams that cannot encode the others."""
_SPARKS: Final = 40
_MOST_NAMES: Final = 4
_WORDS: Final = {"failed": "unavailable", "absent": "not listed"}
_STYLES: Final[dict[str, Style]] = {"failed": "bad", "absent": "faint"}
_FACTS: Final = Series._fields[:-1]  # all but the intervals
_CHART_ROWS: Final = 6


def table(series: Sequence[Series], columns: int | None, bars: str = BARS, *, colour: bool = False) -> str:
    """Each series under its title, with a line for each interval of equal amounts. Amounts are never cut.

    `columns` is the terminal's width; None is for a pipe. Times are local. On a terminal, a single series has a chart.
    """
    lines: list[Line] = []
    for number, each in enumerate(series):
        if number:
            lines.append(Line())
        lines += paragraph(title(each), "", columns, "head")
        if columns is not None and len(series) == 1:
            lines += _chart(each.intervals, bars, columns)
        else:
            lines += _spark_lines(each.intervals, bars, columns)
        time = local_iso if columns is None else local_time
        layouts = (
            _wide(each.intervals, time),
            stacked(_blocks(each.intervals, time, high=False)),
            tall(_blocks(each.intervals, time, high=True), "  ", "  "),
        )
        lines += first_fitting(layouts, columns)
    return to_text(lines, colour=colour)


def title(series: Series) -> str:
    """The title of a series: its asset, account and other keys."""
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


def _totals(intervals: Iterable[Interval]) -> dict[str, Amount]:
    """The known totals, by their canonical text."""
    return {text: parse_canonical(text) for interval in intervals if (text := interval.total) is not None}


def _spark_lines(intervals: Sequence[Interval], bars: str, columns: int | None) -> list[Line]:
    totals = _totals(intervals).values()
    if not totals:
        return []
    low, high = min(totals), max(totals)
    about = str(low) if low == high else f"{low} to {high}"
    sparks = Line().add(f"  {sparkline(intervals, bars)}", "bar")
    if columns is None or len(f"{sparks.text}  total {about}") <= columns:
        return [sparks.add(f"  total {about}")]
    return [sparks, *paragraph(f"total {about}", "  ", columns)]


def _chart(intervals: Sequence[Interval], bars: str, columns: int) -> list[Line]:
    """A chart of the totals over time, as wide as the terminal."""
    totals = _totals(intervals).values()
    if not totals:
        return []
    rows = _bar_rows(intervals, bars, max(columns - 4, 1), _CHART_ROWS)
    top, bottom = (Line().add(f"  {total}", "faint") for total in (max(totals), min(totals)))
    return [top, *(Line().add(f"  {row}", "bar") for row in rows), bottom]


def sparkline(intervals: Sequence[Interval], bars: str) -> str:
    """The totals over time as a row of bars, blank if unknown. The lowest bar is the minimum."""
    (row,) = _bar_rows(intervals, bars, min(_SPARKS, sum(interval.runs for interval in intervals)), 1)
    return row


def _bar_rows(intervals: Sequence[Interval], bars: str, slots: int, rows: int) -> list[str]:
    """Bars of the totals in `slots` equal parts of the time, over `rows` rows; blank if unknown."""
    totals = _totals(intervals)
    low, high = min(totals.values()), max(totals.values())
    # If the clock stepped back, the first and last are not the earliest and latest.
    start, end = min(each.since for each in intervals), max(each.until for each in intervals)
    heights: list[int] = []
    at = 0
    for slot in range(1, slots + 1):
        # The last total before the slot's end.
        until = start + (end - start) * slot / slots
        while at + 1 < len(intervals) and intervals[at + 1].since <= until:
            at += 1
        said = intervals[at].total
        heights.append(-1 if said is None else position(totals[said], low, high, len(bars) * rows - 1))
    return [
        "".join(" " if height < base else bars[min(height - base, len(bars) - 1)] for height in heights)
        for base in range(len(bars) * (rows - 1), -1, -len(bars))
    ]


def position(amount: Amount, low: Amount, high: Amount, most: int) -> int:
    """The position of an amount between two others, from 0 to `most`, rounded down."""
    above, span = amount - low, high - low
    places = max(above.places, span.places)
    units, of = (each.units * 10 ** (places - each.places) for each in (above, span))
    return units * most // of if of else 0


def _wide(intervals: Sequence[Interval], time: Callable[[datetime], str]) -> Iterator[Line]:
    rows = [_texts(interval) for interval in intervals if interval.status == "ok"]
    columns = [Column([row[n] for row in rows], name.upper()) for n, name in enumerate(AMOUNT_FIELDS)]
    runs = max(len("RUNS"), *(len(str(interval.runs)) for interval in intervals))
    heads = "  ".join(column.heading for column in columns)
    zone, at = "", len("2026-11-21T00:57:00+00:00")
    if time is local_time:
        zone, at = short_times(each for interval in intervals for each in (interval.since, interval.until))
    since, until = f"SINCE{zone}", f"UNTIL{zone}"
    yield Line().add(f"  {since:<{at}}  {until:<{at}}  {'RUNS':>{runs}}  {heads}", "head")
    for interval in intervals:
        times = f"{time(interval.since)[:at]}  {time(interval.until)[:at]}"
        start = f"  {times}  {interval.runs:>{runs}}  "
        if interval.status == "ok":
            cells = zip(columns, _texts(interval), strict=True)
            yield Line().add(start + "  ".join(column.cell(text) for column, text in cells))
        else:
            yield Line().add(start).add(_WORDS[interval.status], _STYLES[interval.status])


def _blocks(intervals: Sequence[Interval], time: Callable[[datetime], str], *, high: bool) -> Iterator[Block]:
    """The intervals as blocks, with the heading on one line or, if too wide, on three."""
    for each in intervals:
        since, until, runs = time(each.since), f"to {time(each.until)}", numbered(each.runs, "run")
        heading = [f" {since}", f" {until}", f" {runs}"] if high else [f"  {since} {until}, {runs}"]
        amounts: list[tuple[str, str, Style]] = []
        if each.status == "ok":
            amounts += [(name, text, "") for name, text in zip(AMOUNT_FIELDS, _texts(each), strict=True)]
        else:
            heading.append(f"{'  ' if high else '    '}{_WORDS[each.status]}")
        yield Block([Line().add(line) for line in heading], amounts)


def _texts(interval: Interval) -> list[str]:
    return [text or "unknown" for text in (interval.total, interval.available, interval.locked)]


def as_json(series: Sequence[Series]) -> Iterator[str]:
    """One document, with one interval per line, in pieces."""
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
    """One interval per line, with a summary at the end, in pieces."""
    points = sum(len(each.intervals) for each in series)
    lines = (
        {"type": "point", **_facts(each), **_plain(interval)}
        for each in series
        for interval in each.intervals
    )
    summary = {"type": "summary", "schema_version": SCHEMA_VERSION, "points": points}
    return to_jsonl(chain(lines, [summary]))


def as_csv(series: Sequence[Series]) -> Iterator[str]:
    """A row for each interval, in pieces. The column `over` lists the accounts in a sum."""
    return to_csv(chain([(*_FACTS, *Interval._fields)], chain.from_iterable(map(_rows, series))))


def _rows(series: Series) -> Iterator[Sequence[object]]:
    *names, nth = (_facts(series) | {"over": " + ".join(series.over)}).values()
    facts = (*map(text, names), nth)
    return ((*facts, *_plain(interval).values()) for interval in series.intervals)


def _facts(series: Series) -> dict[str, Any]:
    return dict(zip(_FACTS, series, strict=False))


def _plain(interval: Interval) -> dict[str, Any]:
    # Written out: `_asdict` takes twice as long, and there can be 100,000 intervals, most covering a single run.
    since = format_time(interval.since)
    return {
        "since": since,
        "until": since if interval.until is interval.since else format_time(interval.until),
        "runs": interval.runs,
        "status": interval.status,
        "total": interval.total,
        "available": interval.available,
        "locked": interval.locked,
    }
