"""The hot loops, compiled to the machine's widest vector unit and cached on disk.

May import numpy and numba. Importing this room imports no compiler; importing one of the compiled modules does,
and says what to install where it is missing (extra ``fast``). `twins` has the same functions in NumPy: the oracle
of the tests, and what runs where there is no compiler.

Start reading in ``columns`` and ``black``, then ``worst``.

=====================  ===============================================================================================
``rows``               empty_rows, padded_rows: tables of scenarios in whole vectors
``columns``            GridOptions; Holdings, holdings_of; TierPositions, TierTable, tier_table: what kernels eat, checked
``black``              option_values: price and four Greeks; grid_values: options × scenarios
``worst``              worst_cells, worst_in_units: worst scenario of every account and of every unit
``coin_pools``         coin_pools: equity, worst scenario, roll and liquidity charges of pools in their contracts' coin
``moved_rows``         pools_at, move_coin: the same at other prices of a coin, with options priced by ``black_steps``
``ladder_pools``       ladder_pools: the same of positions margined one by one, with ``ladder_steps`` and ``ladder_orders``
``directional_pools``  directional_pools: multipliers of inverse schedules, net by net
``laid_out``           laid_out: accounts as pools, once for all ticks
``one_account``        pools_of_one, and ``one_by_size`` pools_by_size: one account through both passes, in one call
``tiers``              linear_ and inverse_ positions and pools: ladder margin and liquidation price
``twins``              the same functions in NumPy
``normal``             exponential, log_ratio, the normal tail: branch-free, the same bits on every machine
``intrinsics``         what Numba's Python cannot say: fma, bits, a row of scenarios in registers
``compiler``           kernel and its kin, the ways in which everything here is compiled; pieces of work for threads
``warming``            warm: compile everything before it is needed
=====================  ===============================================================================================

Rules: serial kernels that release the interpreter's lock, cut into pieces for threads by the caller; no
fast-math, every fused multiply-add written as such, no call of a mathematics library. Results are the same bytes
on any number of threads and any instruction set.
"""
