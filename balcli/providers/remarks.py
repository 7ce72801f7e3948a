"""What there is to say of an answer that is good: fields and rows that could not be read, amounts that are not read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from balcli.errors import BadAmount, BadShape
from balcli.http.exactjson import Json
from balcli.models import Notice
from balcli.money import is_nonzero
from balcli.text import LONGEST_NAME, is_text, printable

T = TypeVar("T")
Read: TypeAlias = Callable[[dict[str, Json], str, str], T]
"""What reads a field of a row at a place, such as `optional_text`. Raises BadShape."""

_FUNDS: Final = ("balance", "amount", "fund", "frozen", "reserve", "pending", "settle")
_LONGEST_FIELD: Final = 80
_MOST_FIELDS: Final = 100
"""How many fields of one account are named: a hostile answer could have others in each row."""


class Remarks:
    """The notices on one account's answer. Each field is told once, however many rows have it."""

    def __init__(self, account: str) -> None:
        self.notices: list[Notice] = []
        self._account = account
        self._told: set[tuple[str, str]] = set()

    def decoration(self, row: dict[str, Json], field: str, where: str, read: Read[T]) -> T | None:
        """What `read` gives for a field that decides no amount; None, and a notice, where it cannot be read."""
        try:
            return read(row, field, where)
        except BadShape as problem:
            if self._is_new("field.unreadable", field):
                about = f"{field} is unknown: {problem.message}"
                self.notices.append(Notice("field.unreadable", self._account, about))
            return None

    def amounts(
        self,
        asset: str,
        row: dict[str, Json],
        where: str,
        read: Callable[[dict[str, Json], str], T],
        *,
        asked: bool,
    ) -> T | None:
        """What `read` makes of a row's amounts; None, and a notice, for a bad row that was not asked for.

        Raises BadAmount and BadShape for one that was.
        """
        try:
            return read(row, where)
        except (BadAmount, BadShape) as problem:
            if asked:
                raise
            name = printable(asset, LONGEST_NAME)
            about = f"{name} was not asked for, and its amounts are unknown: {problem.message}"
            self.notices.append(Notice("row.unreadable", self._account, about))
            return None

    def unread(self, row: Mapping[str, Json], known: frozenset[str], asset: str) -> dict[str, str]:
        """The amounts other than 0 in fields that are not `known` and sound like funds, by name, as they were sent."""
        if row.keys() <= known:  # as nearly all are
            return {}
        found = dict(_unread(row, known))
        for field, text in found.items():
            if len(self._told) < _MOST_FIELDS and self._is_new("field.unread", field):
                name, where = printable(field, _LONGEST_FIELD), printable(asset, LONGEST_NAME)
                about = (
                    f"{name} of {where} is {text}: balcli does not read this field, and no total includes it; "
                    "ask the provider what it means"
                )
                self.notices.append(Notice("field.unread", self._account, about))
        return found

    def _is_new(self, code: str, field: str) -> bool:
        new = (code, field) not in self._told
        self._told.add((code, field))
        return new


def raw_texts(row: Mapping[str, Json], fields: Sequence[str]) -> dict[str, str | None]:
    """The fields of a row as they were sent; None for what is no text and no number."""
    return {field: str(value) if isinstance(value := row.get(field), str) else None for field in fields}


def _unread(row: Mapping[str, Json], known: frozenset[str], before: str = "") -> Iterator[tuple[str, str]]:
    """The unread amounts of a row, and of the objects in it, each by its path."""
    for key, value in row.items():
        path = f"{before}{key}"
        if path in known:
            continue
        if isinstance(value, dict):
            yield from _unread(value, known, f"{path}.")
        elif isinstance(value, str) and _sounds_like_funds(path) and is_nonzero(value):
            yield path if is_text(path) else printable(path), str(value)


def _sounds_like_funds(path: str) -> bool:
    name = path.casefold()
    return any(word in name for word in _FUNDS)
