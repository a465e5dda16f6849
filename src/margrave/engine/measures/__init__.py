"""What liquidations did, or would do: measures on plain arrays, of a simulated run and of recorded data alike.

May import: the rest of `engine` and below. Start reading at `density` (where liquidations stand), then `cascade` (what
they start), `run` (what happened), `burden` (who bore it).
"""
