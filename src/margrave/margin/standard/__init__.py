"""Derive's standard manager: formula margin of a subaccount with offsets per expiry, in floats or in fixed point.

May import: what `margin` may. Start reading at `standard_manager`.
"""
