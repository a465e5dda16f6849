"""On-chain margin systems in their own arithmetic: the integers, the order of steps and the rounding of the protocol.

A protocol here is pure functions of frozen value types in the protocol's own units, so that a number agrees with
the chain to the last digit; every sum comes with the parts that make it. May import: `core`, `kernels`, `domain`
and `rulebook`. Start reading at the module of a protocol's name.
"""
