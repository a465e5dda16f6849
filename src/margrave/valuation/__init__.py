"""What each instrument is worth in each scenario, and what that makes of a position.

Here: instruments and one market as columns (`table`), their marks under shifted asset prices (`scenarios`),
profit, notional and delta of positions (`positions`). May import: `domain`, `rulebook`, `core`, `kernels`.
Start reading at `table`. Letters: S scenarios, I instruments, A assets, P positions.
"""
