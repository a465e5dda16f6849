"""Folds over markets and events: memory of schedules, attribution, statistics, alarms, series.

A fold is a value and a function that moves it; nothing here reads a clock. May import: the rest of `engine` and
below. Start reading at `memory`.
"""
