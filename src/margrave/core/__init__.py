"""The words, errors and rounding that every room shares.

Here: the error tree and its reasons (`errors`), the only place that rounds (`rounding`), numbers of
eighteen decimals as a protocol on a chain has them (`fixed`), and the names of
margin levels (`words`). May import: nothing of Margrave. Start reading at `errors`.
"""
