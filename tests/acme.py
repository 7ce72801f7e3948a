"""A plugin's provider that does what its account's `fault` says, and a function that installs it."""

from pathlib import Path
from typing import Final

SOURCE: Final = """
import builtins, os, sys
import typer
from balcli import errors
from balcli.models import Account, Balance, DepositAddress, Holdings, Notice
from balcli.money import Amount
from balcli.providers.base import Flag, Key, SettingProblem

print("a plug-in says hello")
NAME, TITLE, BASE_URL = "acme", "Acme API", "https://api.acme.example"
KEYS, FLAGS, ENDPOINTS = (Key("fault", "text", "what goes wrong"),), (Flag("more", "More."),), ()

class Own(errors.NetworkError):
    code = "network.own"

class Well(errors.BalcliError):
    code, exit_code = "well", 0

class Odd(BaseException):
    pass

def row(**given):
    return Balance(**{"account": "acme", "provider": NAME, "asset": "EUR", "asset_id": None, "total": Amount(1),
                      "available": Amount(1), "locked": Amount(0), **given})

def do(fault, base):
    print("a plug-in says", fault)
    return eval(fault, {**globals(), "base": base, "die": die})

def die(problem):
    raise problem

def open_account(name, base_url, values):
    kind, _, fault = values.text("fault").partition(":")
    account = Account(name, NAME, base_url, {"user": "7"}, (base_url, name), values.text("fault"))
    return do(fault, account) if kind == "open" else account

def fetch(account, run):
    kind, _, fault = account.settings.partition(":")
    good = Holdings((row(account=account.name),))
    return do(fault, good) if kind == "fetch" else good

def expand(account, run):
    kind, _, fault = account.settings.partition(":")
    return do(fault, account) if kind == "expand" else [account]
"""
# A fault is `open:`, `fetch:` or `expand:`, followed by what that function returns or does instead.


def install(folder: Path, source: str = SOURCE) -> dict[str, str]:
    """The environment in which a plugin with this source is installed."""
    (folder / "balcli_acme.py").write_text(source)
    info = folder / "balcli_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: balcli-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[balcli.providers]\nacme = balcli_acme\n")
    return {"PYTHONPATH": str(folder)}
