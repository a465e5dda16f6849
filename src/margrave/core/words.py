"""Names that several rooms use, each spelt once."""

from typing import Final

INITIAL: Final = 0
MAINTENANCE: Final = 1
LEVELS: Final = ("initial", "maintenance")
"""Margin levels in order of severity; the first axis of every requirement array, letter L."""

NUMERAIRE: Final = "USD"
"""Asset in which index prices are written unless a market says otherwise."""
