"""The command line: arguments in, tables out. No formula, and nothing heavy before a command runs.

Here: the group of commands and their help (`main`), what commands share (`inputs`), and the commands themselves
(`account`, `instruments`, `rules`, `data`). May import: everything below. Start reading at `main`.
"""

from margrave.cli.main import main

__all__ = ["main"]
