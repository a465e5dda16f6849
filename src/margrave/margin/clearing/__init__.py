"""Portfolio margin as clearing houses do it: the sixteen-scenario scan, and ranges of ten points.

Contracts are valued once (`members`), then pools add them up. May import: what `margin` may. Start reading at `scan`.
"""
