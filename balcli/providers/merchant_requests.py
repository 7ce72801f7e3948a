"""Requests to VelaFi: endpoints, tokens, paging and errors."""

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
# A POST on the same path opens an account (documented): only GET is allowed.
FIAT: Final = Endpoint("GET", "/v2/merchant/accounts", _PAGING)

_PAGE_SIZE: Final = 1000
_MOST_PAGES: Final = 1000

# The vendor's error codes, with a cure for each.
_ADVICE: Final = {
    "-4010": "a parameter is invalid; check merchant_id",
    "-4021": "a parameter is not a number; check merchant_id",
    "-5006": "the merchant does not exist; check merchant_id",
    "-5007": "the merchant is not valid; ask the provider",
    "-5033": "the key's owner is not an API user; ask the provider to enable API access",
    "-5043": "the identity check (KYC or KYB) is not complete; complete it with the provider",
    "-5046": "a general error at the provider; try again later",
}


# Success is HTTP 200 and an object with `code` 200 and no sign of an error.
_explain: Final = partial(own_error, OWN["merchant"], code_is_200=True, advice=_ADVICE)


class _Token(NamedTuple):
    """A generated token and its expiry in epoch milliseconds (None if unknown)."""

    secret: Secret
    expires: int | None


class Session(NamedTuple):
    """Requests of one run with one credential: a token, or an API key and secret that generate one."""

    run: Run
    base_url: str
    credential: Secret
    """The token; the API key if there is an `api_secret`."""
    api_secret: Secret | None

    @property
    def signed_with(self) -> tuple[Secret, ...]:
        """The key and secret of a generated token; empty for a fixed token."""
        return () if self.api_secret is None else (self.credential, self.api_secret)

    def get(self, endpoint: Endpoint, query: tuple[tuple[str, str], ...]) -> Json:
        """The response of an endpoint."""
        return self._with_token(partial(self._get, endpoint, query))

    def get_all(self, endpoint: Endpoint, query: tuple[tuple[str, str], ...] = ()) -> list[Row]:
        """All rows of a list, from every page."""

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
        """The result of `function` for the token. A generated token is renewed once if it expired or was refused."""
        if self.api_secret is None:
            return function(self.credential)
        # One token serves every merchant of the key.
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
        data = as_object(required_field(payload, "data", "the body"), "data")
        expires = whole_number(data.get("expireTime"))
        # A new token that has already expired means that a clock is wrong: then only a refusal renews it.
        is_future = expires is not None and expires > _now_ms()
        return _Token(login_token(data, "token", "data"), expires if is_future else None)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def signature(secret: str, timestamp: str) -> str:
    """The signature of a token request: HMAC-SHA256 of `timestamp=<ms>` with the secret, in lowercase hex."""
    import hashlib  # it loads OpenSSL, which --help does not need
    import hmac

    return hmac.new(secret.encode(), f"timestamp={timestamp}".encode(), hashlib.sha256).hexdigest()


def all_rows(fetch_page: Callable[[int, int], Json], *, is_balances: bool = False) -> list[Row]:
    """All rows of a list; `fetch_page` returns the response for a page size and a page number, from 1.

    The list ends at its `total`. Without one, it ends at an empty page or a repeated page: a server without paging
    sends the same page again. Raises BadShape for a list that ends before its `total` or never, and AnswerTooLarge
    for a page with too many balances.
    """
    found: list[Row] = []
    previous: list[Row] = []
    total: int | None = None
    for page in range(1, _MOST_PAGES + 1):
        rows, total = _page(fetch_page(_PAGE_SIZE, page))
        if is_balances:
            check_count(rows)
        is_over = not rows or rows == previous
        found += () if is_over else rows
        if is_over if total is None else len(found) >= total:
            return found
        if is_over:
            break
        previous = rows
    expected = "more" if total is None else total
    raise BadShape(f"incomplete list: expected {expected} rows, got {len(found)}; try again later")


def _page(payload: Json) -> tuple[list[Row], int | None]:
    """The rows of a page, in `data` or `record` (both documented), and the number of all rows, if given."""
    data = required_field(payload, "data", "the body")
    if isinstance(data, list):
        return [as_object(row, "a row of data") for row in data], None
    answer = as_object(data, "data")
    key = "record" if "record" in answer else "data"
    listed = as_list(required_field(answer, key, "data"), f"data.{key}")
    total = whole_number(answer.get("total"))
    page = [as_object(row, f"a row of data.{key}") for row in listed]
    if total is None and answer.get("total") is not None:
        raise bad_shape("data.total is not a whole number")
    return page, total
