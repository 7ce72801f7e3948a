"""The disk cache of public tables, such as the list of tokens. Never for secrets or balances.

A cached file is checked like a response: it must belong to the user, be recent, and have the right shape.
Otherwise, it is ignored.
"""

import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from balcli.errors import AnswerError
from balcli.files import base_folder, open_for_reading, permission_problem
from balcli.http.strictjson import Json, decode

_MOST_BYTES: Final = 8 * 1024 * 1024


class Cache:
    """Documents by key, each in its own file with mode 0600."""

    def __init__(self, folder: Path, *, chosen: bool) -> None:
        self._folder = folder
        self.chosen = chosen
        """Whether the user set the folder."""

    def read(self, key: str, seconds: float) -> Json:
        """The cached document of a key; None if it is missing or older than `seconds`."""
        try:
            file = self._file(key)
            with os.fdopen(open_for_reading(file), "rb") as stream:
                state = os.fstat(stream.fileno())
                age = time.time() - state.st_mtime
                if (
                    not stat.S_ISREG(state.st_mode)
                    or permission_problem(state, file)
                    or not 0 <= age <= seconds
                ):
                    return None
                entry = decode(stream.read(_MOST_BYTES))
        except (OSError, AnswerError):
            return None
        # A file can be copied, so it also contains the digest of its key. The key itself can contain a credential.
        return entry.get("document") if isinstance(entry, dict) and entry.get("key") == _digest(key) else None

    def write(self, key: str, document: object) -> None:
        """Write the document to the cache. Errors are ignored."""
        import tempfile  # imported here, like hashlib below: together they would take a tenth of the time of `--help`

        temporary = ""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with os.fdopen(handle, "w") as stream:
                json.dump({"key": _digest(key), "document": document}, stream)
            Path(temporary).replace(self._file(key))
        except OSError:
            if temporary:
                Path(temporary).unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._folder / f"{_digest(key)[:32]}.json"


def _digest(key: str) -> str:
    from hashlib import sha256

    return sha256(key.encode()).hexdigest()


def default_cache(environ: Mapping[str, str]) -> Cache | None:
    """The user's cache, in `$XDG_CACHE_HOME` or `~/.cache`. None if neither is an absolute path."""
    base = base_folder(environ, "XDG_CACHE_HOME", ".cache")
    return None if base is None else Cache(base / "balcli", chosen=bool(environ.get("XDG_CACHE_HOME")))
