"""What a fault is: where it plays, what it makes of a good reply, and the exit code that it must lead to."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from balcli.sandbox.exchange import Reply, Script, Turn

HERE: Final = "http://{here}"
"""The address of a fault for which the profile names the very host."""


def _well(turn: Turn) -> Reply:
    return turn.good


class Fault(NamedTuple):
    """One way to misbehave.

    `where` it plays: at the `balances`, the `login`, the answer with the assets' `names`, or `all`. `code` is
    the exit code of a run with one account, `but` that of single providers where it is another.
    """

    about: str
    code: int
    play: Callable[[Turn], Reply] = _well
    where: str = "balances"
    but: Mapping[str, int] = {}
    address: str = HERE
    """What the profile gives for the host: `{here}`, the `{closed}` port, or the `{deaf}` one."""
    slow: bool = False
    """Whether it ends only with the client's patience."""

    @property
    def others(self) -> str:
        """The exit codes of single providers as people read them, such as ` (loopring: 0)`; "" without any."""
        told = ", ".join(f"{name}: {code}" for name, code in self.but.items())
        return f" ({told})" if told else ""

    def code_for(self, provider: str) -> int:
        """The exit code of a run with one account at that provider."""
        return self.but.get(provider, self.code)


def always(reply: Reply) -> Callable[[Turn], Reply]:
    """Play the same reply every time."""
    return lambda _turn: reply


def at_odd_times(play: Callable[[Turn], Reply]) -> Callable[[Turn], Reply]:
    """Play at the first and every other request, so that a second try helps."""
    return lambda turn: play(turn) if turn.number % 2 else turn.good


def scripted(script: Script) -> Callable[[Turn], Reply]:
    """Leave the sending of the good reply to a script."""
    return lambda turn: turn.good._replace(script=script)


def with_body(make: Callable[[bytes], bytes]) -> Callable[[Turn], Reply]:
    """Answer well but for what this makes of the body."""
    return lambda turn: turn.good._replace(body=make(turn.good.body))
