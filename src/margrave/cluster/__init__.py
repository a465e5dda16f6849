"""A venue that is larger than one process: shards of its book in workers of a Ray cluster (`venue`), an extra.

Here: which shard an account is of, and how answers of shards become one (`shards`); what a worker does (`worker`).
May import: `engine` and below. Start reading at `venue`.
"""
