"""The fast path does what the general path does, to the octet and to the counter; `fast_path` of the settings turns it off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import (
    CLIENT_TITLE,
    CLIENT_WPORT,
    CLOCK,
    HIDDEN,
    KEYS,
    LONG,
    NAME,
    SERVER_TITLE,
    SERVER_WPORT,
    WRITE_ONLY,
    Pair,
    from_client,
    opened,
    pair,
    receive_counter,
    security,
)
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.association import (
    SERVER_CONFORMANCE,
    ActionOutcome,
    Answer,
    AssociationOpened,
    AssociationReleased,
    Get,
    Open,
    Release,
    RequestKey,
)
from ami_dlms.association.protection.apdu_protection import SIGNED, ApduProtection, CipheringKind
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.protection.fast_ciphering import FastCiphering, FrameKeys
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.cursor import encode_length
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult, Mechanism
from ami_dlms.errors import DlmsError, LocalError
from ami_dlms.security import ReceiveCounter, SendCounter

POLICIES = [(True, True), (True, False), (False, True)]
KEY = bytes(range(16, 32))


ON: dict[str, Any] = {}
OFF: dict[str, Any] = {"fast_path": False}


def secured(path: dict[str, Any], **changes: Any) -> Pair:
    """Both ends with authenticated encryption, on the path given."""
    ends = {"client": changes.pop("client", {}) | path, "server": changes.pop("server", {}) | path}
    return opened(Mechanism.GMAC, **({"policy": (True, True)} | ends | changes))


def same_on_both_paths(outcome: Callable[[dict[str, Any]], Any]) -> None:
    assert outcome(ON) == outcome(OFF)


def events(seen: list[Any]) -> list[str]:
    """What can be compared between two runs: a profile shows itself with its address."""
    with_profile = (AssociationOpened, AssociationReleased)
    return [type(event).__name__ if isinstance(event, with_profile) else repr(event) for event in seen]


def at_the_server(frame: bytes, path: dict[str, Any]) -> tuple[Any, ...]:
    """All that a server of a fresh association makes of a frame."""
    joined = secured(path)
    answer = joined.to_server(frame)
    return events(joined.seen), answer, receive_counter(joined).lowest_acceptable, joined.server.closed


def at_the_client(frame: bytes, path: dict[str, Any]) -> tuple[Any, ...]:
    """All that a client makes of a frame while it waits for an answer."""
    joined = secured(path)
    joined.client.send(Get(NAME))
    try:
        said = joined.to_client(frame)
    except DlmsError as error:
        return str(error), joined.client.state
    return events(joined.got), said, joined.client.state


def ends_alike(end: Any, frame: bytes) -> None:
    same_on_both_paths(lambda path: end(frame, path))


def frames(attribute: Any = NAME) -> tuple[bytes, bytes]:
    """A request and its answer, as the first of an association."""
    joined = secured(ON)
    before = len(joined.wire)
    joined.ask(Get(attribute))
    (_, request), (_, answer) = joined.wire[before : before + 2]
    return request, answer


def server_end(joined: Pair) -> Any:
    (association,) = joined.server._associations.values()
    return association


def test_the_switch_turns_it_off_at_either_end() -> None:
    for client, server in ((ON, ON), (ON, OFF), (OFF, ON), (OFF, OFF)):
        joined = opened(Mechanism.GMAC, policy=(True, True), client=client, server=server)
        for fast, end, path in (
            (joined.client._fast, joined.client._protection, client),
            (server_end(joined)._fast, server_end(joined)._protection, server),
        ):
            assert (fast is not None) is (path is ON)
            assert end is not None
            assert (end.fast is not None) is (path is ON)
    assert server_end(opened(server=ON))._fast is not None
    assert server_end(opened(server=OFF))._fast is None


@settings(max_examples=examples(120), deadline=None)
@given(st.sampled_from([NAME, HIDDEN]), st.integers(0, 70), st.integers(0, 255), st.integers(0, 70))
def test_altered_frames_end_alike_on_both_paths(attribute: Any, at: int, octet: int, cut: int) -> None:
    for end, frame in zip((at_the_server, at_the_client), frames(attribute), strict=True):
        altered = bytearray(frame)
        altered[at % len(frame)] = octet
        shorter = frame[: 8 + cut % (len(frame) - 8)]
        shorter = shorter[:6] + (len(shorter) - 8).to_bytes(2, "big") + shorter[8:]
        for candidate in (bytes(altered), shorter):
            ends_alike(end, candidate)


@settings(max_examples=examples(120), deadline=None)
@given(st.integers(0, 120), st.integers(0, 255), st.sampled_from([Open(), Release()]))
def test_altered_openings_and_releases_end_alike_on_both_paths(at: int, octet: int, request: Any) -> None:
    """Their user information is ciphered by the service's own APDU, which the fast path opens by itself."""

    def outcome(path: dict[str, Any]) -> tuple[Any, ...]:
        joined = pair(Mechanism.GMAC, policy=(True, True), server=path)
        if not isinstance(request, Open):
            joined.ask(Open())
        frame = bytearray(joined.client.send(request))
        frame[8 + at % (len(frame) - 8)] = octet
        answers = [joined.to_server(bytes(frame)) for _ in range(2)]  # the second time its counter was used before
        return events(joined.seen), answers, receive_counter(joined).lowest_acceptable, joined.server.closed

    same_on_both_paths(outcome)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dedicated_key", [None, KEY])
@pytest.mark.parametrize("attribute", [CLOCK, LONG, HIDDEN, WRITE_ONLY])
@pytest.mark.parametrize("limit", [100, 65535])
def test_whole_exchanges_are_the_same_on_the_wire(
    policy: Any, dedicated_key: bytes | None, attribute: Any, limit: int
) -> None:
    def wire(path: dict[str, Any]) -> list[Any]:
        joined = secured(path, policy=policy, dedicated_key=dedicated_key, client={"max_receive_pdu_size": limit})
        for request in (Get(attribute), Get(attribute, EntryDescriptor(1).encode()), Get(attribute)):
            joined.ask(request)
        return [joined.wire, events(joined.got), events(joined.seen)]

    same_on_both_paths(wire)


@pytest.mark.parametrize("times", [2, 3])
def test_a_frame_again_ends_alike_on_both_paths(times: int) -> None:
    request, answer = frames()
    ends_alike(at_the_server, request * times)
    ends_alike(at_the_client, answer * times)


def protection(joined: Pair) -> AssociationProtection:
    found = joined.client._protection
    assert found is not None
    return found


@settings(max_examples=examples(60), deadline=None)
@given(st.one_of(st.binary(max_size=300), st.sampled_from([109, 110, 111, 238, 239, 65_518, 70_000]).map(bytes)))
def test_any_plaintext_is_sealed_and_opened_alike_on_both_paths(plaintext: bytes) -> None:
    usual = ApduProtection(CipheringKind.GENERAL_GLO, 0x30)
    sealed = protection(secured(ON)).protect(plaintext, usual)
    assert sealed == protection(secured(OFF)).protect(plaintext, usual)
    message = apdu.decode(sealed)
    assert isinstance(message, GeneralGloCiphering)
    used = ReceiveCounter()
    assert fast_ciphering(used).open(sealed) == (None if plaintext[:1] == SIGNED else plaintext)
    if plaintext[:1] != SIGNED:
        assert used.lowest_acceptable == int.from_bytes(message.content[1:5], "big") + 1


@pytest.mark.parametrize("form", ["81", "82", "83", "84", "85", "80"])
def test_a_length_in_any_form_ends_alike_on_both_paths(form: str) -> None:
    request, _ = frames()
    size = int(form, 16) & 0x7F
    length = bytes.fromhex(form) + request[18].to_bytes(size, "big") if size else b"\x80"
    octets = request[8:18] + length + request[19:]
    ends_alike(at_the_server, request[:6] + len(octets).to_bytes(2, "big") + octets)


def test_a_genuine_frame_that_holds_nonsense_ends_alike_on_both_paths() -> None:
    for plaintext in (b"", b"\xff", bytes.fromhex("c001"), b"\xdf" + bytes(20)):
        sealed = protection(secured(ON)).protect(plaintext, ApduProtection(CipheringKind.GENERAL_GLO, 0x30))
        ends_alike(at_the_server, bytes.fromhex("000100010011") + len(sealed).to_bytes(2, "big") + sealed)


@pytest.mark.parametrize(
    "plaintext", ["", "c4", "c401", "c401c1", "c401c100", "c401c1000f", "c401c10006", "c401c10100"]
)
def test_a_response_that_is_cut_short_ends_alike_on_both_paths(plaintext: str) -> None:
    """A genuine one: sealed by the server itself, whose counter is the one that the client expects."""

    def outcome(path: dict[str, Any]) -> tuple[Any, ...]:
        joined = secured(path)
        joined.client.send(Get(NAME))
        sealed = server_end(joined)._protection.protect(
            bytes.fromhex(plaintext), ApduProtection(CipheringKind.GENERAL_GLO, 0x30)
        )
        try:
            said = joined.to_client(bytes.fromhex("000100110001") + len(sealed).to_bytes(2, "big") + sealed)
        except DlmsError as error:
            return str(error), joined.client.state
        return events(joined.got), said, joined.client.state

    same_on_both_paths(outcome)


def fast_ciphering(used: ReceiveCounter) -> FastCiphering:
    """Of the server, for frames of the client."""
    frame_keys = FrameKeys(KEYS, SendCounter(1), used)
    return FastCiphering(CipheringKind.GENERAL_GLO, security(SERVER_TITLE), CLIENT_TITLE, frame_keys)


def test_before_the_titles_are_known_no_frame_is_fast() -> None:
    joined = pair(Mechanism.GMAC, policy=(True, True))
    assert protection(joined).fast is None
    joined.ask(Open())
    assert protection(joined).fast is not None


def test_fast_ciphering_writes_the_shortest_length() -> None:
    sealing = fast_ciphering(ReceiveCounter())
    for size in (0, 110, 111, 238, 239):
        assert sealing.seal(bytes(size))[10:].startswith(encode_length(size + 17))


def test_fast_ciphering_takes_each_counter_once() -> None:
    sealing, used = protection(secured(ON)), ReceiveCounter()
    opening, usual = fast_ciphering(used), ApduProtection(CipheringKind.GENERAL_GLO, 0x30)
    first, second = (sealing.protect(octets, usual) for octets in (b"first", b"second"))
    altered = second[:-1] + bytes((second[-1] ^ 1,))
    assert opening.open(altered) is None
    assert used.lowest_acceptable == 0
    assert opening.open(second) == b"second"
    assert opening.open(second) is None
    assert opening.open(first) is None


@pytest.mark.parametrize("conformance", [SERVER_CONFORMANCE, SERVER_CONFORMANCE & ~Conformance.GET])
def test_any_answers_to_plain_gets_end_alike_on_both_paths(conformance: Conformance) -> None:
    """Requests that wait together, the same one twice, and answers of every kind, unencrypted."""

    def outcome(path: dict[str, Any]) -> list[Any]:
        joined = opened(server={"conformance": conformance} | path)
        frames = [
            from_client(apdu.encode(GetRequestNormal(invoke, NAME))) for invoke in (0xC1, 0x02, 0xC1, *range(3, 21))
        ]
        server, said = joined.server, []
        server.receive_data(b"".join(frames))
        while (event := server.next_event()) is not None:
            said.append(repr(event))
        said.append(server.data_to_send().hex())
        key = RequestKey(SERVER_WPORT, CLIENT_WPORT, 0xC1)
        for answer in (
            Answer(key, (ActionOutcome(ActionResult.SUCCESS, None),)),
            Answer(key, ()),
            Answer(key, (data.unsigned(256),)),
            Answer(key, (data.unsigned(1),)),
            Answer(key, (data.unsigned(1),)),
            Answer(key._replace(invoke_id_and_priority=2), (DataAccessResult.OBJECT_UNAVAILABLE,)),
            Answer(key._replace(invoke_id_and_priority=3), (data.octet_string(bytes(70_000)),)),
        ):
            try:
                said.append(server.send(answer).hex())
            except LocalError as error:
                said.append(str(error))
        return [*said, server.state(SERVER_WPORT, CLIENT_WPORT)]

    same_on_both_paths(outcome)
