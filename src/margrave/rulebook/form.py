"""What every table of a rulebook shares."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class Form(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a rulebook: frozen, and unknown fields are refused."""
