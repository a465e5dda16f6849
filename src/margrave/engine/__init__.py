"""Composition without formulas: assess an account, ask what if, compare rules, change an account.

Here: the one calculation (`assess`), its answer (`assessment`), the tree of a requirement (`explain`), a
book of any size in chunks (`venue`, summed up in `venue_summary`), and what is asked of the calculation many times (`offset`, `contributions`, `stress`, `optimise`, `trial`, `tails`). May import:
`liquidation` and below. Start reading at `assess`.
"""
