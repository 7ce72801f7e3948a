"""Faults of the sandbox for tests only: they are rarer than those that `balcli sandbox --faults` lists."""

from typing import Final

from balcli.sandbox.faults import FAULTS, Fault
from tests.faults.bodies import AMOUNTS, DOCUMENTS, HARD
from tests.faults.echoes import REPEATED
from tests.faults.identity import IDENTITY
from tests.faults.refusals import PRETENCES, REDIRECTS, REFUSALS
from tests.faults.transport import ADDRESSES, CONNECTIONS, FRAMING

LISTED: Final = dict(FAULTS)
"""The faults for users."""
ALL: Final[dict[str, Fault]] = {
    **LISTED,
    **REFUSALS,
    **REDIRECTS,
    **ADDRESSES,
    **CONNECTIONS,
    **FRAMING,
    **PRETENCES,
    **DOCUMENTS,
    **AMOUNTS,
    **HARD,
    **IDENTITY,
    **REPEATED,
}
"""All faults, including those of the tests, by name."""
SLOW: Final = {"login-silent", "deaf", "handshake", "silent", "head-drip", "body-drip", "continue"}
"""The faults that end only with the client's timeout."""


def register() -> None:
    """Add all faults to the sandboxes of this process."""
    FAULTS.update(ALL)
