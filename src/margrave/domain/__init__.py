"""What people write: instruments, accounts, markets.

Here: contract terms with a payoff that is a type of its own (`instruments`), balances, positions and orders
(`account`), one instant of prices (`market`), what fills, funding and settlement do to a position (`fills`),
and any number of accounts as columns (`book`). May import: `core`, `kernels`. Start reading at `instruments`.
"""
