"""Requests to VelaFi: its endpoints, the token of an API key, every page of a list, and its errors."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

from balcli.errors import BadShape
from balcli.http.client import Endpoint, Request
from balcli.http.strictjson import Json
from balcli.providers import OWN
from balcli.providers.base import Run
from balcli.providers.parsing import (
    Row,
    as_list,
    as_object,
    bad_shape,
    check_count,
    login_token,
    own_error,
    required_field,
    whole_number,
)
from balcli.secret import Secret, reveal

T = TypeVar("T")

_PAGING: Final = ("pageSize", "currentPage")
ASSETS: Final = Endpoint("GET", "/v2/assets/account/assets", ("merchantId",))
TOKEN: Final = Endpoint("GET", "/v2/token/generate")
MERCHANTS: Final = Endpoint("GET", "/v2/merchants", ("status", *_PAGING))
# Documented next to a POST on the same path that opens an account: only GET is ever on the list.
FIAT: Final = Endpoint("GET", "/v2/merchant/accounts", _PAGING)

_PAGE_SIZE: Final = 1000
_MOST_PAGES: Final = 1000

# The vendor's table of error codes, with what to do about each.
_ADVICE: Final = {
    "-4010": "a parameter is invalid; check merchant_id",
    "-4021": "a parameter is not a number; check merchant_id",
    "-5006": "there is no such merchant; check merchant_id",
    "-5007": "the merchant is not valid; ask the provider to look at it",
    "-5033": "the key's owner is not an API user; ask the provider to enable API access",
    "-5043": "the identity check (KYC or KYB) is not finished; finish it with the provider",
    "-5046": "a general error at the provider; try again later",
}


# Success is HTTP 200 and an object whose `code` is 200, without another mark of an error.
_explain: Final = partial(own_error, OWN["merchant"], code_is_200=True, advice=_ADVICE)


class _Token(NamedTuple):
    """A generated token, and when it expires, in epoch milliseconds; None where that is unknown."""

    secret: Secret
    expires: int | None


class Session(NamedTuple):
    """Requests of one run with one credential: a token, or the API key that generates one with a secret."""

    run: Run
    base_url: str
    credential: Secret
    """The token; the API key if there is an `api_secret`."""
    api_secret: Secret | None

    @property
    def signed_with(self) -> tuple[Secret, ...]:
        """The key and secret behind a generated token; none for a fixed one."""
        return () if self.api_secret is None else (self.credential, self.api_secret)

    def get(self, endpoint: Endpoint, query: tuple[tuple[str, str], ...]) -> Json:
        """The response of an endpoint."""
        return self._with_token(partial(self._get, endpoint, query))

    def get_all(self, endpoint: Endpoint, query: tuple[tuple[str, str], ...] = ()) -> list[Row]:
        """All rows of one of the lists of the key."""

        def fetch_rows(token: Secret) -> list[Row]:
            def fetch_page(size: int, number: int) -> Json:
                paging = zip(_PAGING, (str(size), str(number)), strict=True)
                return self._get(endpoint, (*query, *paging), token)

            return all_rows(fetch_page, is_balances=endpoint is FIAT)

        return self._with_token(fetch_rows)

    def _get(self, endpoint: Endpoint, query: tuple[tuple[str, str], ...], token: Secret) -> Json:
        headers, signed_with = {"X-BH-TOKEN": token}, self.signed_with
        return self.run.client.request(
            Request(endpoint, self.base_url, _explain, query, headers, credentials=signed_with)
        )

    def _with_token(self, function: Callable[[Secret], T]) -> T:
        """What `function` returns for the token; a generated one is renewed once if it expired or was refused."""
        if self.api_secret is None:
            return function(self.credential)
        # It serves every merchant of the key.
        key = ("merchant", "token", self.base_url, self.credential)
        shared = self.run.share(key, partial(self._new_token, self.api_secret))
        token = shared.get()
        if token.expires is not None and _now_ms() >= token.expires:
            shared.renewed(token)
        return shared.use(lambda token: function(token.secret))

    def _new_token(self, api_secret: Secret) -> _Token:
        timestamp = str(_now_ms())
        signed = signature(reveal(api_secret), timestamp)
        payload = self.run.client.request(
            Request(
                TOKEN,
                self.base_url,
                _explain,
                query=(("timestamp", timestamp), ("signature", signed)),
                headers={"X-BH-APIKEY": self.credential},
                returns_credential=True,
                credentials=self.signed_with,
            )
        )
        data = as_object(required_field(payload, "data", "the answer"), "data")
        expires = whole_number(data.get("expireTime"))
        # A new token that has expired already means that a clock is wrong: then only its refusal counts.
        is_future = expires is not None and expires > _now_ms()
        return _Token(login_token(data, "token", "data"), expires if is_future else None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def signature(secret: str, timestamp: str) -> str:
    """The signature of a token request: HMAC-SHA256 over `timestamp=<ms>` under the secret, in lower-case hex."""
    import hashlib  # hashlib brings OpenSSL with it, which a --help has no use for
    import hmac

    return hmac.new(secret.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()


def all_rows(ask: Callable[[int, int], Json], *, is_balances: bool = False) -> list[Row]:
    """All rows of a list; `ask` returns the response for a page size and a page number, from 1.

    The list ends with its `total` if it has one, else with an empty page or one that repeats the last, as a server
    that does not page sends it. Raises BadShape for a list that ends before its `total`, or not at all, and
    AnswerTooLarge for a page with too many balances.
    """
    found: list[Row] = []
    previous: list[Row] = []
    total: int | None = None
    for page in range(1, _MOST_PAGES + 1):
        rows, total = _page(ask(_PAGE_SIZE, page))
        if is_balances:
            check_count(rows)
        is_over = not rows or rows == previous
        found += () if is_over else rows
        if is_over if total is None else len(found) >= total:
            return found
        if is_over:
            break
        previous = rows
    announced = "more" if total is None else f"{total} rows"
    raise BadShape(
        f"the provider announced {announced} and listed {len(found)}: the list is not complete; try again"
    )


def _page(payload: Json) -> tuple[list[Row], int | None]:
    """The rows of a page, under `data` or `record` (documented both), and how many there are in all, if it says."""
    data = required_field(payload, "data", "the answer")
    if isinstance(data, list):
        return [as_object(row, "a row of data") for row in data], None
    answer = as_object(data, "data")
    key = "record" if "record" in answer else "data"
    listed = as_list(required_field(answer, key, "data"), f"data.{key}")
    total = whole_number(answer.get("total"))
    page = [as_object(row, f"a row of data.{key}") for row in listed]
    if total is None and answer.get("total") is not None:
        raise bad_shape("data.total is no count")
    return page, total
