"""What tables say about a report besides its amounts: names, details, addresses, what is left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from balcli.diff import AmountChange
from balcli.models import Balance, Notice, Outcome, Report
from balcli.money import ZERO, Amount
from balcli.render.layout import Style, local_iso
from balcli.text import LONGEST_NAME, numbered, printable

UNKNOWN: Final = "unknown"
_WITHOUT_OFFSET: Final = len("2026-11-21 00:57:00")
_BLANK: Final = "\\x20"


class Row(NamedTuple):
    """A row of a table as text: the name of an asset, its three amounts, and what is said beside or below them."""

    label: str
    texts: Sequence[str]
    notes: Sequence[str] = ()
    style: Style = "faint"
    """The style of the notes."""
    moved: Mapping[str, Style] = {}
    """The style of each amount that changed, by its field."""


def row_of(balance: Balance) -> Row:
    """The row of a balance."""
    texts = texts_of((balance.total, balance.available, balance.locked))
    return Row(label_of(balance.asset), texts, details_of(balance))


def shows_totals(report: Report) -> bool:
    """Whether totals say more than the rows: of one account they are the rows again, if no asset repeats."""
    if report.left_out is not None or len(report.outcomes) > 1:
        return True
    counted = {total.asset for total in report.totals}
    assets = [balance.asset for balance in report.balances if balance.asset in counted]
    return len(set(assets)) < len(assets)


def shown_outcomes(report: Report) -> list[Outcome]:
    """The accounts that a table shows: of those whose rows are left out, only one that failed has something to say."""
    return [o for o in report.outcomes if report.left_out is None or o.failure is not None]


def without_answer(report: Report) -> tuple[str, ...]:
    """The names of the accounts that failed."""
    return tuple(outcome.account.name for outcome in report.outcomes if outcome.failure is not None)


def note_on(notice: Notice) -> str:
    """A notice as a table ends with it."""
    about = f"{printable(notice.account, LONGEST_NAME)}: " if notice.account else ""
    return f"note: {about}{printable(notice.message)}"


def label_of(asset: str) -> str:
    """The name of an asset, its first and last blanks escaped: two rows that look alike are one to a reader."""
    core = asset.strip(" ")
    if core == asset and core:  # as nearly all are
        return printable(asset, LONGEST_NAME)
    before, _, after = asset.partition(core) if core else (asset, "", "")
    return printable(_BLANK * len(before) + core + _BLANK * len(after), LONGEST_NAME)


def joined(accounts: Iterable[str]) -> str:
    """The names of all these accounts."""
    return ", ".join(printable(name, LONGEST_NAME) for name in accounts)


def amount_text(amount: Amount | None) -> str:
    """An amount as people read it."""
    return UNKNOWN if amount is None else str(amount)


def texts_of(amounts: Iterable[Amount | None]) -> list[str]:
    """Amounts as people read them."""
    return [*map(amount_text, amounts)]


def local_time(at: datetime) -> str:
    """A time as people read it: to the second, in the zone of `TZ`, with its offset."""
    text = local_iso(at)
    return f"{text[:10]} {text[11:19]} {text[19:]}"


def short_times(times: Iterable[datetime]) -> tuple[str, int]:
    """The offset that all local times share, and the length of one without it; "" and the whole length if they differ."""
    offsets = {local_time(at)[_WITHOUT_OFFSET:] for at in times}
    return (offsets.pop(), _WITHOUT_OFFSET) if len(offsets) == 1 else ("", len("2026-11-21 00:57:00 +00:00"))


def signed(move: AmountChange) -> str:
    """The difference of an amount with its sign; "" where it is not known."""
    if move.difference is None:
        return ""
    return str(move.difference) if move.difference < ZERO else f"+{move.difference}"


def style_of(move: AmountChange) -> Style:
    """The style of an amount that changed: whether it became more or less."""
    return "open" if not move.difference else "minus" if move.difference < ZERO else "plus"


def facts_of(balances: Iterable[Balance]) -> list[str]:
    """What is true of an account as a whole: the yes and no that all its rows agree on."""
    said: dict[str, set[bool]] = {}
    for balance in balances:
        for key, value in balance.details.items():
            if isinstance(value, bool):
                said.setdefault(key, set()).add(value)
    return [
        f"{key.replace('_', ' ')}: {'yes' if True in values else 'no'}"
        for key, values in said.items()
        if len(values) == 1
    ]


def addresses_of(balance: Balance) -> Iterator[str]:
    """The deposit addresses of a row, each in words; the address itself is never cut."""
    for value in balance.details.values():
        for address in value if isinstance(value, tuple) else ():
            memo = f", memo {printable(address.memo)}" if address.memo else ""
            yield f"{printable(address.network, LONGEST_NAME)}: {printable(address.address or 'none')}{memo}"


def details_of(balance: Balance) -> list[str]:
    """What else there is to know of a row, in words: amounts other than 0, and raw units of an unknown token."""
    notes = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in balance.details.items()
        if isinstance(value, Amount) and value
    ]
    if balance.total is balance.available is balance.locked is None:
        notes += [f"raw {key} {printable(value)}" for key, value in balance.raw.items() if value is not None]
    return notes


def no_rows(outcome: Outcome) -> str:
    """Why an account that answered has no rows in the table."""
    held = outcome.holdings.balances if outcome.holdings else ()
    return "every row is zero and hidden" if held else "no balances listed"


def omissions(report: Report) -> list[str]:
    """What was left out on request."""
    notes = []
    if report.hidden:
        notes.append(f"{numbered(report.hidden, 'row')} of zeros hidden")
    elif report.hidden_totals:
        notes.append(f"{numbered(report.hidden_totals, 'total')} of 0 hidden")
    if report.left_out:
        notes.append(f"{numbered(report.left_out, 'row')} left out (--totals-only)")
    return notes
