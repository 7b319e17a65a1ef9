"""The page of border faults (docs/border-faults.md), from the table that the border itself goes by."""

from collections.abc import Iterator

from ami_testkit.border.kinds import ALL, KINDS, Kind
from ami_testkit.border.rules import When

HEAD = """\
# Faults of the CIM border

What can go wrong between a client and a head-end, both ways, on purpose: `system.border.fault(NAME, on=LEG, ...)` of the [kit](../testkit/README.md). This page is written by
`ami-testkit faults --write docs/border-faults.md`. Each fault has a test in which a naive client is caught by it (`tests/testkit/test_border.py`); faults of meters are [another page](faults.md).

```python
fault = system.border.fault("twice", on="reply", noun="MeterReadings", probability=0.5, seed=7)
fault.wait(times=3)  # until it has happened three times
fault.happened  # how often it has
fault.remove()  # it counts no more; system.reset() ends all
```

## Legs

| leg | what passes there |
|---|---|
| `request` | a request of the client, on its way to the head-end |
| `answer` | the HTTP response to it: the reply, or the acknowledgement of one that comes later |
| `reply` | a late reply, on its way to the client |
| `event` | an event, on its way to the client |
| `receipt` | the HTTP response of the client to one of these two |

## Which messages

All conditions have to hold; without one it is every message of the leg. Each message that fits is drawn by `probability` (1), decided by `seed` (0) and its place among those that fit: the same seed, the same ones.

| condition | holds for |
|---|---|
| `noun`, `verb` | messages with this one in their header |
| `meter` | messages that name this meter, by name or mRID |
| `xpath` | messages in which this XPath 1.0 expression is true or finds something; prefixes: `m` the envelope, `p` the payload, `w` the wrapper |
| `skip`, `first` | the first ones that fit pass; only so many after them |
| `since`, `until` | messages at these times of the system's clock |

## Faults

`seconds`, `pause_s` are seconds of the machine, not of a virtual clock. Several may happen to one message.
"""
FOOT = """
A change that a fault does not have: `system.border.edit(function, on="reply", meter="M1001")`, where the function takes the [message](../testkit/src/ami_testkit/messages.py) and gives its octets.

What is held by `late` without `seconds` goes on with `fault.release()`. What a fault of a message changes is seen in `system.journal.messages`: as it came, and as it went on.
"""


def page() -> str:
    """The whole."""
    assert {"noun", "verb", "meter", "xpath", "skip", "first", "since", "until"} == set(When.model_fields)
    return HEAD + "\n".join(_rows()) + "\n" + FOOT


def _rows() -> Iterator[str]:
    yield ""
    yield "| fault | on | what it does | what a good client does | may be told |"
    yield "|---|---|---|---|---|"
    for kind in KINDS.values():
        legs = "all" if kind.legs == ALL else ", ".join(f"`{leg}`" for leg in kind.legs)
        yield f"| `{kind.name}` | {legs} | {kind.does} | {kind.client} | {_parameters(kind)} |"


def _parameters(kind: Kind) -> str:
    said = []
    for name, one in kind.parameters.model_fields.items():
        default = "" if one.default is None or one.is_required() else f" ({one.default})"
        said.append(f"`{name}`{default}: {one.description}")
    return "; ".join(said)
