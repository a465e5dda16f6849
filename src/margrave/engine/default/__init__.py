"""What follows a shortfall: slices closed step by step, the fund, deleveraging, and a ledger that adds up to zero.

May import: the rest of `engine` and below. Start reading at `unwind`, then `waterfall`.
"""
