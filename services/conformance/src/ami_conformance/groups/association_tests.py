"""Opening, proving and releasing an association, as it should be and as it should not (AS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ami_conformance.answers import Answer, Kind
from ami_conformance.bench import Bench
from ami_conformance.client import Client
from ami_conformance.findings import Judge
from ami_conformance.groups.class_tests import LOGICAL_DEVICE_NAME, parts, whole
from ami_conformance.groups.service_tests import a_name
from ami_conformance.object_list import CURRENT_ASSOCIATION, OBJECT_LIST
from ami_conformance.safety import Safety
from ami_dlms import apdu
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Rlre
from ami_dlms.apdu.faults import ConfirmedServiceError
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList
from ami_dlms.association.protection.association_protection import lift
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.enums import (
    AcseServiceUserDiagnostic as Diagnostic,
)
from ami_dlms.enums import Conformance, DiagnosticSource, InitiateErrorCode, Mechanism
from ami_dlms.errors import DlmsError
from ami_dlms.security.hls import HLS

VERSION_6 = 6
VAA_LN = 0x0007
SMALLEST_PDU = 12
MOST_NAME = 16
CONTEXT_ARC = bytes.fromhex("608574050801")
MECHANISM_ARC = bytes.fromhex("608574050802")
WITH_PASSWORD = frozenset({Mechanism.LOW})
CIPHERED_CONTEXT, PLAIN_CONTEXT, SHORT_NAMES = 3, 1, 2


def refused(
    judge: Judge, answer: Answer, what: str, *wanted: int, source: DiagnosticSource = DiagnosticSource.ACSE_SERVICE_USER
) -> None:
    """An AARE that refuses (or nothing at all); `wanted` are the diagnostics that fit, empty: any."""
    if not judge.expect(not answer.accepted, f"{what} opens an association"):
        return
    found = answer.apdu
    if isinstance(found, Aare) and wanted:
        fits = found.diagnostic.source is source and found.diagnostic.code in wanted
        names = " or ".join(str(one) for one in wanted)
        judge.expect(fits, f"{what} is refused with {found.diagnostic.reason}, not with {names}")
    elif found is not None:
        judge.expect(answer.fault or answer.rejected, f"{what} is answered by {answer}")


def attempt(bench: Bench, judge: Judge, what: str, octets: bytes | None = None, **changes: Any) -> Answer:
    """One AARQ of an own connection; counted as a false attempt, for a meter may do so."""
    bench.false_attempt()
    client = bench.client()
    sent = octets if octets is not None else client.aarq(**changes)
    answer = client.associate(sent, what, Safety.S1)
    judge.note(f"{what}: {answer}")
    client.close()
    return answer


def altered(octets: bytes, old: bytes, new: bytes) -> bytes:
    """Octets of an AARQ with a part changed for one of the same length."""
    assert len(old) == len(new)
    return octets.replace(old, new, 1)


def public_client(bench: Bench, judge: Judge) -> None:
    """AS-02: it opens, and the logical device name is one."""
    client = bench.public_client()
    answer = client.associate()
    if not judge.expect(answer.accepted, f"the public client does not open an association: {answer}"):
        return
    judge.expect(not client.wants_proof, "the public client is asked for a proof")
    found = client.get(AttributeDescriptor(1, LOGICAL_DEVICE_NAME, 2))
    if not judge.expect(found.value is not None, f"the logical device name is answered by {found.words}"):
        return
    name = b"" if found.value is None else found.value.value
    name = name.encode() if isinstance(name, str) else name
    good = isinstance(name, bytes) and 3 < len(name) <= MOST_NAME and name[:3].isalpha()
    judge.expect(good, f"the logical device name {name!r} is not three letters of the maker and up to 13 octets")
    if isinstance(name, bytes) and name.isascii():
        bench.learned.name = name.decode()
    client.release()


def negotiated_size(bench: Bench, judge: Judge) -> None:
    """AS-21: what the AARE says and what the association object says is the same, and 12 or more."""
    with bench.session() as client:
        initiate = client.initiate
        assert initiate is not None
        size = initiate.server_max_receive_pdu_size
        judge.expect(size == 0 or size >= SMALLEST_PDU, f"the meter takes APDUs of {size} octets")
        context = parts(client.get(AttributeDescriptor(15, CURRENT_ASSOCIATION, 5)).value)
        told = whole(context[1]) if len(context) > 1 else None
        bench.needs(told is not None, "xDLMS_context_info can't be read")
        judge.expect(told == size, f"the AARE says {size} octets, the association object {told}")


def vaa_name(bench: Bench, judge: Judge) -> None:
    """AS-22."""
    with bench.session() as client:
        assert client.initiate is not None
        judge.expect(client.initiate.vaa_name == VAA_LN, f"the vaa-name is {client.initiate.vaa_name:#06x}, not 0x0007")
        judge.expect(
            client.initiate.dlms_version == VERSION_6, f"the DLMS version is {client.initiate.dlms_version}, not 6"
        )


def object_tells_truth(bench: Bench, judge: Judge) -> None:
    """AS-26."""
    with bench.session() as client:
        assert client.initiate is not None and client.aare is not None
        found = {
            number: client.get(AttributeDescriptor(15, CURRENT_ASSOCIATION, number)).value for number in (3, 4, 5, 6, 8)
        }
        partners = [whole(one) for one in parts(found[3])]
        settings = bench.way.settings
        if partners:
            judge.expect(
                partners == [settings.client_wport, settings.server_wport],
                f"the partners are {partners}, and client {settings.client_wport} speaks with server {settings.server_wport}",
            )
        _last_arc(judge, found[4], int(client.aare.application_context), "application context")
        _last_arc(judge, found[6], int(settings.mechanism), "authentication mechanism")
        _xdlms(judge, client, parts(found[5]))
        status = whole(found[8])
        judge.expect(status in (None, 2), f"the association_status is {status} in an open association, not 2")


def _last_arc(judge: Judge, value: Any, wanted: int, what: str) -> None:
    """A name as a structure of arcs, or in the octets of BER."""
    arcs = parts(value)
    last = whole(arcs[-1]) if arcs else None
    if value is not None and isinstance(value.value, bytes) and value.value:
        last = value.value[-1]
    if last is not None:
        judge.expect(
            last == wanted, f"the {what} of the association object ends with {last}, that of the session with {wanted}"
        )


def _xdlms(judge: Judge, client: Client, context: tuple[Any, ...]) -> None:
    if len(context) < 4 or client.initiate is None:
        return
    bits, version = context[0].value, whole(context[3])
    if isinstance(bits, tuple):
        told = sum(1 << 23 - place for place, bit in enumerate(bits) if bit)
        beyond = int(client.initiate.conformance) & ~told
        judge.expect(
            not beyond,
            f"the AARE negotiates {int(client.initiate.conformance):#08x}, the association object knows {told:#08x} alone",
        )
    judge.expect(version == VERSION_6, f"the association object says DLMS version {version}, not 6")


def without_association(bench: Bench, judge: Judge) -> None:
    """AS-01."""
    for settings in filter(None, (bench.way.settings, bench.way.public)):
        client = bench.client(settings)
        octets = apdu.encode(GetRequestNormal(client.invoke(), OBJECT_LIST))
        answer = client.send_octets(octets, "GET before any AARQ", safety=Safety.S1, wait_s=bench.quick())
        judge.expect(not answer.done, f"a GET of client {settings.client_wport} is served before any AARQ: {answer}")
        client.close()
    bench.still_serves(judge)


def twice(bench: Bench, judge: Judge) -> None:
    """AS-03."""
    client = bench.opened()
    again = client.associate(what="a second AARQ", safety=Safety.S1)
    judge.expect(again.kind is Kind.APDU or again.nothing, f"a second AARQ is answered by {again}")
    judge.note(f"a second AARQ is answered by {again}")
    if again.accepted and client.wants_proof:
        before = client.get(a_name(bench))
        judge.expect(before.value is None, "after a second AARQ a GET is served before its proof")
    client.close()
    bench.still_serves(judge)


def protocol_version(bench: Bench, judge: Judge) -> None:
    """AS-04."""
    first = attempt(bench, judge, "an AARQ with protocol-version 1", protocol_version=(True,))
    judge.expect(first.accepted, f"an AARQ with protocol-version 1 is answered by {first}")
    other = attempt(bench, judge, "an AARQ with protocol-version 2 alone", protocol_version=(False, True))
    if other.accepted:
        judge.document("an AARQ with protocol-version 2 alone is accepted: the field is ignored")
    else:
        refused(judge, other, "an AARQ with protocol-version 2 alone", 2, source=DiagnosticSource.ACSE_SERVICE_PROVIDER)


def unknown_context(bench: Bench, judge: Judge) -> None:
    """AS-05."""
    number = _context(bench)
    for other in (9, SHORT_NAMES):
        good = bench.client().aarq()
        octets = altered(good, CONTEXT_ARC + bytes((number,)), CONTEXT_ARC + bytes((other,)))
        answer = attempt(bench, judge, f"application context {other}", octets)
        refused(judge, answer, f"application context {other}", Diagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED)


def _context(bench: Bench) -> int:
    security = bench.way.settings.security
    return CIPHERED_CONTEXT if security is not None and security.ciphered else PLAIN_CONTEXT


def context_against_ciphering(bench: Bench, judge: Judge) -> None:
    """AS-06."""
    bench.needs(_context(bench) == CIPHERED_CONTEXT, "the association is not ciphered")
    answer = attempt(bench, judge, "a ciphered context with a plain InitiateRequest", plain=True)
    refused(judge, answer, "a ciphered context with a plain InitiateRequest")
    good = bench.client().aarq()
    octets = altered(good, CONTEXT_ARC + bytes((CIPHERED_CONTEXT,)), CONTEXT_ARC + bytes((PLAIN_CONTEXT,)))
    refused(
        judge,
        attempt(bench, judge, "a plain context with a ciphered InitiateRequest", octets),
        "a plain context with a ciphered InitiateRequest",
    )


def calling_fields(bench: Bench, judge: Judge) -> None:
    """AS-07."""
    answer = attempt(bench, judge, "an AARQ with a calling invocation id", calling_ae_invocation_id=1)
    judge.expect(answer.accepted, f"an AARQ with a calling invocation id is answered by {answer}")
    if _context(bench) == CIPHERED_CONTEXT:
        for title, what in ((b"SHORT", "a calling AP title of 5 octets"), (None, "no calling AP title")):
            wrong = attempt(bench, judge, what, calling_ap_title=title)
            judge.expect(not wrong.accepted, f"{what} opens a ciphered association")


def mechanism_missing(bench: Bench, judge: Judge) -> None:
    """AS-08."""
    bench.needs(bench.way.settings.mechanism is not Mechanism.LOWEST, "the association has no authentication")
    wanted = (
        Diagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED,
        Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,
        Diagnostic.AUTHENTICATION_REQUIRED,
        Diagnostic.AUTHENTICATION_FAILURE,
    )
    cases: Mapping[str, dict[str, Any]] = {
        "a value without its mechanism": {"mechanism": None, "sender_acse_requirements": True},
        "a mechanism without its value": {"calling_authentication_value": None},
        "no authentication at all": {
            "mechanism": None,
            "calling_authentication_value": None,
            "sender_acse_requirements": False,
        },
    }
    for what, changes in cases.items():
        refused(judge, attempt(bench, judge, what, **changes), what, *wanted)


def wrong_password(bench: Bench, judge: Judge) -> None:
    """AS-09."""
    bench.needs(bench.way.settings.mechanism in WITH_PASSWORD, "the association has no password")
    wrong = bytes(octet ^ 1 for octet in bench.way.settings.secret or b"")
    refused(
        judge,
        attempt(bench, judge, "a wrong password", calling_authentication_value=wrong),
        "a wrong password",
        Diagnostic.AUTHENTICATION_FAILURE,
    )
    bench.still_serves(judge)


def password_lengths(bench: Bench, judge: Judge) -> None:
    """AS-10."""
    bench.needs(bench.way.settings.mechanism in WITH_PASSWORD, "the association has no password")
    for value, what in ((b"", "an empty password"), (bytes(64), "a password of 64 octets")):
        refused(judge, attempt(bench, judge, what, calling_authentication_value=value), what)
    bench.still_serves(judge)


def unknown_mechanism(bench: Bench, judge: Judge) -> None:
    """AS-12."""
    mechanism = bench.way.settings.mechanism
    bench.needs(mechanism is not Mechanism.LOWEST, "the association has no authentication")
    good = bench.client().aarq()
    octets = altered(good, MECHANISM_ARC + bytes((mechanism,)), MECHANISM_ARC + b"\x09")
    wanted = (Diagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED,)
    refused(judge, attempt(bench, judge, "mechanism 9", octets), "mechanism 9", *wanted)


def dedicated_key_in_clear(bench: Bench, judge: Judge) -> None:
    """AS-13."""
    client = bench.public_client()
    answer = client.associate(
        client.aarq(initiate={"dedicated_key": bytes(16)}), "a dedicated key without ciphering", Safety.S1
    )
    judge.expect(not answer.protected, f"it is answered under protection: {answer}")
    judge.expect(answer.kind is Kind.APDU or answer.nothing, f"it is answered by {answer}")
    judge.document(f"a dedicated key in a plain context is answered by {answer}")


def quality_of_service(bench: Bench, judge: Judge) -> None:
    """AS-14."""
    answer = attempt(bench, judge, "a proposed quality of service", initiate={"quality_of_service": 0})
    judge.expect(answer.accepted, f"a proposed quality of service is answered by {answer}")


def dlms_versions(bench: Bench, judge: Judge) -> None:
    """AS-15."""
    low = attempt(bench, judge, "DLMS version 5", initiate={"dlms_version": 5})
    if low.accepted:
        judge.expect(False, "DLMS version 5 is accepted")
    _initiate_error(judge, low, InitiateErrorCode.DLMS_VERSION_TOO_LOW, "DLMS version 5")
    client = bench.client()
    high = client.associate(client.aarq(initiate={"dlms_version": 7}), "DLMS version 7", Safety.S1)
    if judge.expect(high.accepted, f"DLMS version 7 is answered by {high}") and client.initiate is not None:
        judge.expect(
            client.initiate.dlms_version == VERSION_6, f"DLMS version 7 is negotiated to {client.initiate.dlms_version}"
        )


def _initiate_error(judge: Judge, answer: Answer, wanted: InitiateErrorCode, what: str) -> None:
    """The ConfirmedServiceError inside an AARE that refuses, where there is one."""
    found = answer.apdu
    if not isinstance(found, Aare) or not found.user_information:
        return
    try:
        held = apdu.decode(found.user_information)
    except DlmsError:
        return
    if isinstance(held, ConfirmedServiceError):
        judge.expect(held.value == wanted, f"{what} is refused with {held.reason}")


def no_conformance(bench: Bench, judge: Judge) -> None:
    """AS-16."""
    answer = attempt(bench, judge, "an empty conformance", initiate={"conformance": Conformance(0)})
    refused(judge, answer, "an empty conformance")
    _initiate_error(judge, answer, InitiateErrorCode.INCOMPATIBLE_CONFORMANCE, "an empty conformance")


def proposed_bits(bench: Bench, judge: Judge) -> None:
    """AS-17."""
    with bench.session() as client:
        assert client.initiate is not None
        offered = client.initiate.conformance
    full = _negotiated(bench, bench.way.settings.conformance)
    judge.expect(
        full is None or not int(full) & ~int(bench.way.settings.conformance), "bits come back that were not proposed"
    )
    for bit in Conformance:
        if not bit & offered or bit in (Conformance.RESERVED_ZERO, Conformance.RESERVED_SEVEN):
            continue
        found = _negotiated(bench, bit)
        if found is None:
            judge.note(f"{bit.name} alone opens no association")
            continue
        beyond = Conformance(int(found) & ~int(bit))
        names = ", ".join(one.name or "" for one in Conformance if one & beyond)
        judge.expect(not beyond, f"{bit.name} alone was proposed, and {names} comes back too")


def _negotiated(bench: Bench, proposed: Conformance) -> Conformance | None:
    client = bench.client()
    answer = client.associate(
        client.aarq(initiate={"conformance": proposed}), f"conformance {int(proposed):#08x}", Safety.S1
    )
    client.close()
    return client.initiate.conformance if answer.accepted and client.initiate is not None else None


def withheld_services(bench: Bench, judge: Judge) -> None:
    """AS-18, for services that read."""
    name = a_name(bench)
    usual = bench.way.settings.conformance
    asked: dict[Conformance, Apdu] = {
        Conformance.GET: GetRequestNormal(0xC1, name),
        Conformance.MULTIPLE_REFERENCES: GetRequestWithList(0xC2, (AttributeItem(name), AttributeItem(name))),
    }
    profiles = [one for one in bench.objects.of_class(7) if one.readable(2)]
    if profiles:
        selection = EntryDescriptor(1, 1).encode()
        asked[Conformance.SELECTIVE_ACCESS] = GetRequestNormal(0xC3, profiles[0].attribute(2), selection)
    for bit, message in asked.items():
        if not usual & bit:
            continue
        client = bench.client(conformance=usual & ~bit)
        answer = client.associate(what=f"AARQ without {bit.name}", safety=Safety.S1)
        if not answer.accepted or (client.wants_proof and not client.prove().done):
            judge.note(f"without {bit.name} no association opens: {answer}")
            client.close()
            continue
        found = client.ask(message, f"{bit.name}, which was not proposed", safety=Safety.S1, wait_s=bench.quick())
        judge.expect(not found.has_data, f"{bit.name} was not proposed, and is served: {found}")
        client.close()


def pdu_sizes(bench: Bench, judge: Judge) -> None:
    """AS-19."""
    for size in (1, 11):
        answer = attempt(bench, judge, f"a PDU size of {size}", initiate={"client_max_receive_pdu_size": size})
        refused(judge, answer, f"a PDU size of {size}")
        _initiate_error(judge, answer, InitiateErrorCode.PDU_SIZE_TOO_SHORT, f"a PDU size of {size}")
    unlimited = attempt(bench, judge, "a PDU size of 0", initiate={"client_max_receive_pdu_size": 0})
    judge.expect(unlimited.accepted, f"a PDU size of 0, no limit, is answered by {unlimited}")


def ber_games(bench: Bench, judge: Judge) -> None:
    """AS-23."""
    good = bench.client().aarq()
    body = good[2:] if good[1] < 0x80 else good[3:]
    cases = {
        "an AARQ that is cut": good[:-3],
        "an AARQ that is shorter than it says": bytes((good[0], 0x7F)) + body[:20],
        "an AARQ with a length in long form": bytes((good[0], 0x82)) + len(body).to_bytes(2, "big") + body,
        "an AARQ with an unknown element": _ber(good[0], body + b"\xbf\x7f\x02\x05\x00"),
        "an AARQ and spare octets": good + b"\x00\x00",
        "an AARQ of nothing": b"\x60\x00",
    }
    for what, octets in cases.items():
        answer = attempt(bench, judge, what, octets)
        judge.expect(answer.apdu is not None or answer.nothing, f"{what} is answered by {answer}")
    judge.expect(
        not attempt(bench, judge, "an AARQ without a context", b"\x60\x02\xbe\x00").accepted,
        "an AARQ without a context is accepted",
    )
    bench.still_serves(judge)


def _ber(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    length = (
        bytes((size,))
        if size < 0x80
        else b"\x81" + bytes((size,))
        if size < 0x100
        else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes((tag,)) + length + contents


def releases(bench: Bench, judge: Judge) -> None:
    """AS-24: RLRE normal, and after it nothing is served."""
    for what, changes in (("RLRQ normal", {}), ("RLRQ without a reason", {"reason": None})):
        client = bench.opened()
        answer = client.release(**changes)
        judge.expect(isinstance(answer.apdu, Rlre), f"{what} is answered by {answer}")
        if isinstance(answer.apdu, Rlre):
            judge.expect(answer.apdu.reason in (None, 0), f"{what} is answered with reason {answer.apdu.reason}")
            if client.ciphered and answer.apdu.user_information:
                try:
                    lift(client.protection, answer.apdu.user_information)
                except DlmsError as error:
                    judge.expect(False, f"the protection of the RLRE is wrong: {error}")
        later = client.ask(
            GetRequestNormal(client.invoke(), OBJECT_LIST),
            "GET behind a release",
            safety=Safety.S1,
            wait_s=bench.quick(),
        )
        judge.expect(not later.done, f"a GET is served behind {what}: {later}")
        client.close()


def release_of_nothing(bench: Bench, judge: Judge) -> None:
    """AS-25."""
    client = bench.client()
    answer = client.send_octets(
        b"\x62\x03\x80\x01\x00", "RLRQ without an association", safety=Safety.S1, wait_s=bench.quick()
    )
    judge.expect(answer.nothing or answer.fault or isinstance(answer.apdu, Rlre), f"it is answered by {answer}")
    judge.note(f"it is answered by {answer}")
    client.close()
    bench.still_serves(judge)


def interleaved(bench: Bench, judge: Judge) -> None:
    """AS-28: two clients over one connection keep what is theirs."""
    bench.needs(
        bench.way.transport == "tcp" and bench.way.public is not None, "it takes the wrapper and a public client"
    )
    seen_by_public = bench.public_objects
    one = bench.opened()
    assert bench.way.public is not None
    other = bench.client(bench.way.public, on=one.wire)
    answer = other.associate(what="AARQ of the public client over the same connection", safety=Safety.S1)
    judge.note(f"the public client over the same connection: {answer}")
    if answer.accepted:
        hidden = [o for o in bench.objects.objects if seen_by_public.find(*o.key) is None and o.readable(2)]
        if hidden:
            found = other.get(hidden[0].attribute(2))
            judge.expect(found.value is None, f"the public client reads {hidden[0]}, which its list does not have")
    mine = one.get(a_name(bench))
    judge.expect(mine.value is not None, f"the first client is then answered by {mine.words}")


def _hls(bench: Bench) -> None:
    bench.needs(bench.way.settings.mechanism in HLS, "the association has no HLS")


def four_passes(bench: Bench, judge: Judge) -> None:
    """AS-29."""
    _hls(bench)
    for length in (8, 16, 64) if bench.way.settings.mechanism is not Mechanism.ECDSA else (32, 64):
        client = bench.client()
        client.challenge = bench.way.random_bytes(length)
        answer = client.associate(what=f"AARQ with a challenge of {length}", safety=Safety.S1)
        if not judge.expect(answer.accepted, f"a challenge of {length} octets is answered by {answer}"):
            continue
        judge.expect(client.wants_proof, "HLS was proposed, and no proof is asked for")
        judge.expect(
            8 <= len(client.server_challenge) <= 64,
            f"the challenge of the meter has {len(client.server_challenge)} octets",
        )
        passed = client.prove()
        judge.expect(client.proved_by(passed), f"pass 4 does not prove that the meter knows the keys: {passed}")
        client.release()
        client.close()


def wrong_proof(bench: Bench, judge: Judge) -> None:
    """AS-30."""
    _hls(bench)
    bench.false_attempt()
    client = bench.client()
    bench.needs(client.associate(safety=Safety.S1).accepted, "the association does not open")
    good = client.proof()
    passed = client.prove(good[:-1] + bytes((good[-1] ^ 1,)))
    judge.expect(not passed.done, f"a wrong proof is answered by {passed}")
    if not client.wire.closed:
        later = client.ask(
            GetRequestNormal(client.invoke(), OBJECT_LIST),
            "GET behind a wrong proof",
            safety=Safety.S1,
            wait_s=bench.quick(),
        )
        judge.expect(not later.done, f"a GET is served behind a wrong proof: {later}")
    bench.still_serves(judge)


def before_proof(bench: Bench, judge: Judge) -> None:
    """AS-31."""
    _hls(bench)
    bench.false_attempt()
    client = bench.client()
    bench.needs(client.associate(safety=Safety.S1).accepted, "the association does not open")
    answer = client.ask(
        GetRequestNormal(client.invoke(), OBJECT_LIST), "GET before pass 3", safety=Safety.S1, wait_s=bench.quick()
    )
    judge.expect(not answer.done, f"a GET is served before pass 3: {answer}")
    client.close()
    bench.still_serves(judge)


def challenge_lengths(bench: Bench, judge: Judge) -> None:
    """AS-32."""
    _hls(bench)
    for length in (7, 65):
        answer = attempt(
            bench, judge, f"a challenge of {length} octets", calling_authentication_value=bench.way.random_bytes(length)
        )
        refused(judge, answer, f"a challenge of {length} octets")
    same, seen = bench.way.random_bytes(32), []
    for _ in range(2):
        client = bench.client()
        client.challenge = same
        if client.associate(what="AARQ with the same challenge", safety=Safety.S1).accepted:
            seen.append(client.server_challenge)
        client.close()
    bench.needs(len(seen) == 2, "the same challenge twice opens nothing")
    judge.expect(seen[0] != seen[1], "the meter's challenge is the same twice")


def reflected(bench: Bench, judge: Judge) -> None:
    """AS-33: the meter's own challenge and its own proof open nothing."""
    _hls(bench)
    bench.false_attempt()
    client = bench.client()
    bench.needs(client.associate(safety=Safety.S1).accepted, "the association does not open")
    stolen = client.server_challenge
    client.close()
    other = bench.client()
    other.challenge = stolen
    answer = other.associate(what="AARQ with a challenge of the meter's", safety=Safety.S1)
    if answer.accepted:
        judge.expect(other.server_challenge != stolen, "the meter sends back the challenge that it got")
        passed = other.prove(other.server_challenge)
        judge.expect(not passed.done, "the meter's challenge itself is taken for a proof")
    else:
        judge.expect(True, "")
    bench.still_serves(judge)


TESTS = {
    "AS-01": without_association,
    "AS-02": public_client,
    "AS-03": twice,
    "AS-04": protocol_version,
    "AS-05": unknown_context,
    "AS-06": context_against_ciphering,
    "AS-07": calling_fields,
    "AS-08": mechanism_missing,
    "AS-09": wrong_password,
    "AS-10": password_lengths,
    "AS-12": unknown_mechanism,
    "AS-13": dedicated_key_in_clear,
    "AS-14": quality_of_service,
    "AS-15": dlms_versions,
    "AS-16": no_conformance,
    "AS-17": proposed_bits,
    "AS-18": withheld_services,
    "AS-19": pdu_sizes,
    "AS-21": negotiated_size,
    "AS-22": vaa_name,
    "AS-23": ber_games,
    "AS-24": releases,
    "AS-25": release_of_nothing,
    "AS-26": object_tells_truth,
    "AS-28": interleaved,
    "AS-29": four_passes,
    "AS-30": wrong_proof,
    "AS-31": before_proof,
    "AS-32": challenge_lengths,
    "AS-33": reflected,
}
