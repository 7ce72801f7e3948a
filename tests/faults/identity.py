"""Faults in names, ids and owners, which make two things look like one, or one like two."""

from typing import Final

from balcli.sandbox.faults import Fault, Play, Rows, with_rows

_SLOT: Final = 32768


def _named(*names: str) -> Play:
    """Respond with these names for the first assets."""

    def change(rows: Rows) -> None:
        key = "symbol" if "symbol" in rows[0] else "asset"
        for row, name in zip(rows, names, strict=False):
            row[key] = name

    return with_rows(change)


def _slot(rows: Rows) -> None:
    """The relayer lists a token with an id in the NFT range. The account has it, and an NFT next to it."""
    if "symbol" in rows[0]:
        rows.append({**rows[0], "tokenId": _SLOT, "symbol": "VAULT"})
    elif "tokenId" in rows[0] and "nftId" not in rows[0]:
        rows += [
            {**rows[0], "tokenId": _SLOT},
            {**rows[0], "tokenId": _SLOT + 7_000, "total": "3", "locked": "0"},
        ]


def _stranger_nft(rows: Rows) -> None:
    if "nftId" in rows[0]:
        rows[0]["accountId"] += 1


def _unlisted(rows: Rows) -> None:
    if "symbol" in rows[0]:
        del rows[0]


IDENTITY: Final = {
    "case": Fault("two assets whose names differ only in case", 0, _named("USDT", "usdt"), "names"),
    "folding": Fault(
        "two assets whose names only a wider folding of case makes one", 0, _named("STORJ", "\u017ftorj"), "names"
    ),
    "ids": Fault("two assets with one name, under two ids where there are ids", 0, _named("USDT", "USDT"), "names"),
    "label": Fault("assets named like a label and like an NFT slot", 0, _named("LRC#1", f"nft:{_SLOT}"), "names"),
    "surrogate": Fault("an asset's name with half a character", 6, _named("lone\ud800surrogate"), "names"),
    "slot": Fault("Loopring lists a token where NFT slots are", 0, with_rows(_slot), "all"),
    "stranger-nft": Fault("Loopring gives an NFT of another account (--nfts)", 0, with_rows(_stranger_nft), "all"),
    "unlisted": Fault("Loopring does not list a token that the account holds", 0, with_rows(_unlisted), "all"),
}  # fmt: skip
