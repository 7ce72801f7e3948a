"""The chart of how amounts went: steps over time, a panel for each asset. Matplotlib is imported here alone.

Amounts become whole numbers of the panel's height, and nothing else is made of them: every text in the
chart is the exact amount.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from balcli.errors import UsageError
from balcli.history.series import Interval, Series
from balcli.money import Amount, parse_canonical
from balcli.render.series import position, title
from balcli.text import LONGEST_NAME, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT: Final = 10_000
_MOST_PANELS: Final = 12
_MOST_TICKS: Final = 5
_INCHES: Final = (10, 3)


def render(series: Sequence[Series], form: str) -> bytes:
    """The chart as an SVG or PNG file. Raises UsageError without matplotlib, and for more than 12 assets."""
    try:
        import matplotlib as mpl
        from matplotlib import dates
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            f"-o {form} draws with matplotlib, which is not there; pip install 'balcli[chart]'"
        ) from None
    panels: dict[str, list[Series]] = {}
    for each in series:
        if any(interval.total is not None for interval in each.intervals):
            panels.setdefault(each.asset, []).append(each)
    if not panels:
        raise UsageError(
            "there is no known total to draw; look at the table, or take another --asset or --account"
        )
    if len(panels) > _MOST_PANELS:
        raise UsageError(
            f"{len(panels)} assets do not fit a chart of at most {_MOST_PANELS}; name some with --asset"
        )
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # stderr is for what the user can mend
    settings: dict[Any, Any] = {
        "text.parse_math": False,  # a name is no formula
        "svg.fonttype": "none",
        "svg.hashsalt": "balcli",
        "timezone": "UTC",
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font lacks: they are drawn as boxes
        figure = Figure(figsize=(_INCHES[0], _INCHES[1] * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
        for (asset, alike), (panel,) in zip(panels.items(), axes, strict=True):
            _draw(panel, asset, alike)
        untyped: Any = dates
        locator = untyped.AutoDateLocator()
        axes[-1][0].xaxis.set_major_locator(locator)
        axes[-1][0].xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
        axes[-1][0].set_xlabel("UTC")
        file = io.BytesIO()
        figure.savefig(
            file,
            format=form,
            dpi=120,
            bbox_inches="tight",
            metadata={"Date": None} if form == "svg" else None,
        )
    return file.getvalue()


def _draw(panel: "Axes", asset: str, alike: Sequence[Series]) -> None:
    """One asset's panel: a line for each series, and beside it what they are, with their last totals."""
    totals = [
        parse_canonical(text)
        for each in alike
        for interval in each.intervals
        if (text := interval.total) is not None
    ]
    low, high = min(totals), max(totals)
    panel.set_title(f"{printable(asset, LONGEST_NAME)}, total", loc="left")
    for each in alike:
        last = each.intervals[-1].total
        label: str | None = f"{title(each)}\n{'unknown' if last is None else last}"
        colour = None
        for times, heights in _steps(each.intervals, low, high):
            dot = "o" if len(times) == 1 else None
            (line,) = panel.plot(
                times, heights, drawstyle="steps-post", color=colour, label=label, marker=dot
            )
            colour, label = line.get_color(), None
    ticks = list(_ticks(low, high))
    panel.set_yticks([position(tick, low, high, _HEIGHT) for tick in ticks], [str(tick) for tick in ticks])
    panel.set_ylim(-_HEIGHT // 20, _HEIGHT + _HEIGHT // 20)
    panel.margins(x=0)
    panel.grid(visible=True, alpha=0.3)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _steps(intervals: Sequence[Interval], low: Amount, high: Amount) -> Iterator[tuple[list[Any], list[int]]]:
    """The lines of a series, one for each time in which its total was known without a gap, and the clock did not step back."""
    times: list[Any] = []
    heights: list[int] = []
    for interval in intervals:
        if times and (interval.total is None or interval.since < times[-1]):
            yield times, heights
            times, heights = [], []
        if interval.total is None:
            continue
        height = position(parse_canonical(interval.total), low, high, _HEIGHT)
        ends = [interval.since] if interval.since == interval.until else [interval.since, interval.until]
        times += ends
        heights += [height] * len(ends)
    if times:
        yield times, heights


def _ticks(low: Amount, high: Amount) -> Iterator[Amount]:
    """At most five round amounts between two, and exactly so; where they are one, that one."""
    places = max(low.places, high.places)
    first, last = (each.units * 10 ** (places - each.places) for each in (low, high))
    if first == last:
        yield low
        return
    step, factors = 1, (2, 5, 10)
    while last // step - -(-first // step) + 1 > _MOST_TICKS:
        power = 10 ** (len(str(step)) - 1)
        step = next(power * factor for factor in factors if power * factor > step)
    yield from (Amount(units, places) for units in range(-(-first // step) * step, last + 1, step))
