"""Foreign peers with a wrong password or key: refused on either side, and no counter moves for a forger."""

from __future__ import annotations

import pytest
from agreed import FIRST_COUNTER, OTHER_KEYS, for_meter, for_peer, profile
from loopback import loopback
from matrix import COSEM_CLIENT, GMAC, GURUX_CLIENT, GURUX_METER, SERVER, Row
from our_client import our_client
from peer import play, running

from ami_dlms.association import AssociationRefused, Open, OpenRefused
from ami_dlms.enums import DiagnosticSource

CIPHERED = {"policy": "both", "ciphering": "general-glo"}


pytestmark = pytest.mark.needs("gurux-dlms", "dlms-cosem")


def row_of(peer: str, mechanism: str, **more: str) -> Row:
    return Row(ours=SERVER, peer=peer, mechanism=mechanism, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("peer", [COSEM_CLIENT, GURUX_CLIENT])
async def test_a_client_with_a_wrong_key_burns_no_counter(peer: str) -> None:
    row = row_of(peer, GMAC, **CIPHERED)
    ours = profile(row)
    async with loopback(ours) as server:
        wrong = for_peer(row, port=server.port, work=[], encryption_key=OTHER_KEYS.encryption_key.hex())
        found = await play(peer, wrong)
    assert "error" in found["open"]
    assert [type(event) for event in server.seen] == [AssociationRefused]
    assert ours.receive_counter is not None
    assert ours.receive_counter.lowest_acceptable == FIRST_COUNTER


@pytest.mark.parametrize("peer", [COSEM_CLIENT, GURUX_CLIENT])
async def test_a_client_with_a_wrong_password_stays_out(peer: str) -> None:
    row = row_of(peer, "LLS")
    async with loopback(profile(row)) as server:
        found = await play(peer, for_peer(row, port=server.port, work=[], secret=b"87654321".hex()))
    assert "error" in found["open"]
    assert [type(event) for event in server.seen] == [AssociationRefused]


async def test_a_foreign_meter_refuses_a_wrong_password() -> None:
    row = row_of(GURUX_METER, "LLS")
    async with running(GURUX_METER, for_meter(row)) as meter:
        assert meter.stdout is not None
        port = int(await meter.stdout.readline())
        async with our_client(row, port, secret=b"87654321") as client:
            refused = await client.ask(Open())
    assert isinstance(refused, OpenRefused)
    assert "authentication-failure" in refused.reason


@pytest.mark.parametrize("mechanism", ["LLS", GMAC])
async def test_a_foreign_meter_gives_no_reason_for_another_encryption_key(mechanism: str) -> None:
    """What the head-end makes of it: tests/hes/south/test_contactor.py, refusal without a reason."""
    row = row_of(GURUX_METER, mechanism, **CIPHERED)
    async with running(GURUX_METER, for_meter(row)) as meter:
        assert meter.stdout is not None
        port = int(await meter.stdout.readline())
        async with our_client(row, port, keys=OTHER_KEYS) as client:
            refused = await client.ask(Open())
    assert isinstance(refused, OpenRefused)
    assert (refused.source, refused.diagnostic) == (DiagnosticSource.ACSE_SERVICE_USER, 1)


async def test_a_foreign_meter_refuses_a_wrong_proof() -> None:
    row = row_of(GURUX_METER, GMAC)
    async with running(GURUX_METER, for_meter(row)) as meter:
        assert meter.stdout is not None
        port = int(await meter.stdout.readline())
        async with our_client(row, port, keys=OTHER_KEYS) as client:
            refused = await client.ask(Open())
    assert isinstance(refused, OpenRefused)
    assert "proof" in refused.reason
