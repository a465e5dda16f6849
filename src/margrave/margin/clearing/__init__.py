"""Portfolio margin as clearing houses do it: the sixteen-scenario scan, and ranges of ten points.

A pool in one row of the market at a time (`held`). May import: what `margin` may. Start reading at `scan`.
"""
