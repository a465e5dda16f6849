"""Speed, as ratios of one run: ours beside what one would take instead, and beside what the machine can do.

A benchmark is a module here with one function, ``run(setting: Setting) -> list[Section]`` (`bench.measure`), and a line in
`bench.registry`. It first checks that all ways say the same and puts the largest difference on their rows, then takes
times in turn (`interleaved`), and states its goals as a `Gate` each: a ratio of two figures of the same run with a
``least`` or a ``most``. The first row is ours. A peer that is not installed is a row of `missing`, never an error, and
nothing is imported from it at the top of a module. Seconds are worth something: a section should take less than a minute.
"""
