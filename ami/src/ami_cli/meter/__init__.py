"""`ami meter`: one meter, real or simulated, in the hands of a person: read, write, invoke, profile, scan, clock, contactor.

A thin client of its own over the protocol core: no registry is needed, no store, no other process. Every octet passes one
of the small classes in `link`; everything that a person reads is worded in `values` and `output`; every way to fail is a
`MeterError` with an exit code that docs/howto/meter-explorer.md lists.
"""
