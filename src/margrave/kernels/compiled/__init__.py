"""The hot loops, compiled to the machine's widest vector unit and cached on disk.

May import numpy and numba. Importing this room imports no compiler; importing one of the compiled modules does,
and says what to install where it is missing (extra ``fast``). `twins` has the same functions in NumPy: the oracle
of the tests, and what runs where there is no compiler.

Start reading in ``black``, then ``worst``.

==============  ===============================================================================================
``intrinsics``  fma, bits_of, double_of, worst_lane, count_below: what Numba's Python cannot say
``compiler``    kernel, the one way in which everything here is compiled; in_pieces, threads
``normal``      exponential, logarithm, tail_quotient: branch-free, no library call, the same bits on every CPU
``black``       option_values: price and four Greeks; grid_values: options × scenarios
``rows``        empty_rows, padded_rows: tables of scenarios in whole vectors
``worst``       Holdings, holdings_of; worst_cells, worst_in_units: worst scenario of every account
``tiers``       TierTable; linear_ and inverse_ positions and pools: ladder margin and liquidation price
``warming``     warm: compile everything before it is needed
``twins``       the same in NumPy
==============  ===============================================================================================

Rules: serial kernels that release the interpreter's lock, cut into pieces for threads by the caller; no
fast-math, every fused multiply-add written as such, no call of a mathematics library. Results are the same bytes
on any number of threads and any instruction set.
"""
