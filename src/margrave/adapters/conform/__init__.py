"""Published vectors through the public calculation. Translators only translate: they hold no margin formula.

Here: reading and running (`runner`), judging (`judge`), domain objects from a vector (`objects`), one module of
translators a family of models (`futures`, `positions`, `ladders`, `options`, `deribit`, `prices`, `protocol_*`).
Start reading at `runner`.
"""

from margrave.adapters.conform.runner import Report, Result, run

__all__ = ["Report", "Result", "run"]
