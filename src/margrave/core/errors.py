"""Everything that Margrave can say went wrong.

::

    MargraveError
    ├── InvalidInputError       a file, payload, rulebook or account is wrong; carries Issues
    ├── RefusedError            a change to an account is valid input but is not allowed; carries Issues
    └── CannotAssessError       this account cannot be assessed as a whole; carries Issues

Faults of the *caller's code* are ``ValueError``; faults of *ours* are assertions. A position that cannot be
valued raises nothing: it is an `Issue` of its pool, whose status is then ``unknown``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import final


class Reason(StrEnum):
    """Why something could not be done; stable words that scripts may match."""

    MALFORMED = "malformed"
    UNKNOWN_FIELD = "unknown field"
    INVALID_VALUE = "invalid value"
    WRONG_UNIT = "wrong unit"
    DUPLICATE = "duplicate"
    UNKNOWN_INSTRUMENT = "unknown instrument"
    MISSING_MARK = "missing mark"
    MISSING_INDEX = "missing index"
    MISSING_VOL = "missing vol"
    MISSING_OPEN_INTEREST = "missing open interest"
    MISSING_TOTAL = "missing total"
    STALE_MARK = "stale mark"
    NO_RULE = "no rule"
    NOT_PUBLISHED = "not published"
    NOT_IN_FORCE = "not in force"
    CONTRADICTION = "contradiction"
    NOT_MONOTONE = "not monotone"
    INSUFFICIENT = "insufficient margin"
    NOT_ALLOWED = "not allowed"
    NOT_FOUND = "not found"
    UNSUPPORTED = "unsupported"


@final
@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: where it is, what it is, and what to do about it."""

    where: str  # file and path, or account and instrument
    reason: Reason
    message: str  # one sentence: what, and what to do

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}: {self.message}"


class MargraveError(Exception):
    """Base of the errors that a user of Margrave may want to catch."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("\n".join(map(str, self.issues)))


@final
class InvalidInputError(MargraveError):
    """Input from outside is wrong. Nothing of it was used."""


@final
class RefusedError(MargraveError):
    """A change to an account breaks a rule. The account is as it was."""


@final
class CannotAssessError(MargraveError):
    """Nothing of the account can be assessed, for the reasons given."""


def invalid(where: str, reason: Reason, message: str) -> InvalidInputError:
    """Wrap one issue in an error ready to be raised."""
    return InvalidInputError([Issue(where, reason, message)])


def refused(where: str, reason: Reason, message: str) -> RefusedError:
    """Wrap one issue in a refusal ready to be raised."""
    return RefusedError([Issue(where, reason, message)])
