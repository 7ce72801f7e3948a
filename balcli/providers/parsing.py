"""Parse a provider's response: each function returns a value of the documented type, or raises.

`where` is the place in the response, for messages. No value is guessed. `HoldingsBuilder` collects the balances of
one account, and `own_error` recognizes a provider's error.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from balcli.errors import (
    AnswerTooLarge,
    BadAmount,
    BadShape,
    BalcliError,
    CredentialsRefused,
    EchoesCredential,
    ProviderError,
)
from balcli.http.echoes import EchoedText
from balcli.http.response import refusal_message
from balcli.http.strictjson import Json, Number, error_text, message_text
from balcli.models import Account, Balance, Failure, Holdings, Notice
from balcli.money import Amount, is_nonzero, parse
from balcli.providers.selection import selects, unlisted
from balcli.secret import Secret, redact, validate_credential
from balcli.text import LONGEST_NAME, is_text, printable

T = TypeVar("T")
Row: TypeAlias = dict[str, Json]

MAX_ROWS: Final = 20_000
"""The most balances in one response."""
_SAMPLE: Final = 40
# A field whose name contains one of these may be an amount.
_FUNDS: Final = ("balance", "amount", "fund", "frozen", "reserve", "pending", "settle")
_LONGEST_FIELD: Final = 80
# Notices per account: a hostile response could have new field names in each row.
_MOST_FIELDS: Final = 100

# Neither KunaCore nor VelaFi documents errors with HTTP 200. A public client of KunaCore's sister exchange tests
# `errors`, `code` and `error` for any status (code). VelaFi sends its negative codes with 200 (inferred).
_GOOD_CODES: Final = frozenset({0, 200, 201})
_REFUSED: Final = frozenset({401, 403})
_REFUSED_WORDS: Final = frozenset({"unauthorized", "forbidden"})
_BAD_WORDS: Final = frozenset({"error", "fail", "failed", "failure", *_REFUSED_WORDS})
_CODES: Final = ("code", "statusCode", "status")
_ADVICE: Final = "check the account's settings, or ask the provider"


class NamedPlace(NamedTuple):
    """A place in a response, with a key that the provider chose. Its text is safe to print."""

    above: str
    name: str

    def __str__(self) -> str:
        return f"{self.above}.{message_text(self.name)}"


Place: TypeAlias = str | NamedPlace


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return "a list" if isinstance(value, list) else "an object"


def bad_shape(problem: str) -> BadShape:
    """The error for a response that does not have the documented shape; `problem` names the place."""
    return BadShape(f"unexpected response: {problem}; check base_url, or ask the provider")


def _untrusted(problem: str) -> BadAmount:
    return BadAmount(f"invalid amount in the response: {problem}; ask the provider")


def as_object(value: Json, where: Place) -> Row:
    """The value, if it is an object. Raises BadShape."""
    if not isinstance(value, dict):
        raise bad_shape(f"{where} is {_kind(value)}, not an object")
    return value


def as_list(value: Json, where: str) -> list[Json]:
    """The value, if it is a list. Raises BadShape."""
    if not isinstance(value, list):
        raise bad_shape(f"{where} is {_kind(value)}, not a list")
    return value


def required_field(value: Json, key: str, where: str) -> Json:
    """The value of a required key. Raises BadShape."""
    row = as_object(value, where)
    if key not in row:
        raise bad_shape(f"{where} has no {key}")
    return row[key]


def rows(value: Json, where: str, label: str) -> Iterator[tuple[str, Row]]:
    """Each object of a list with its place (`label[0]`, `label[1]`, …). Raises BadShape."""
    for number, item in enumerate(as_list(value, where)):
        place = f"{label}[{number}]"
        yield place, as_object(item, place)


def balance_rows(value: Json, where: str, label: str) -> Iterator[tuple[str, Row]]:
    """Like `rows`, for a list of balances. Raises BadShape, or AnswerTooLarge for too many."""
    check_count(as_list(value, where))
    return rows(value, where, label)


def check_count(balances: Sequence[object]) -> None:
    """Raise AnswerTooLarge if there are more than `MAX_ROWS` balances."""
    if len(balances) > MAX_ROWS:
        raise AnswerTooLarge(
            f"the response has {len(balances):,} rows, more than the limit of {MAX_ROWS:,}; ask the provider for fewer"
        )


def required_text(row: Row, key: str, where: str) -> str:
    """The string of a required key, which must not be empty. Raises BadShape or EchoesCredential."""
    value = required_field(row, key, where)
    if not isinstance(value, str) or isinstance(value, Number) or not value:
        raise bad_shape(f"{where}.{key} is {_kind(value)}, not a name")
    return checked_text(value, where, key)


def valid_text(value: str, where: str) -> str:
    """The string. Raises BadShape for an unpaired surrogate: replacing it could make two names equal."""
    if not is_text(value):
        raise bad_shape(f"{where} is not valid text (it has an unpaired surrogate)")
    return value


def optional_text(row: Row, key: str, where: Place) -> str | None:
    """The string or number of a key, as text; None if null or missing. Raises BadShape or EchoesCredential."""
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise bad_shape(f"{where}.{key} is {_kind(value)}, not a string")
    return checked_text(value, where, key)


def optional_flag(row: Row, key: str, where: str) -> bool | None:
    """The boolean of a key; None if null or missing. Raises BadShape."""
    value = row.get(key)
    if value is not None and not isinstance(value, bool):
        raise bad_shape(f"{where}.{key} is {_kind(value)}, not true or false")
    return value


def whole_number(value: Json) -> int | None:
    """The integer in a number or string of up to 18 digits; None for any other value."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 18:
        return None
    return None if value[0] == "0" and value != "0" else int(value)


def amount(row: Row, key: str, where: str, read: Callable[[str], Amount] = parse) -> Amount:
    """The amount of a required key; `read` converts its text to whole units. Raises BadAmount."""
    if key not in row:
        raise _untrusted(f"{where}.{key} is missing")
    return _amount(row[key], key, where, read)


def optional_amount(row: Row, key: str, where: str, read: Callable[[str], Amount] = parse) -> Amount | None:
    """The amount of a key; None (unknown) if null or missing. Raises BadAmount."""
    value = row.get(key)
    return None if value is None else _amount(value, key, where, read)


def checked_text(value: str, where: Place, key: str) -> str:
    """The text, once it is safe to show, store and cache. Raises EchoesCredential or BadShape."""
    if type(value) is str and value.isascii():
        return value  # nearly always
    return valid_text(reject_echo(value, where, key), f"{where}.{key}")


def reject_echo(value: str, where: Place, key: str) -> str:
    """Returns the string. Raises EchoesCredential if it repeats a credential."""
    if isinstance(value, EchoedText):
        raise EchoesCredential(
            f"the response repeats a credential in {where}.{key}, so it is not shown; "
            "replace the credential, and tell the provider"
        )
    return str(value)


def _amount(value: Json, key: str, where: str, read: Callable[[str], Amount]) -> Amount:
    if not isinstance(value, str):
        raise _untrusted(f"{where}.{key} is {_kind(value)}")
    sent = checked_text(value, where, key) if isinstance(value, EchoedText) else str(value)
    try:
        return read(sent)
    except ValueError as problem:
        raise _untrusted(f'{where}.{key} is "{printable(redact(sent), _SAMPLE)}", {problem}') from None


def login_token(row: Row, key: str, where: str) -> Secret:
    """The token that a login returned. Raises BadShape if a header cannot contain it."""
    value = row.get(key)
    if isinstance(value, EchoedText) and not value.echo.login_secrets.find_in(value):
        # Not an echo, even if a login returns the same token again.
        value.echo.texts.discard(value)
        row = {**row, key: str(value)}
    given = required_text(row, key, where)
    problem = validate_credential(given)
    if problem is not None:
        raise BadShape(f"unexpected response: the token {where}.{key} {problem}; ask the provider")
    return Secret(given)


class HoldingsBuilder:
    """Collects the balances and notices of one account while its rows are parsed.

    `assets` are those of `--asset`, and `limited` those with a threshold; empty means all. A bad amount is an error
    in a required row, and a notice in any other. Each field gets one notice, however many rows have it.
    """

    def __init__(
        self, account: Account[Any], assets: tuple[str, ...] = (), limited: tuple[str, ...] = ()
    ) -> None:
        self.account = account
        self.assets = assets
        self.balances: list[Balance] = []
        self.notices: list[Notice] = []
        self.listed: list[str] = []
        """The name of every asset in the response, shown or not."""
        self._limited = limited
        self._noted: set[tuple[str, str]] = set()

    def shows(self, *names: str) -> bool:
        """Whether `--asset` and the profile select the asset with these names."""
        return selects(self.assets, *names) and selects(self.account.assets, *names)

    def requires(self, *names: str) -> bool:
        """Whether a shown row must have valid amounts: its asset has a threshold, or no asset has one."""
        return selects(self._limited, *names)

    def amounts(
        self, row: Row, where: str, asset: str, read: Callable[[Row, str], T], *, required: bool
    ) -> T | None:
        """The result of `read` for a row; None and a notice if it raises and the row is not required.

        Raises BadAmount and BadShape for a required row.
        """
        try:
            return read(row, where)
        except (BadAmount, BadShape) as problem:
            if required:
                raise
            name = printable(asset, LONGEST_NAME)
            self.notify("row.unreadable", f"{name} (not requested) has unknown amounts: {problem.message}")
            return None

    def optional(self, row: Row, key: str, where: str, read: Callable[[Row, str, str], T]) -> T | None:
        """The result of `read` for a field that is not an amount; None and a notice if it raises BadShape."""
        try:
            return read(row, key, where)
        except BadShape as problem:
            if self._is_new("field.unreadable", key):
                self.notify("field.unreadable", f"{key} is unknown: {problem.message}")
            return None

    def raw(
        self, row: Row, asset: str, amounts: Sequence[str], fields: frozenset[str]
    ) -> dict[str, str | None]:
        """The `amounts` of a row as sent, and the nonzero amounts in fields that balcli does not read.

        `fields` are those that it reads. Any other field that sounds like an amount gets a notice.
        """
        raw = raw_texts(row, amounts)
        if row.keys() <= fields:  # nearly always
            return raw
        for path, text in dict(_unread_amounts(row, fields)).items():
            raw[path] = text
            if len(self._noted) < _MOST_FIELDS and self._is_new("field.unread", path):
                field, name = printable(path, _LONGEST_FIELD), printable(asset, LONGEST_NAME)
                self.notify(
                    "field.unread",
                    f"{name} has {field} = {text}, which balcli does not read or include in totals; "
                    "ask the provider what it means",
                )
        return raw

    def notify(self, code: str, message: str) -> None:
        """Add a notice on the account."""
        self.notices.append(Notice(code, self.account.name, message))

    def holdings(self, failure: tuple[str, Failure] | None = None) -> Holdings:
        """The account's holdings, with a notice for each requested asset that is not listed.

        If one kind of row failed (`failure`, such as `fiat`), it is unknown which assets are listed.
        """
        balances, notices = tuple(self.balances), tuple(self.notices)
        if failure is not None:
            return Holdings(balances, notices, failed=(failure,))
        asked = self.assets or self.account.assets
        missing = unlisted(self.account.name, asked, balances, self.listed) if asked else ()
        return Holdings(balances, (*notices, *missing))

    def _is_new(self, code: str, field: str) -> bool:
        new = (code, field) not in self._noted
        self._noted.add((code, field))
        return new


def raw_texts(row: Mapping[str, Json], fields: Sequence[str]) -> dict[str, str | None]:
    """The strings and numbers of these fields as sent; None for any other value."""
    raw: dict[str, str | None] = {}
    for field in fields:
        value = row.get(field)
        raw[field] = str(value) if isinstance(value, str) else None
    return raw


def _unread_amounts(
    row: Mapping[str, Json], fields: frozenset[str], before: str = ""
) -> Iterator[tuple[str, str]]:
    """The path and text of each nonzero amount in unread fields that sound like amounts, nested ones included."""
    for key, value in row.items():
        path = f"{before}{key}"
        if path in fields:
            continue
        if isinstance(value, dict):
            yield from _unread_amounts(value, fields, f"{path}.")
        elif isinstance(value, str) and any(part in path.casefold() for part in _FUNDS) and is_nonzero(value):
            yield path if is_text(path) else printable(path), str(value)


def own_error(
    title: str,
    status: int,
    payload: Json,
    *,
    code_is_200: bool = False,
    advice: Mapping[str, str] = MappingProxyType({}),
) -> BalcliError | None:
    """The provider's error in a response; None if the response is good, or only its status is an error.

    With `code_is_200`, a good response must have the `code` 200. `advice` has the cures for some codes.
    """
    answer = payload if isinstance(payload, dict) else {}
    is_marked = is_error(answer)
    if status < 400 and not is_marked and (not code_is_200 or _is_in(answer.get("code"), {200})):
        return None
    message = error_text(payload)
    refused = CredentialsRefused(refusal_message(title, status, message), http_status=status)
    if status in _REFUSED:
        return refused if answer else None
    codes = [*_error_codes(answer), *_own_codes(answer)]
    if status < 400 and any(_is_in(code, _REFUSED) or _is_word(code, _REFUSED_WORDS) for code in codes):
        return refused
    if status < 400 and not is_marked:
        codes = [answer.get("code")]
    code = next(filter(None, map(message_text, codes)), "")
    if not code and not is_marked and status < 400:
        return BadShape(
            f"{title} returned a response without a code; check base_url, or ask the provider",
            http_status=status,
        )
    if not code and not message and status >= 400:
        return None
    what = f"error {code or status}" if code or status >= 400 else "an error"
    advised = f": {advice[code]}" if code in advice else f"; {_ADVICE}"
    return ProviderError(f"{title} returned {what} ({message or 'no message'}){advised}", http_status=status)


def is_error(answer: dict[str, Json]) -> bool:
    """Whether a response says that it is an error, at its top level or in its `data`."""
    if _own_codes(answer):
        return True
    for part in (answer, answer.get("data")):
        if isinstance(part, dict) and (
            part.get("success") is False or _is_filled(part.get("errors")) or _is_filled(part.get("error"))
        ):
            return True
    return False


def _own_codes(answer: dict[str, Json]) -> list[Json]:
    """The error codes at the top level of a response."""
    kinds = (("code", _is_bad_code), ("statusCode", _is_bad_code), ("status", _is_bad_status))
    return [answer[key] for key, is_bad in kinds if key in answer and is_bad(answer[key])]


def _error_codes(answer: dict[str, Json]) -> Iterator[Json]:
    """The codes in the error objects of a response."""
    for part in (answer, answer.get("data")):
        for value in (part.get("errors"), part.get("error")) if isinstance(part, dict) else ():
            for item in value if isinstance(value, list) else [value]:
                yield from (item.get(key) for key in _CODES if isinstance(item, dict))


def _is_bad_code(value: Json) -> bool:
    """Whether a `code` or `statusCode` means an error. Unknown words do not."""
    if _is_numeric(value):
        return not _is_in(value, _GOOD_CODES)
    return isinstance(value, bool | list | dict) or _is_word(value, _BAD_WORDS)


def _is_bad_status(value: Json) -> bool:
    """Whether a `status` means an error: a number of 400 or more, or a known word."""
    if not isinstance(value, Number):
        return _is_word(value, _BAD_WORDS)
    number = _code_number(value)
    return number is None or Amount(400) <= number


def _is_filled(value: Json) -> bool:
    """Whether an `error` or `errors` has content: null, false, 0, "", [] and {} have none."""
    return bool(value) and not (isinstance(value, Number) and _is_in(value, {0}))


def _is_word(value: Json, among: frozenset[str]) -> bool:
    return isinstance(value, str) and value.casefold() in among


def _is_numeric(value: Json) -> bool:
    """Whether a value is a number or a string of digits."""
    return isinstance(value, Number) or (isinstance(value, str) and value.isascii() and value.isdigit())


def _is_in(value: Json, numbers: frozenset[int] | set[int]) -> bool:
    if not isinstance(value, str) or not _is_numeric(value):
        return False
    number = _code_number(value)
    return number is not None and any(number == Amount(each) for each in numbers)


def _code_number(text: str) -> Amount | None:
    """The value of a code that is a number or a string of digits; None if it is too large."""
    try:
        return parse(text if isinstance(text, Number) else text.lstrip("0") or "0")
    except ValueError:
        return None
