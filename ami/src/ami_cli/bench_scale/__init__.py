"""`ami bench-scale`: what the head-end does beyond one machine, on PostgreSQL and NATS, with the embedded engine beside it in the same run.

Each section measures one subject and has its own heading in docs/bench-scale.md. To add one: write a module here with an `async def measure(setting: Setting, tell: Report) -> Found` (`found` says what these are) and a line in `sections.SECTIONS`. A section
says what it needs (a database, a broker), has a small size for the tests (`setting.small`), alternates between the systems that it compares,
and reports medians without judging them. Options, terminal, JSON and the page are not its concern.
"""
