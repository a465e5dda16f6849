"""Between Margrave and the world: files, venue payloads, frames, and published vectors.

Here: the case file (`files`, its form in `forms`), names of venues' instruments (`symbols`), payloads as they
come (`deribit`, `ccxt`), data frames (`frames`), whole books from tables (`columns`, their files and results in
`book_files`, a made one in `made_book`), published numbers (`conform`). May import: `engine` and below.
An adapter translates; it holds no margin formula. Start reading at `files`.
"""
