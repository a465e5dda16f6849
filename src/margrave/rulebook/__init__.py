"""A venue's rules as dated, sourced data.

Here: the form of a rulebook (`schema`), reading one and saying what is wrong with it (`load`), finding the
one in force at an instant (`catalogue`), differences between two (`difference`), changes to one that give
another (`reform`), and the venues' files (`venues/*.toml`). May import: `core`, `kernels`. Start reading at
`schema`.

Parameters of clearing houses' portfolio margin stand in `clearing`, those of joint scenarios in `tail`.
"""
