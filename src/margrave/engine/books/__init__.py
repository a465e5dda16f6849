"""The calculation over books of any size, chunk by chunk.

Here: all pools (`venue`) and their sums (`venue_summary`), a rule on trial (`trial`), positions (`positions`), liquidation
prices (`bounds`; of what compiled kernels serve, `moved_coins` and `moved_ladders`), and after a move of prices only those whom it may touch (`safe`, `followed`).
May import: the rest of `engine` and below. Start reading at `venue`.
"""
