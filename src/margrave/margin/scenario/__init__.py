"""Portfolio margin on a grid of scenarios: units, cells, charges, risk, levels.

May import: what `margin` may, and of `margin` itself pools, plan and requirement. Start reading at `scenarios`.
"""
