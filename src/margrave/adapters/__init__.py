"""Between Margrave and the world: files, venue payloads, frames, and published vectors.

Here: the case file (`files`, its form in `forms`), names of venues' instruments (`symbols`), payloads as they
come (`deribit`, `ccxt`), data frames (`frames`), published numbers (`conform`). May import: `engine` and below.
An adapter translates; it holds no margin formula. Start reading at `files`.
"""
