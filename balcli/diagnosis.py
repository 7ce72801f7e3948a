"""The result of the doctor."""

from typing import Literal, NamedTuple, TypeAlias

from balcli.errors import BalcliError
from balcli.models import Report

Status: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


class Step(NamedTuple):
    """One check of the doctor, for an account or (None) for the whole run: its result, and what to do."""

    account: str | None
    step: str
    status: Status
    message: str
    cure: str | None = None

    @classmethod
    def failed(cls, account: str | None, step: str, error: BalcliError) -> "Step":
        """The step that ended with an error."""
        return cls.from_message(account, step, "failed", error.message)

    @classmethod
    def from_message(cls, account: str | None, step: str, status: Status, sentence: str) -> "Step":
        """The step with a message whose part after the last semicolon is the cure."""
        message, _, cure = sentence.rpartition("; ")
        return cls(account, step, status, message or cure, cure if message else None)


class Diagnosis(NamedTuple):
    """The result of the doctor; `report` is that of the run that it tried, without its balances."""

    steps: tuple[Step, ...]
    report: Report

    @property
    def exit_code(self) -> int:
        """The code that the run would have."""
        return self.report.exit_code
