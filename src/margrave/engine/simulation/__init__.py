"""A venue in a closed loop: the margin rule decides who is closed, and whoever is closed moves the price.

Here: the loop (`run`), what it is told (`settings`, `path`), its state in whole numbers (`state`, `opening`), the events that
move it (`events`), and the stages of a round (`prices`, `margining`, `closing`, `shortfall`, `deleveraging`, `flows`).
May import: the rest of `engine` and below. Start reading at `run.simulate`.
"""
