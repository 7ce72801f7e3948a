"""The folder of a record: made for one run, written once, and read only if every byte is unchanged.

`manifest.json` has the SHA-256 of every other file. `manifest.sha256`, which is written last, has that of
the manifest. Anyone who can write to the folder can replace both, so they only detect accidental changes.
For proof, store the manifest's SHA-256 somewhere that others control.
"""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from balcli.atomic import write_error
from balcli.errors import EvidenceAltered, EvidenceIncomplete, OutputError, UsageError
from balcli.files import CAN_CHECK, is_relative_to_nothing, nowhere, open_for_reading, shown, write_new
from balcli.text import printable

MANIFEST: Final = "manifest.json"
DOCUMENT: Final = "document.json"
_END: Final = "manifest.sha256"
_MOST_BYTES: Final = 128 * 1024 * 1024


class Files(NamedTuple):
    """The files of a record: the parsed manifest, its SHA-256, and the other files by name."""

    manifest: Any
    sha256: str
    others: Mapping[str, bytes]


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    from hashlib import sha256  # imported here, because few runs need it

    return sha256(data).hexdigest()


def claim(folder: Path) -> None:
    """Make the folder, or use an empty one, with access only for its owner. Raises OutputError."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        state = folder.stat()
        if CAN_CHECK and state.st_uid != os.getuid():
            raise OutputError(f"{shown(folder)} belongs to another user; use a folder that does not exist")
        if any(folder.iterdir()):
            raise OutputError(f"{shown(folder)} is not empty; use a folder that does not exist")
        folder.chmod(0o700)
    except OSError as problem:
        raise write_error(folder, problem) from None


def write(folder: Path, others: Mapping[str, bytes], manifest: Mapping[str, Any]) -> str:
    """Write a record into its folder. Returns the manifest's SHA-256. Raises OutputError and then leaves no file."""
    digests = {name: digest(data) for name, data in others.items()}
    data = f"{json.dumps({**manifest, 'files': digests}, indent=1)}\n".encode()
    sha256 = digest(data)
    contents = {**others, MANIFEST: data, _END: _end(sha256)}
    try:
        write_new({folder / name: content for name, content in contents.items()})
    except OSError as problem:
        raise write_error(folder, problem) from None
    return sha256


def read(folder: Path) -> Files:
    """The files of a complete record.

    Raises EvidenceAltered, EvidenceIncomplete, or UsageError if it is not a folder. A manifest with an unexpected
    shape raises KeyError, TypeError, ValueError, AttributeError or RecursionError.
    """
    if is_relative_to_nothing(folder):
        raise UsageError(nowhere(folder))
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as problem:
        raise UsageError(
            f"{shown(folder)} cannot be read as a record: {problem.strerror}; use a folder that --evidence created"
        ) from None
    missing = next((name for name in (_END, MANIFEST) if name not in names), None)
    if missing is not None:
        raise EvidenceIncomplete(
            f"{shown(folder)} has no {missing}: the run was interrupted, or the file was removed; "
            "do not use this record, and make a new one with --evidence"
        )
    data = _content(folder, MANIFEST)
    sha256 = digest(data)
    if _content(folder, _END) != _end(sha256):
        raise altered(folder, f"{MANIFEST} or {_END} was altered")
    manifest = json.loads(data)
    digests = {str(name): str(value) for name, value in manifest["files"].items()}
    strangers = sorted(names - {MANIFEST, _END} - digests.keys())
    if strangers:
        raise EvidenceAltered(
            f"{shown(folder)}: {printable(strangers[0], 60)} is not part of the record; remove it, or ask for a new record"
        )
    others = {}
    for name, expected in digests.items():
        if name not in names:
            raise altered(folder, f"{printable(name, 60)} is missing")
        others[name] = _content(folder, name)
        if digest(others[name]) != expected:
            raise altered(folder, f"{name} was altered")
    return Files(manifest, sha256, others)


def altered(folder: Path, what: str) -> EvidenceAltered:
    """The error of a record that was changed."""
    return EvidenceAltered(f"{shown(folder)}: {what}; ask for a new record")


def _end(sha256: str) -> bytes:
    """A line for `sha256sum -c`."""
    return f"{sha256}  {MANIFEST}\n".encode()


def _content(folder: Path, name: str) -> bytes:
    try:
        with os.fdopen(open_for_reading(folder / name), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise altered(folder, f"{name} is not a regular file")
            data = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise EvidenceAltered(
            f"{shown(folder)}: {name} cannot be read: {problem.strerror}; check its permissions and the disk"
        ) from None
    if len(data) > _MOST_BYTES:
        raise altered(folder, f"{name} is larger than any that balcli writes")
    return data
