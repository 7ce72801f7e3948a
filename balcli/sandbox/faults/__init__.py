"""How the stand-in can misbehave, by name: so that users can try their alerts, and tests the program."""

from typing import Final

from balcli.sandbox.faults.bodies import AMOUNTS, DOCUMENTS, HARD
from balcli.sandbox.faults.echoes import REPEATED
from balcli.sandbox.faults.fault import Fault
from balcli.sandbox.faults.identity import IDENTITY
from balcli.sandbox.faults.refusals import PRETENCES, REDIRECTS, REFUSALS
from balcli.sandbox.faults.transport import ADDRESSES, CONNECTIONS, FRAMING

EXPIRED: Final = "expired"
"""The fault that the parts play themselves: they alone know which tokens they gave out."""

FAULTS: Final[dict[str, Fault]] = {
    EXPIRED: Fault("every generated token and JWT expires once, in mid-run", 0),
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
"""The faults by name, as `balcli sandbox --faults` lists them."""
