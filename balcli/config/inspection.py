"""A configuration as far as it goes: every profile, every account, and all that is wrong with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from balcli.config.accounts import Opened, looked_at
from balcli.config.faults import KeptFaults
from balcli.config.profile import Profile, ProfileFile, read_file, refuse_bad_bundle, without_file
from balcli.config.source import is_there
from balcli.errors import ConfigError


class Inspected(NamedTuple):
    """One profile with its accounts, and how many problems it has of its own."""

    profile: Profile
    accounts: tuple[Opened, ...]
    problems: int


class Inspection(NamedTuple):
    """What a file, or without one the environment, holds; and every problem of it."""

    file: ProfileFile | None
    profiles: tuple[Inspected, ...]
    problems: tuple[ConfigError, ...]
    elsewhere: int
    """How many of the problems are of no profile that could be gone through: the file's own, or its `.env`'s."""


def inspect(
    file: Path,
    *,
    must_exist: bool,
    name: str | None,
    every: bool,
    env_file: Path | None,
    environ: Mapping[str, str],
) -> Inspection:
    """The profile of that name, or the one that can only be meant; without a name every one, if `every` says so.

    It is read as a run reads it, but goes on behind each problem, and no command is run.
    """
    faults = KeptFaults()
    read: ProfileFile | None = None
    found: list[Inspected] = []
    with faults:
        if not must_exist and not is_there(file):
            before = faults.count
            profile = without_file(file, name=name, env_file=env_file, environ=environ, faults=faults)
            found.append(_inspected(profile, faults, before))
            return _inspection(None, found, faults)
        read = read_file(file, env_file=env_file, environ=environ, faults=faults)
        names: list[str | None] = [name]
        if every and name is None:
            names = [*read.names] or names
        for each in names:
            before = faults.count
            with faults:
                found.append(_inspected(read.profile(each, faults), faults, before))
    return _inspection(read, found, faults)


def _inspection(file: ProfileFile | None, found: list[Inspected], faults: KeptFaults) -> Inspection:
    elsewhere = faults.count - sum(each.problems for each in found)
    return Inspection(file, tuple(found), faults.found, elsewhere)


def _inspected(profile: Profile, faults: KeptFaults, before: int) -> Inspected:
    refuse_bad_bundle(profile, faults)
    accounts = tuple(looked_at(profile, faults))
    return Inspected(profile, accounts, faults.count - before)
