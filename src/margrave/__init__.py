"""Margrave, a margin engine for crypto derivatives.

One calculation, ``assess(book, market, rulebook)``, gives equity, requirement, status of every margin pool,
and the tree of rules that led there. Its rooms stand on floors, and imports go down only. Start reading in
``margrave.engine``.
"""

__version__ = "0.1.0"
