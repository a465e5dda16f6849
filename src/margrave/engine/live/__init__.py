"""A venue that lives: a fold of events over a book (`venue`), in which only what they touch is computed again (`touch`).

Here: events and the bounded queue in which they wait (`events`), what they do to an account (`accounts`), pools as columns
with their changes of status (`pools`), and how long events waited (`latency`).
May import: `engine.books`, `engine.changes`, `engine.assessment` and below. Start reading at `venue`.
"""
