"""From valued positions to the requirement of every pool.

Here: a rulebook as array indices (`plan`), on the instruments of a book (`resolve`), the partition of a book into
pools (`pools`), what pools have (`equity`, `debts`), one file a model of positions (`ladder`, `short_options`), what
multiplies a model (`directional`), open orders (`orders`), positions recognised or netted together (`strategies`,
`netting`), why a pool is unknown (`issues`), and all of it added up (`pooled`).

Portfolio models stand in rooms of their own and meet in `joint`: `scenario` (grids), `tails` (joint scenarios),
`clearing` (scan and ranges), `standard` (Derive's standard manager), `health` (weighted cross collateral). Single rules of venues: `unified`, `close_out`,
`spot_hedge`, `okx_portfolio`, `bitmex_position`.

May import: `valuation` and below. Start reading at `pooled`. Letters: S scenarios, P positions, K pools, B buckets.
"""
