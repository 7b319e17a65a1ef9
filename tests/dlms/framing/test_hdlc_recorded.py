"""Sessions of foreign clients, frame by frame: our server answers as it did, our client would have sent what they sent.

gurux-dlms cuts the first segment three octets shorter than it might, so of segments only the headers are compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hdlc_line import frames_of

from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import FrameKind
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming, HdlcServerFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters
from ami_dlms.framing.hdlc_segments import Assembler, apdu_of

ROWS = json.loads((Path(__file__).parents[2] / "vectors" / "hdlc.json").read_text())["sessions"]


@dataclass
class Session:
    """What a recording holds."""

    exchange: list[tuple[str, bytes]]
    client: int
    server: HdlcAddress
    physical: int | None
    parameters: LinkParameters

    def apdus(self, sender: str) -> list[bytes]:
        assembler, found = Assembler(65535), []
        for who, octets in self.exchange:
            for frame in frames_of(octets):
                if who == sender and frame.kind is FrameKind.I and (whole := assembler.take(frame)) is not None:
                    found.append(apdu_of(whole))
        return found


def session_of(row: dict[str, Any]) -> Session:
    exchange = [(who, bytes.fromhex(octets)) for who, octets in row["exchange"]]
    return Session(
        exchange, row["client"], HdlcAddress(*row["server"]), row["physical"], LinkParameters(*row["parameters"])
    )


@pytest.fixture(params=ROWS, ids=lambda row: str(row["id"]))
def session(request: pytest.FixtureRequest) -> Session:
    return session_of(request.param)


def test_our_server_answers_octet_for_octet(session: Session) -> None:
    framing = HdlcServerFraming([session.server.upper], session.physical, session.parameters)
    answers = iter(session.apdus("S"))
    asked = []
    for who, octets in session.exchange:
        if who == "C":
            framing.receive_data(octets)
            said = b""
            while (pdu := framing.next_pdu()) is not None:
                said += framing.data_to_send()
                if isinstance(pdu, WrapperPdu):
                    asked.append(pdu.apdu)
                    said += framing.encode(pdu.destination, pdu.source, next(answers))
            said += framing.data_to_send()
        else:
            assert said.hex() == octets.hex()
    assert asked == session.apdus("C")
    assert next(answers, None) is None


def test_our_client_sends_octet_for_octet(session: Session) -> None:
    """All but the parameters of SNRM, which may name the defaults or leave them out."""
    requests, answers = iter(session.apdus("C")), []
    snrm = frames_of(session.exchange[0][1])[0]
    framing = HdlcClientFraming(session.client, session.server, decode_parameters(snrm.information))
    said, cut = framing.encode(session.client, session.server.upper, next(requests)), False
    for who, octets in session.exchange:
        if who == "S":
            framing.receive_data(octets)
            while (pdu := framing.next_pdu()) is not None:
                assert isinstance(pdu, WrapperPdu)
                answers.append(pdu.apdu)
                following = next(requests, None)
                if following is None:
                    said = framing.disconnect()
                else:
                    said = framing.encode(session.client, session.server.upper, following)
            said = said or framing.data_to_send()
        elif octets == session.exchange[0][1]:
            assert frames_of(said)[0].control == snrm.control
            assert decode_parameters(frames_of(said)[0].information) == decode_parameters(snrm.information)
            said = b""
        else:
            (ours,), (theirs,) = frames_of(said), frames_of(octets)
            assert (ours.control, ours.segmented) == (theirs.control, theirs.segmented)
            assert said == octets or cut or theirs.segmented
            cut = theirs.segmented
            said = b""
    assert answers == session.apdus("S")
    assert framing.disconnected
