"""The calculation over books of any size: chunks (`venue`), sums (`venue_summary`), a rule on trial (`trial`).

A live book is a fold over events (`live`, `live_events`): what a tick or a fill touches is computed again
(`live_touch`, `live_pools`, `live_accounts`), and how long that took is the caller's to tell (`latency`). May import:
the rest of `engine` and below. Start reading at `venue`, then `live`.
"""
