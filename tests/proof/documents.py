"""JSON documents and names of every kind: accepted, rejected or shown as the standard and the contract require."""

import csv
import io
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import Any, Final, TypeAlias

from balcli.errors import BadShape, BalcliError
from balcli.http import strictjson
from balcli.http.strictjson import Json, Number
from balcli.models import Account, Outcome, Report
from balcli.providers import loopring, merchant, wallet
from balcli.providers.base import Values
from balcli.providers.loopring_tokens import parse_tokens
from balcli.report import build
from balcli.secret import Secret
from tests.proof import tables
from tests.proof.conduct import Proof, Tally, conduct
from tests.proof.grammar import Expected, Refused, Told, read
from tests.proof.naughty import FAMILIES
from tests.proof.writing import (
    CHOICES,
    RARE,
    SPOILT_DOCUMENTS,
    SPOILT_VALUES,
    Made,
    document,
    mutated,
    quoted,
    spoilt_value,
)
from tests.rendering import machine

Decode: TypeAlias = Callable[[bytes], Json]

MOST_SECONDS: Final = 10.0
"""The CPU seconds that a document may take; most take some microseconds."""
NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


def told(value: object) -> Told:
    """A decoded document by the kinds of its values; other Python values by their type."""
    if isinstance(value, Number):
        return "number", str(value)
    if isinstance(value, str):
        return "text", value
    if value is None or isinstance(value, bool):
        return "word", json.dumps(value)
    if isinstance(value, list):
        return "list", tuple(told(item) for item in value)
    if isinstance(value, dict):
        return "object", tuple((key, told(item)) for key, item in value.items())
    return type(value).__name__, repr(value)


def outcome(function: Callable[[], Told]) -> Expected:
    """The result of a function, the code of the BalcliError that it raises, or the name of another exception."""
    try:
        return function()
    except (BalcliError, Refused) as refused:
        return refused.code
    except Exception as bug:  # noqa: BLE001 - a difference, printed with its case
        return f"raised {type(bug).__name__}"


def judge(decode: Decode, kind: str, body: bytes, expected: Expected, tally: Tally) -> None:
    """Decode a body and compare the value or the code, and check its time."""
    begun = time.thread_time()
    found = outcome(lambda: told(decode(body)))
    seconds = time.thread_time() - begun
    tally.took(kind, seconds)
    tally.compare(kind, body, expected, found)
    if seconds > MOST_SECONDS:
        tally.differs(kind, body, f"at most {MOST_SECONDS:g} s", f"{seconds:.1f} s")


def known(decode: Decode, kind: str, made: Made, tally: Tally) -> None:
    """A document with a known result, which the oracle must also find."""
    oracle = outcome(lambda: read(made.body))
    if oracle != made.expected:
        tally.differs("the oracle", made.body, made.expected, oracle)
    judge(decode, kind, made.body, made.expected, tally)


def accepts(decode: Decode, rng: random.Random, tally: Tally) -> None:
    """A valid document is read with all its values."""
    known(decode, "y: documents that must be read", document(rng), tally)


def refuses(decode: Decode, rng: random.Random, tally: Tally) -> None:
    """An invalid document is rejected as bad JSON."""
    kinds = [*SPOILT_VALUES, *SPOILT_DOCUMENTS]
    kind = rng.choice(kinds)
    body = SPOILT_DOCUMENTS[kind](rng) if kind in SPOILT_DOCUMENTS else spoilt_value(rng, kind)
    known(decode, f"n: {kind}", Made(body, "answer.json"), tally)


def chooses(decode: Decode, rng: random.Random, tally: Tally) -> None:
    """A document that the standard leaves open is read or rejected as the project decided."""
    weights = [0.02 if kind == RARE else 1.0 for kind in CHOICES]
    (kind,) = rng.choices(list(CHOICES), weights)
    known(decode, f"i: {kind}", CHOICES[kind](rng), tally)


def mutates(decode: Decode, rng: random.Random, tally: Tally) -> None:
    """A mutated document has the same result as in the oracle."""
    body = mutated(rng)
    expected = outcome(lambda: read(body))
    kind = "refused" if isinstance(expected, str) else "still documents"
    judge(decode, f"mutated documents, {kind}", body, expected, tally)


# Names, from the bytes of a response to the screen.


# The amount of each name, in smallest units (10**18 per whole unit) and in whole units.
UNITS: Final = b"1234567890123456789012"
WHOLE: Final = b"1234.567890123456789012"

HOST: Final = "https://host.example"


def relayer(name: bytes, decode: Decode) -> Outcome:
    """A relayer's balance of a token with that name, given as JSON."""
    values = Values({"api_key": Secret("no-credential-of-anybody"), "account_id": 1})
    account: Account[Any] = loopring.open_account("relayer", HOST, values)
    tokens = parse_tokens(decode(b'[{"tokenId":7,"symbol":' + name + b',"decimals":18}]'))
    answer = b'[{"tokenId":7,"total":"' + UNITS + b'","locked":"0"}]'
    return Outcome(account, loopring.parse(decode(answer), tokens, account), NOON, None)


def treasury(name: bytes, decode: Decode) -> Outcome:
    """A wallet's balance of an asset with that name, and an address in a network with that name."""
    values = Values({"access_token": Secret("no-credential-of-anybody"), "wallet_id": "1"})
    account: Account[Any] = wallet.open_account("treasury", HOST, values)
    row = b'"asset":' + name + b',"balance":"' + WHOLE + b'","holdBalance":"0","lockBalance":"0"'
    address = b'"depositAddress":{' + name + b':{"address":' + name + b',"memo":' + name + b"}}"
    answer = b'{"data":[{' + row + b"," + address + b"}]}"
    return Outcome(account, wallet.parse(decode(answer), account), NOON, None)


def shop(name: bytes, decode: Decode) -> Outcome:
    """A merchant's balance of an asset with that name. Its amounts do not add up, which causes a notice."""
    account: Account[Any] = merchant.open_account(
        "shop", HOST, Values({"token": Secret("no-credential-of-anybody")})
    )
    row = b'"asset":' + name + b',"assetName":' + name + b',"total":"' + WHOLE + b'","free":"1","locked":"0"'
    answer = b'{"data":{"balances":[{' + row + b"}]}}"
    return Outcome(account, merchant.parse(decode(answer), account), NOON, None)


PROVIDERS: Final = (relayer, treasury, shop)


def carried(name: str) -> str | None:
    """A name with surrogate pairs joined; None if it has an unpaired surrogate."""

    def joined(match: re.Match[str]) -> str:
        units = [ord(unit) for unit in match[0]]
        return chr(0x10000 + ((units[0] - 0xD800) << 10) + (units[1] - 0xDC00))

    whole = re.sub("[\ud800-\udbff][\udc00-\udfff]", joined, name)
    return None if re.search("[\ud800-\udfff]", whole) else whole


def carries(decode: Decode, rng: random.Random, tally: Tally) -> None:
    """A difficult name passes through a response, a report and all formats without changing an amount."""
    kind = rng.choice(list(FAMILIES))
    name = FAMILIES[kind](rng)
    provider = rng.choice(PROVIDERS)
    kind = f"names of the kind '{kind}'"
    tally.cases[kind] += 1
    begun = time.thread_time()
    shown = carried(name)
    try:
        report = build("main", [provider(quoted(rng, name), decode)])
        tables.demand(shown is not None, "a name that is no text is shown")
        # A symbol that looks like another token's label is followed by its id.
        imitates = provider is relayer and "#" in name
        in_every_format(report, f"{shown}#7" if imitates else shown or "", WHOLE.decode())
    except BadShape as refused:
        if shown is not None:
            tally.differs(kind, (provider.__name__, name), "shown", str(refused))
    except tables.Wrong as wrong:
        tally.differs(kind, (provider.__name__, name), "shown as it must be", str(wrong))
    except Exception as bug:  # noqa: BLE001 - a difference like any other, to be printed with its case
        tally.differs(kind, (provider.__name__, name), "shown", f"raised {type(bug).__name__}: {bug}")
    tally.took(kind, time.thread_time() - begun)


def in_every_format(report: Report, name: str, amount: str) -> None:
    """Raise Wrong unless the report's only row has this name and this amount in every format."""
    text = machine("json", report)
    row = json.loads(text)["balances"][0]
    tables.demand(text.isascii(), "the document is not in ASCII")
    tables.demand(
        (row["asset"], row["total"]) == (name, amount), f"json has {row['asset']!r}: {row['total']}"
    )
    for line in machine("jsonl", report).splitlines():
        entry = json.loads(line)
        if entry["type"] == "balance":
            tables.demand(entry["asset"] == name, f"jsonl has {entry['asset']!r}")
    (cells,) = [cells for cells in csv.reader(io.StringIO(machine("csv", report), "")) if amount in cells]
    tables.demand(len(cells) == 9 and not cells[2].startswith(tuple("=+-@\t\r")), f"csv has {cells}")
    for columns in (*tables.WIDTHS, None):
        table = tables.rendered(report, columns=columns, colour=False, addresses=True)
        tables.read(table, report, columns, with_addresses=True)


Check: TypeAlias = Callable[[Decode, random.Random, Tally], None]

CHECKS: Final[dict[Check, int]] = {accepts: 25, refuses: 22, chooses: 8, mutates: 40, carries: 5}
"""The kinds of cases, with the percentage of each."""


def work(decode: Decode, rng: random.Random, count: int) -> Tally:
    """The results of that many documents."""
    tally = Tally()
    shares = list(accumulate(CHECKS.values()))
    for check in rng.choices(list(CHECKS), cum_weights=shares, k=count):
        check(decode, rng, tally)
    return tally


def main(argv: Sequence[str], decode: Decode = strictjson.decode) -> int:
    """Compare documents with the oracle, a hundred thousand by default. Returns 1 if any differs."""
    return conduct(argv, Proof("documents", __doc__ or "", 100_000, 5_000, partial(work, decode)))
