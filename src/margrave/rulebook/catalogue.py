"""The rulebooks that ship with Margrave, and which of them was in force when."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib import resources
from typing import final

import msgspec

from margrave.core.errors import Reason, invalid, refused
from margrave.rulebook.form import Form
from margrave.rulebook.load import parse
from margrave.rulebook.schema import Rulebook


@final
class Unpublished(Form, frozen=True):
    """A venue's model of which too little is published for a rulebook."""

    id: str  # venue.model
    venue: str
    what: str  # what is missing
    source: str  # where the rest was read
    instead: str  # id of what ships of this venue


@final
class _Unpublished(Form, frozen=True):
    unpublished: tuple[Unpublished, ...]


@cache
def unpublished() -> tuple[Unpublished, ...]:
    """Models that are known and cannot be answered, in order of id."""
    text = (resources.files("margrave.rulebook") / "unpublished.toml").read_text(encoding="utf-8")
    known = msgspec.toml.decode(text, type=_Unpublished).unpublished
    return tuple(sorted(known, key=lambda u: u.id))


@cache
def shipped() -> tuple[Rulebook, ...]:
    """Every rulebook that ships, in order of id and date."""
    folder = resources.files("margrave.rulebook") / "venues"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    books = [_read(f.name) for f in files]
    return tuple(sorted(books, key=lambda b: (b.id, b.valid_from)))


def text_of(rulebook: Rulebook) -> str:
    """TOML of a shipped rulebook, with its comments."""
    name = f"{rulebook.id}@{rulebook.valid_from:%Y-%m-%d}.toml"
    return (resources.files("margrave.rulebook") / "venues" / name).read_text(encoding="utf-8")


@cache
def _read(name: str) -> Rulebook:
    file = resources.files("margrave.rulebook") / "venues" / name
    return parse(file.read_text(encoding="utf-8"), name)


def in_force(name: str, at: datetime, books: Iterable[Rulebook] | None = None) -> Rulebook:
    """The rulebook of an id that held at an instant.

    Parameters
    ----------
    name : str
        ``venue.model``, optionally with ``@YYYY-MM-DD`` for the rules of that day whatever ``at`` says.
    at : datetime
        Instant, with time zone.
    books : iterable of Rulebook, optional
        Where to look; the shipped ones by default.

    Raises
    ------
    InvalidInputError
        No rulebook of that id, or none in force at that instant; the message lists what there is.
    RefusedError
        The venue has such a model and does not publish its parameters; the message says what is missing.
    """
    identity, _, day = name.partition("@")
    if day:
        try:
            at = datetime.fromisoformat(f"{day}T23:59:59+00:00")
        except ValueError as fault:
            raise invalid(
                name, Reason.INVALID_VALUE, f"{day!r} is not a day; write {identity}@2026-11-01"
            ) from fault
    every = tuple(shipped() if books is None else books)
    versions = [b for b in every if b.id == identity]
    if not versions:
        _refuse_unpublished(identity)
        raise invalid(
            name,
            Reason.NOT_FOUND,
            f"no rulebook has this id; there are {', '.join(sorted({b.id for b in every}))}",
        )
    held = [b for b in versions if b.valid_from <= at and (b.valid_until is None or at < b.valid_until)]
    if not held:
        spans = ", ".join(
            f"from {b.valid_from:%Y-%m-%d}" + (f" until {b.valid_until:%Y-%m-%d}" if b.valid_until else "")
            for b in versions
        )
        raise invalid(
            name,
            Reason.NOT_IN_FORCE,
            f"no version was in force at {at:%Y-%m-%d %H:%M}Z; known: {spans}. Choose a day with {identity}@YYYY-MM-DD",
        )
    return max(held, key=lambda b: b.valid_from)


def _refuse_unpublished(identity: str) -> None:
    for model in unpublished():
        if model.id == identity:
            message = f"{model.venue} does not publish {model.what} (read: {model.source}); choose {model.instead}, or write a rulebook"
            raise refused(identity, Reason.NOT_PUBLISHED, message)
