"""A client takes APDUs of 12 octets at least: one that says less is refused, whatever would fit (IEC 62056-5-3, InitiateRequest)."""

from __future__ import annotations

import pytest
from in_memory import pair

from ami_dlms.association import Open, Opened, OpenRefused


@pytest.mark.parametrize(("size", "opens"), [(1, False), (11, False), (12, True), (0, True)])
def test_the_smallest_size(size: int, opens: bool) -> None:
    (event,) = pair(client={"max_receive_pdu_size": size}).ask(Open())
    assert isinstance(event, Opened if opens else OpenRefused)
    if isinstance(event, OpenRefused):
        assert "pdu-size-too-short" in event.reason
