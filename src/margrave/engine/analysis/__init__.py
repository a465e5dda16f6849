"""Questions that ask the one calculation many times, of one account at one instant.

Here: what hedges save and what each leg costs (`offset`, `contributions`, `parts`), what breaks an account (`stress`,
`solvency`, `breakdown`), cheapest trades (`optimise`, `hedges`), other rules (`compare`, `models`, `eligibility`), and
views (`exposure`, `metrics`, `matrix`, `scenario_attribution`, `tails`). May import: the rest of `engine` and below.
Start reading at `offset`.
"""
