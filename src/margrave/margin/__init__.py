"""From valued positions to the requirement of every pool.

Here: a rulebook as array indices (`plan`), on the instruments of a book (`resolve`), the partition of a book into pools (`pools`), one file a model
(`ladder`, `short_options`), what multiplies a model (`directional`), what open orders add (`orders`), option
positions recognised together (`strategies`), formula margin with offsets per expiry (`standard_manager`, beside
equity in `standard_pool`, explained in `standard_tree`), why a pool is unknown (`issues`), and all of it added up
(`pooled`). May import: `valuation` and
below. Start reading at `pooled`. Letters: S scenarios, P positions, K pools, B buckets (a pool's assets).

Portfolio margin of clearing houses, for one pool in one row of the market: its positions as columns (`held`), the
scan (`risk_arrays`, `spreads`, `scan`), and ranges of price points (`ranges`). From joint scenarios: where rows come
from (`joint_rows`), full revaluation (`revaluation`), the tail (`tail`, `tail_tree`), and its check (`tail_check`).
"""
