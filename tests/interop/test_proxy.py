"""A foreign client reads a simulated meter through `ami proxy`: it notices nothing, and what it asked and got is in the recorded session."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from agreed import KEYS
from matrix import COSEM_CLIENT, GMAC, GURUX_CLIENT, HDLC, METER, WRAPPER, Row, rows
from page import excuse
from peer import DISTRIBUTIONS
from play import PASSES, play
from simulated_meters import simulated_meters

from ami_cli.proxy.exchanges import session_of
from ami_cli.proxy.recorder import Recorder
from ami_cli.proxy.relay import Relay
from ami_cli.proxy.session_file import SessionWriter, read_session
from ami_cli.proxy.taps import Framing
from ami_dlms.association import Action, Get
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.explain import Keyring

MOST_OCTETS = 1 << 24


def first_row(peer: str, framing: str) -> Row:
    """With a proof and ciphering, as far as the peer can over this transport."""
    mine = [row for row in rows() if (row.ours, row.peer, row.framing) == (METER, peer, framing)]
    return max(mine, key=lambda row: (row.mechanism == GMAC) + (row.policy == "both"))


@pytest.mark.parametrize(
    ("peer", "framing"),
    [
        pytest.param(peer, framing, marks=pytest.mark.needs(DISTRIBUTIONS[peer]))
        for peer, framing in ((COSEM_CLIENT, WRAPPER), (GURUX_CLIENT, HDLC))
    ],
)
async def test_a_foreign_client_notices_nothing_of_it(tmp_path: Path, peer: str, framing: str) -> None:
    row, path, said, stop = first_row(peer, framing), tmp_path / "session.jsonl", list[str](), asyncio.Event()
    through = Framing.HDLC if framing == HDLC else Framing.WRAPPER
    writer = SessionWriter(path, through, datetime.now(UTC), MOST_OCTETS)
    keyring = Keyring(KEYS.encryption_key, KEYS.authentication_key)
    recorder = Recorder(through, keyring, said.append, writer)
    with simulated_meters([row]) as ports:
        relay = Relay(("127.0.0.1", ports[row]), recorder)
        listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        relaying = asyncio.create_task(relay.run(listener, stop))
        outcome = await play(row, {row: listener.sockets[0].getsockname()[1]})
        stop.set()
        await relaying
    recorder.close()
    assert not {service: how for service, how in outcome.items() if how != PASSES and not excuse(row, service, how)}
    recorded = session_of(read_session(path))
    (opened,) = recorded.associations.values()
    assert opened.mechanism in (Mechanism.GMAC, Mechanism.LOW, Mechanism.LOWEST) and opened.ciphered == (
        row.policy != "none"
    )
    results = [type(result) for _, item, result in recorded.exchanges if isinstance(item, Get)]
    assert results.count(Data) >= 2
    assert any(isinstance(item, Action) for _, item, _ in recorded.exchanges) or "ACTION" not in row.services
    assert recorder.apdus and not recorder.unreadable
    assert any("get-response" in line for line in said)
