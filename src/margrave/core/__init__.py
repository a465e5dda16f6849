"""The words, errors and rounding that every room shares.

Here: the error tree and its reasons (`errors`), the only place that rounds (`rounding`), and the names of
margin levels (`words`). May import: nothing of Margrave. Start reading at `errors`.
"""
