"""Which faults are worth another attempt: those that may be gone the next time (docs/adr/0020).

What a meter says of itself, of its keys or of an object stays as it is until somebody changes something, so it is not asked again.
"""

from ami_hes.meters import MeterFault

PASSING = frozenset(
    {
        ("transport", "unreachable"),
        ("transport", "lost"),
        ("deadline", "no-connection"),
        ("deadline", "no-answer"),
        ("deadline", "busy"),
        ("data-access-result", "TEMPORARY_FAILURE"),
        ("data-access-result", "OBJECT_UNAVAILABLE"),
        ("exception", "INVOCATION_COUNTER_ERROR"),
    }
)
"""Rows of the fault table."""


def is_worth(fault: MeterFault, *, acts: bool, begun: bool) -> bool:
    """Never for an operation that acts, once what changes the meter may have left for it (M-011)."""
    return (fault.kind, fault.name) in PASSING and not (acts and begun)
