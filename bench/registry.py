"""The benchmarks by name, in the order in which they run. Modules are imported when they run."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from bench.measure import Section, Setting

SECTIONS = (
    "account",
    "scenarios",
    "pricing",
    "aggregation",
    "venue_tick",
    "tiers",
    "book",
    "live",
    "safe",
    "bytes",
    "startup",
)
"""Modules of `bench`."""

PACKAGES = (
    "margrave", "numpy", "scipy", "numba", "llvmlite", "numexpr", "QuantLib", "vollib", "iv-engine", "polars", "duckdb",
    "pyarrow", "msgspec",
)  # fmt: skip
"""Whose versions a result states."""


def section(name: str) -> Callable[[Setting], list[Section]]:
    """The function of a benchmark."""
    return cast(Callable[[Setting], list[Section]], import_module(f"bench.{name}").run)
