"""Composition without formulas: assess an account, ask what if, change an account.

Here: the one calculation (`assess`), its answer (`assessment`), the tree of a requirement (`explain`), before and after
(`whatif`, `changes`), and rooms for what is asked of it many times: `analysis`, `default`, `paths`, `books`, `live`, `measures`,
`simulation`.
May import: `liquidation` and below. Start reading at `assess`.
"""
