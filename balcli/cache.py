"""The cache on disk, for public tables such as the list of tokens. Never for secrets or balances.

A cached file is checked as an answer is: it must be the user's own, recent, and of the right shape. With a
file that is not, the run goes on without the cache.
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
    """Documents under keys, each in a file of its own with mode 0600."""

    def __init__(self, folder: Path, *, chosen: bool) -> None:
        self._folder = folder
        self.chosen = chosen
        """Whether the user named the folder."""

    def read(self, key: str, seconds: float) -> Json:
        """The document under the key, if one was written in the last so many seconds; None if not."""
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
        # The key's digest is in the file, too: a file can be copied. The key itself can hold a credential.
        return entry.get("document") if isinstance(entry, dict) and entry.get("key") == _digest(key) else None

    def write(self, key: str, document: object) -> None:
        """Keep the document; where that cannot be done, nothing is kept."""
        import tempfile  # here, as the digest below: they would be a tenth of a `--help`

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
    """The user's cache, under `$XDG_CACHE_HOME` or `~/.cache`; None where there is no such fixed place."""
    base = base_folder(environ, "XDG_CACHE_HOME", ".cache")
    return None if base is None else Cache(base / "balcli", chosen=bool(environ.get("XDG_CACHE_HOME")))
