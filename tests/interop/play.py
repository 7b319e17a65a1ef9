"""Plays one row: puts the two ends together, compares what was found with what is right, and says what became of each service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agreed import for_meter, for_peer, keyed, profile
from loopback import Loopback, loopback
from matrix import CLIENT, METER, Row
from meter_work import meter_work
from our_client import OurClient, our_client
from peer import play as play_peer
from peer import running
from workload import Work, client_work, loopback_work

from ami_dlms.association import AssociationOpened, AssociationReleased
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DlmsError

PASSES = "passes"
NOT_TRIED = "not tried"
ACSE = {ApduTag.AARQ, ApduTag.RLRQ}
REQUESTS = ("GET", "SET", "ACTION", "READ", "WRITE")
TAGS = {
    "none": {ApduTag[f"{service}_REQUEST"] for service in (*REQUESTS, "ACCESS")},
    "glo-*": {ApduTag[f"GLO_{service}_REQUEST"] for service in REQUESTS},
    "ded-*": {ApduTag[f"DED_{service}_REQUEST"] for service in REQUESTS},
    "general-glo": {ApduTag.GENERAL_GLO_CIPHERING},
    "general-ded": {ApduTag.GENERAL_DED_CIPHERING},
}
Found = Mapping[str, Any]
Outcome = Mapping[str, str]
"""What became of each service of a row: PASSES, or how it failed."""


async def play(row: Row, ports: Mapping[Row, int]) -> Outcome:
    """Play a row once; `ports` are those of the simulated meters."""
    if row.ours == CLIENT:
        return await _our_client(row)
    if row.ours == METER:
        return await _simulated_meter(row, ports[row])
    return await _loopback(row)


def asked(row: Row, work: Sequence[Work]) -> tuple[Work, ...]:
    return tuple(one for one in work if one.service in row.services)


def judged(row: Row, work: Sequence[Work], found: Found) -> dict[str, str]:
    """The first thing that went wrong in each service."""
    outcome = dict.fromkeys(row.services, NOT_TRIED)
    outcome["open"] = found["open"].get("error", PASSES)
    for one, result in zip(work, found["work"], strict=False):
        if outcome[one.service] in (NOT_TRIED, PASSES):
            outcome[one.service] = verdict(one, result)
    return outcome


def verdict(work: Work, result: Found) -> str:
    if "error" in result:
        return str(result["error"])
    holds = work.expected(result["value"]) if callable(work.expected) else work.expected == result["value"]
    return PASSES if holds else f"wrong value: {str(result['value'])[:80]}"


# --- our server


async def _loopback(row: Row) -> Outcome:
    work = asked(row, loopback_work())
    async with loopback(profile(row), row.framing) as server:
        found = await play_peer(row.peer, for_peer(row, port=server.port, work=[one.job for one in work]))
    outcome = judged(row, work, found)
    return outcome | {service: wrong for service, wrong in _watched(row, server) if outcome.get(service) == PASSES}


def _watched(row: Row, server: Loopback) -> list[tuple[str, str]]:
    """What the peer can't tell: how its requests travelled, and what the server made of them."""
    wrong = []
    proof = {ApduTag.GLO_ACTION_REQUEST} if row.mechanism.startswith("HLS") and row.ciphering != "none" else set()
    blocks = {ApduTag.GENERAL_BLOCK_TRANSFER} if row.window else set()
    if foreign := server.tags - ACSE - TAGS[row.ciphering] - proof - blocks:
        wrong.append(("open", f"travelled as {sorted(foreign)}"))
    if blocks - server.tags:
        wrong.append(("long GET", "no general-block-transfer was seen"))
    if not server.seen or not isinstance(server.seen[0], AssociationOpened):
        wrong.append(("open", f"the server saw {server.seen[:1]}"))
    if not server.seen or not isinstance(server.seen[-1], AssociationReleased):
        wrong.append(("release", f"the server saw {server.seen[-1:]}"))
    return wrong


async def _simulated_meter(row: Row, port: int) -> Outcome:
    work = asked(row, await meter_work(row, port))
    found = await play_peer(row.peer, for_peer(row, port=port, work=[one.job for one in work]))
    return judged(row, work, found)


# --- our client


async def _our_client(row: Row) -> Outcome:
    async with running(row.peer, for_meter(row)) as meter:
        assert meter.stdout is not None
        port = int(await meter.stdout.readline())
        async with our_client(row, port) as client:
            return await _use(row, client)


async def _use(row: Row, client: OurClient) -> Outcome:
    outcome = dict.fromkeys(row.services, NOT_TRIED)
    for service, request, holds in client_work(keyed(row)):
        if service not in row.services or outcome[service] not in (NOT_TRIED, PASSES):
            continue
        try:
            event = await client.ask(request)
        except (DlmsError, AssertionError, OSError) as error:
            return outcome | {service: f"{type(error).__name__}: {error}"}
        outcome[service] = PASSES if holds(event) else f"wrong: {event}"
    return outcome
