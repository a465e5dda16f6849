"""A venue that lives: a fold of events over a book (`venue`), in which only what they touch is computed again (`touch`).

Here: events (`events`), the bounded queue in which they wait (`queue`) and which ids were applied (`seen`); the working copy of a
batch (`fold`) with what events do to an account (`accounts`, `fees`), to all holders at once (`funding`) and to the market
(`prices`); who holds what (`holders`), pools as columns with their changes of status (`pools`), a screen from a proof
(`screen`), and how long events waited (`latency`).
May import: `engine.books`, `engine.changes`, `engine.assessment` and below. Start reading at `venue`.
"""
