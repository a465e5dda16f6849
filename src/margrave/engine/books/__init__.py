"""The calculation over books of any size: chunks (`venue`), sums (`venue_summary`), a rule on trial (`trial`).

May import: the rest of `engine` and below. Start reading at `venue`.
"""
