"""Reading a provider's payload: each function gives what the documentation promises or raises.

`where` names the place in the answer for the message. Nothing here guesses or fills in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from balcli.errors import BadAmount, BadShape, EchoesCredential
from balcli.http.echoes import Echoed
from balcli.http.error_text import words as words  # noqa: PLC0414 - a part of what plug-ins read with
from balcli.http.exactjson import Json, Number
from balcli.models import Notice
from balcli.money import Amount, is_nonzero, parse
from balcli.secret import Secret, hide, validate_credential
from balcli.text import LONGEST_NAME, is_text, printable

T = TypeVar("T")
_SAMPLE = 40
Read: TypeAlias = Callable[[dict[str, Json], str, str], T]
"""What reads a field of a row at a place, such as `optional_text`. Raises BadShape."""

_FUNDS: Final = ("balance", "amount", "fund", "frozen", "reserve", "pending", "settle")
_LONGEST_FIELD: Final = 80
_MOST_FIELDS: Final = 100
"""How many fields of one account are named: a hostile answer could have others in each row."""


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    return "a list" if isinstance(value, list) else "an object"


def undocumented(problem: str) -> BadShape:
    """The error of an answer that is not of the documented shape; the problem names the place in it."""
    return BadShape(
        f"the provider's answer is not as documented: {problem}; check base_url, else ask the provider"
    )


def _untrusted(problem: str) -> BadAmount:
    return BadAmount(f"the provider's answer cannot be trusted: the amount {problem}; ask the provider")


def as_object(value: Json, where: str) -> dict[str, Json]:
    """The object that stands there. Raises BadShape for anything else."""
    if not isinstance(value, dict):
        raise undocumented(f"{where} is {_kind(value)}, not an object")
    return value


def as_list(value: Json, where: str) -> list[Json]:
    """The list that stands there. Raises BadShape for anything else."""
    if not isinstance(value, list):
        raise undocumented(f"{where} is {_kind(value)}, not a list")
    return value


def field(row: dict[str, Json], key: str, where: str) -> Json:
    """The value of a key that must be there. Raises BadShape where it is not."""
    if key not in row:
        raise undocumented(f"{where} has no {key}")
    return row[key]


def name(row: dict[str, Json], key: str, where: str) -> str:
    """The text of a key that must hold some. Raises BadShape for none, and for anything but text."""
    return taken(_string(row, key, where), where, key)


def _string(row: dict[str, Json], key: str, where: str) -> str:
    value = field(row, key, where)
    if (
        not isinstance(value, str) or isinstance(value, Number) or not value
    ):  # a number is a text of a class of its own
        raise undocumented(f"{where}.{key} is {_kind(value)}, not a name")
    return value


def text(value: str, where: str) -> str:
    """The string. Raises BadShape for an unpaired surrogate: two names must not become one by what replaces it."""
    if not is_text(value):
        raise undocumented(f"{where} is not text (it has an unpaired surrogate)")
    return value


def optional_text(row: dict[str, Json], key: str, where: str) -> str | None:
    """The text or number of a key as text; None where it is null or not there. Raises BadShape otherwise."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise undocumented(f"{where}.{key} is {_kind(value)}, not a text")
    return taken(value, where, key)


def optional_flag(row: dict[str, Json], key: str, where: str) -> bool | None:
    """The true or false of a key; None where it is null or not there. Raises BadShape otherwise."""
    value = row.get(key)
    if value is not None and not isinstance(value, bool):
        raise undocumented(f"{where}.{key} is {_kind(value)}, not true or false")
    return value


def whole(value: Json) -> int | None:
    """The whole number that a number or a text of up to 18 digits stands for; None for anything else."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 18:
        return None
    return None if value[0] == "0" and value != "0" else int(value)


def amount(
    row: dict[str, Json], key: str, where: str, read: Callable[[str], Amount] = parse
) -> tuple[Amount, str]:
    """The amount of a key that must hold one, and the text as it was sent.

    `read` turns the text into whole units. Raises BadAmount for anything that is no amount.
    """
    if key not in row:
        raise _untrusted(f"{where}.{key} is missing")
    return _read(row[key], key, where, read)


def optional_amount(
    row: dict[str, Json], key: str, where: str, read: Callable[[str], Amount] = parse
) -> tuple[Amount | None, str | None]:
    """The amount of a key and its text; both None, for unknown, where it is null or not there."""
    value = row.get(key)
    return (None, None) if value is None else _read(value, key, where, read)


def taken(value: str, where: str, key: str) -> str:
    """A text of an answer as it was sent, to be shown, stored or cached. Raises EchoesCredential and BadShape."""
    return text(unechoed(value, where, key), f"{where}.{key}")


def unechoed(value: str, where: str, key: str) -> str:
    """A string of an answer as it was sent. Raises EchoesCredential."""
    if isinstance(value, Echoed):
        raise EchoesCredential(
            f"the provider's answer repeats a credential in {where}.{key}, and nothing of it is shown; "
            "tell the provider, and replace the credential"
        )
    return str(value)


def _read(value: Json, key: str, where: str, read: Callable[[str], Amount]) -> tuple[Amount, str]:
    if not isinstance(value, str):
        raise _untrusted(f"{where}.{key} is {_kind(value)}")
    sent = taken(value, where, key) if isinstance(value, Echoed) else str(value)
    try:
        return read(sent), sent
    except ValueError as problem:
        raise _untrusted(f'{where}.{key} is "{printable(hide(sent), _SAMPLE)}", {problem}') from None


def token(row: dict[str, Json], key: str, where: str) -> Secret:
    """The token that a login gave. Raises BadShape for one that no header could carry."""
    value = row.get(key)
    if isinstance(value, Echoed) and not value.echo.carried.found_in(value):
        # What a login gives is no echo, also where it gives the same token again.
        value.echo.texts.discard(value)
        row = {**row, key: str(value)}
    given = taken(_string(row, key, where), where, key)
    problem = validate_credential(given)
    if problem is not None:
        raise BadShape(
            f"the provider's answer cannot be used: the token in {where}.{key} {problem}; ask the provider"
        )
    return Secret(given)


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
