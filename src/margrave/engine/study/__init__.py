"""Margin rules judged by the cascades that they cause: the same accounts, the same shock, one rule after another.

Here: the runs and their figures (`trials`), and what they say in plain sentences, the bad news first (`findings`).
May import: `engine.simulation`, `engine.measures` and below. Start reading at `trials`.
"""
