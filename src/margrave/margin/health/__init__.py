"""Weighted cross collateral: tokens weighed by level and size, perpetuals, gains, open orders, slow prices.

Here: who is weighed together (`rows`), why a pool is unknown (`health_issues`), each holding at a level (`tokens`,
`perpetuals`, `spot_orders`), all of it added up (`health`), and as a tree (`health_tree`). Drift v2 and Mango v4 are
rulebooks of it (spec defi 3.2, 4.2); their exact integer twins stand in `margrave.protocols`.

What a pool has is counted in full in its equity. The requirement is what weights take away or add, so that equity less
requirement is the protocols' health. May import: `margin.pools`, `margin.plan` and below. Start reading at `health`.
Letters: S rows of prices, K pools, T tokens of pools, G perpetuals of pools, Q spot markets of pools.
"""
