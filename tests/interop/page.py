"""The page docs/interop.md: which sessions with foreign stacks were played and what became of each service.

A run writes it (`make interop WRITE=docs/interop.md`); the tests hold every line of its table to what they find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from foreign_meter import section
from matrix import SERVICES, Row
from play import PASSES, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interop.md"
HEADINGS = (
    "we are",
    "model",
    "with",
    "over",
    "names",
    "blocks",
    "PDU",
    "mechanism",
    "suite",
    "ciphering",
    "policy",
    *SERVICES,
)
INTRODUCTION = """# Interoperability

Sessions between us and foreign stacks, each stack in a process and a virtual environment of its own, over TCP and UDP on this machine.
`make interop` prepares the peers, runs all rows and compares them with this page; `make interop WRITE=docs/interop.md` writes it.
The rows are in `tests/interop/matrix.py`, the scripts that drive the peers in `tests/interop/peers/`. Nothing that the project
ships imports the peers.

## Peers

| peer | licence | what it proves | what it cannot |
|---|---|---|---|
| gurux-dlms {gurux} as a client | GPL-2.0-only | proofs of all mechanisms below (ECDSA with P-256), keys of suites 0, 1 and 2, the three policies in all four forms of ciphering, blocks of GET and SET, general-block-transfer of GET with windows, lists, ACCESS, profiles by range and by entry, Read and Write by short names, HDLC | it does not verify the tag where text is authenticated and encrypted, and looks at no counter: it proves nothing about attacks |
| gurux-dlms {gurux} as a meter | GPL-2.0-only | our client's AARQ, proofs, ciphering and blocks of GET | its own handlers of services do not run as published: `gurux_server.py` answers on the library's lower parts and says what it mends; the checks of a real meter are missing |
| dlms-cosem {cosem} | Business Source License 1.1 (the metadata of the wheel says MIT, its LICENSE file does not) | none, LLS and GMAC over general-glo, with tag and counter verified | glo-*, ded-* and general-ded, the other policies and mechanisms, blocks of SET: it has none of them |

No available foreign stack speaks general-ciphering, general-signing, key agreement or ECDSA with P-384: those rest on
the vectors (`tests/vectors/`) and on both of our own roles. The library that drives a row is locked in `requirements/interop-*.txt` with its hashes.

{conformance}## What passed

"we are": `server` is our `ServerConnection` behind a socket with four objects, `simulated meter` a meter
of the process `python -m ami_meter_sim`, of the model that is named, `client` our `ClientConnection`. Each row is one session. `yes`: what came back was right, on both sides. `-`: not asked for.
A number: it cannot pass because of the peer, for the reason below the table; it is asked for all the same.
"names" is the referencing, by logical names (LN) or short names (SN: GET is Read, SET is Write). "PDU" is the largest APDU that
either side takes; with 256 octets the long GET and the long SET travel in blocks: those of the service, or those of
general-block-transfer with the window that is given.

"""


def cells(row: Row, outcome: Outcome, notes: Mapping[str, int]) -> Iterator[str]:
    """One cell for each service."""
    for service in SERVICES:
        if service not in row.services:
            yield "-"
        elif outcome[service] == PASSES:
            yield "yes"
        else:
            reason = excuse(row, service, outcome[service])
            yield "FAILS" if reason is None else f"[{notes[reason]}]"


def excuse(row: Row, service: str, found: str) -> str | None:
    """The known reason for a failure that looks like this one."""
    for cannot in row.cannot:
        if cannot.service == service and cannot.seen in found:
            return cannot.reason
    return None


def numbered(rows: Sequence[Row]) -> dict[str, int]:
    """All reasons, in the order of the table."""
    reasons = dict.fromkeys(cannot.reason for row in rows for cannot in row.cannot)
    return {reason: number for number, reason in enumerate(reasons, 1)}


def line(row: Row, outcome: Outcome, notes: Mapping[str, int]) -> str:
    """One line of the table."""
    return f"| {' | '.join((*row.key, *cells(row, outcome, notes)))} |"


def page(outcomes: Mapping[Row, Outcome], versions: Mapping[str, str]) -> str:
    """The whole page."""
    notes = numbered(list(outcomes))
    head = [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
    table = [line(row, outcome, notes) for row, outcome in outcomes.items()]
    below = [f"{number}. {reason}" for reason, number in notes.items()]
    parts = ["\n".join(head + table), "\n".join(below)] if below else ["\n".join(head + table)]
    return INTRODUCTION.format(**versions, conformance=section()) + "\n\n".join(parts) + "\n"


def table_of(text: str) -> list[str]:
    """The lines of the last table of a page."""
    lines = text.splitlines()
    start = max(number for number, one in enumerate(lines) if one.startswith("| we are |"))
    return [one for one in lines[start + 2 :] if one.startswith("|")]


def versions() -> dict[str, str]:
    """Of the peers, as locked."""
    wanted = {"gurux": "interop-gurux.in", "cosem": "interop-dlms-cosem.in"}
    requirements = PAGE.parents[1] / "requirements"
    return {name: (requirements / file).read_text().strip().split("==")[1] for name, file in wanted.items()}
