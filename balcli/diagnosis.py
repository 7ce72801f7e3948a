"""The result of the doctor."""

from typing import Literal, NamedTuple, TypeAlias

from balcli.errors import BalcliError
from balcli.models import Report

Status: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


class Step(NamedTuple):
    """One check of the doctor, for an account or the whole run (None), with its result and cure."""

    account: str | None
    step: str
    status: Status
    message: str
    cure: str | None = None

    @classmethod
    def failed(cls, account: str | None, step: str, error: BalcliError) -> "Step":
        """The failed step for an error."""
        return cls.from_message(account, step, "failed", error.message)

    @classmethod
    def from_message(cls, account: str | None, step: str, status: Status, sentence: str) -> "Step":
        """The step of a message, whose cure follows the last semicolon."""
        message, _, cure = sentence.rpartition("; ")
        return cls(account, step, status, message or cure, cure if message else None)


class Diagnosis(NamedTuple):
    """The result of the doctor; `report` is that of its run, without balances."""

    steps: tuple[Step, ...]
    report: Report

    @property
    def exit_code(self) -> int:
        """The exit code that a run would have."""
        return self.report.exit_code
