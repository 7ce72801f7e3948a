"""Profile files, and the accounts in a run's document."""

from pathlib import Path

from tests.conftest import Result


def private(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    """A new file with this content, by default readable only by its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def names(result: Result) -> list[str]:
    """The names of the accounts in a run's document, in order."""
    return [account["account"] for account in result.json["accounts"]]


def codes(result: Result) -> list[str]:
    """The codes of the errors that stopped the whole run."""
    return [error["code"] for error in result.json["errors"]]
