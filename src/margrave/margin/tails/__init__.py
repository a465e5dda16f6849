"""Margin from the tail of joint scenarios: history or draws that move all assets together, revalued in full.

May import: what `margin` may. Start reading at `tail`.
"""
