"""The calculation over books of any size: chunks (`venue`), sums (`venue_summary`), a rule on trial (`trial`),
positions (`positions`), liquidation prices (`bounds`), and after a move of prices only who it may touch (`safe`, `followed`).

May import: the rest of `engine` and below. Start reading at `venue`.
"""
