"""Results as text: tables that never cut a number, trees, and plots.

Here: numbers as people read them (`number`), tables in four formats (`tables`), the requirement tree
(`tree`), images (`plots`). May import: `engine` and below. Start reading at `tables`.
"""
