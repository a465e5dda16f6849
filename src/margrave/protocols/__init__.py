"""Margin systems that live on a chain, each by the protocol's own arithmetic.

Here: one module a protocol, and one for its liquidation where that is long. Integer protocols calculate in Python's
integers with the protocol's rounding, so that every number is the chain's own; the others are formulas on floats.
May import: `core`, `kernels`, `domain` and `rulebook`. Start reading at `dydx`.
"""
