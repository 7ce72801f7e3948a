"""The texts of tables other than amounts: names, details, addresses, omissions."""

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
    """A row of a table as text: the name of an asset, its three amounts, and notes."""

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
    """Whether totals differ from the rows. For one account without repeated assets, they do not."""
    if report.left_out is not None or len(report.outcomes) > 1:
        return True
    counted = {total.asset for total in report.totals}
    assets = [balance.asset for balance in report.balances if balance.asset in counted]
    return len(set(assets)) < len(assets)


def shown_outcomes(report: Report) -> list[Outcome]:
    """The accounts in a table: with --totals-only, only failed ones."""
    return [o for o in report.outcomes if report.left_out is None or o.failure is not None]


def without_answer(report: Report) -> tuple[str, ...]:
    """The names of the accounts that failed."""
    return tuple(outcome.account.name for outcome in report.outcomes if outcome.failure is not None)


def note_on(notice: Notice) -> str:
    """A notice at the end of a table."""
    about = f"{printable(notice.account, LONGEST_NAME)}: " if notice.account else ""
    return f"note: {about}{printable(notice.message)}"


def label_of(asset: str) -> str:
    """The name of an asset, with leading and trailing spaces escaped, so that different names look different."""
    core = asset.strip(" ")
    if core == asset and core:  # the usual case
        return printable(asset, LONGEST_NAME)
    before, _, after = asset.partition(core) if core else (asset, "", "")
    return printable(_BLANK * len(before) + core + _BLANK * len(after), LONGEST_NAME)


def joined(accounts: Iterable[str]) -> str:
    """The names of these accounts."""
    return ", ".join(printable(name, LONGEST_NAME) for name in accounts)


def amount_text(amount: Amount | None) -> str:
    """An amount in tables."""
    return UNKNOWN if amount is None else str(amount)


def texts_of(amounts: Iterable[Amount | None]) -> list[str]:
    """The amounts as they are shown in tables."""
    return [*map(amount_text, amounts)]


def local_time(at: datetime) -> str:
    """A local time (TZ) in tables, to the second, with its offset."""
    text = local_iso(at)
    return f"{text[:10]} {text[11:19]} {text[19:]}"


def short_times(times: Iterable[datetime]) -> tuple[str, int]:
    """The common offset of local times, and the length of a time without it; "" and the full length if offsets differ."""
    offsets = {local_time(at)[_WITHOUT_OFFSET:] for at in times}
    return (offsets.pop(), _WITHOUT_OFFSET) if len(offsets) == 1 else ("", len("2026-11-21 00:57:00 +00:00"))


def signed(move: AmountChange) -> str:
    """The difference of an amount with its sign; "" if unknown."""
    if move.difference is None:
        return ""
    return str(move.difference) if move.difference < ZERO else f"+{move.difference}"


def style_of(move: AmountChange) -> Style:
    """The style of a changed amount, by the sign of its difference."""
    return "open" if not move.difference else "minus" if move.difference < ZERO else "plus"


def facts_of(balances: Iterable[Balance]) -> list[str]:
    """The boolean details that are equal in all rows of an account."""
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
    """The deposit addresses of a row, as text. Addresses are never cut."""
    for value in balance.details.values():
        for address in value if isinstance(value, tuple) else ():
            memo = f", memo {printable(address.memo)}" if address.memo else ""
            yield f"{printable(address.network, LONGEST_NAME)}: {printable(address.address or 'none')}{memo}"


def details_of(balance: Balance) -> list[str]:
    """Other details of a row, as text: amounts that are not 0, and raw units of an unknown token."""
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
    return "all rows are 0 and hidden" if held else "no balances listed"


def omissions(report: Report) -> list[str]:
    """The omissions that options caused."""
    notes = []
    if report.hidden:
        notes.append(f"{numbered(report.hidden, 'row')} of zeros hidden")
    elif report.hidden_totals:
        notes.append(f"{numbered(report.hidden_totals, 'total')} of 0 hidden")
    if report.left_out:
        notes.append(f"{numbered(report.left_out, 'row')} left out (--totals-only)")
    return notes
