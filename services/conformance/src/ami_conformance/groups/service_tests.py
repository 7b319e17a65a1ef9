"""GET, SET, ACTION and ACCESS as they should not be, and invoke-ids (SV): what answers them, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace

from ami_conformance.answers import Answer
from ami_conformance.bench import Bench, first
from ami_conformance.client import CONFIRMED, HELD_BACK, HIGH, Client
from ami_conformance.findings import Judge
from ami_conformance.safety import Safety
from ami_dlms import apdu, data
from ami_dlms.apdu.access import AccessRequest, AccessRequestGet, AccessResponse
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ApduTag, Conformance, DataAccessResult
from ami_dlms.obis import Obis

UNUSED = Obis.parse("1-0:199.199.199*255")
LOGICAL_NAME = 1
SPARE_OCTETS = b"\x00\x01\x02"
NO_APDU = b"\xff\x00\x01\x02"
ACCESS_CONFIRMED = 1 << 30


def a_name(bench: Bench) -> AttributeDescriptor:
    """A readable attribute that is short and never changes."""
    for one in bench.objects.objects:
        if one.readable(LOGICAL_NAME) and one.class_id in (1, 3, 8):
            return one.attribute(LOGICAL_NAME)
    return first(bench.objects.objects, "object").attribute(LOGICAL_NAME)


def unserved(judge: Judge, answer: Answer, what: str) -> None:
    """Nothing was carried out: an exception, a refusal or nothing."""
    judge.expect(not answer.done, f"{what} is carried out: {answer}")


def goes_on(bench: Bench, judge: Judge, client: Client, *, here: bool = False) -> None:
    """A good request is served after a bad one: in the association, or in a new one; `here`: a connection that stays open answers."""
    if not client.wire.closed:
        found = client.get(a_name(bench))
        if found.value is not None:
            judge.expect(True, "")
            return
        if here:
            judge.expect(not found.answer.silent, "the connection stays open, and nothing is answered over it any more")
    bench.still_serves(judge)


def unknown_object(bench: Bench, judge: Judge) -> None:
    """SV-05."""
    client = bench.opened()
    found = client.get(AttributeDescriptor(3, UNUSED, 2))
    judge.expect(
        found.result
        in (DataAccessResult.OBJECT_UNDEFINED, DataAccessResult.OBJECT_UNAVAILABLE, DataAccessResult.READ_WRITE_DENIED),
        f"an object that does not exist is answered by {found.words or 'a value'}",
    )
    if found.result is DataAccessResult.READ_WRITE_DENIED:
        judge.note("it is denied rather than undefined")


def wrong_class(bench: Bench, judge: Judge) -> None:
    """SV-06."""
    name = a_name(bench)
    used = {one.class_id for one in bench.objects.objects if one.obis == name.instance_id}
    other = next(number for number in (3, 1, 4, 8) if number not in used)
    found = bench.opened().get(replace(name, class_id=other))
    judge.expect(
        found.result
        in (
            DataAccessResult.OBJECT_CLASS_INCONSISTENT,
            DataAccessResult.OBJECT_UNDEFINED,
            DataAccessResult.OBJECT_UNAVAILABLE,
        ),
        f"{name.instance_id} as class {other} is answered by {found.words or 'a value'}",
    )


def wrong_attribute(bench: Bench, judge: Judge) -> None:
    """SV-07."""
    name, client = a_name(bench), bench.opened()
    numbers = [99, -128]
    if not client.conformance & Conformance.ATTRIBUTE0_SUPPORTED_WITH_GET:
        numbers.append(0)
    for number in numbers:
        if client.wire.closed:
            client = bench.opened()
        found = client.get(replace(name, attribute_id=number))
        judge.expect(found.value is None, f"attribute {number} of {name.instance_id} is answered by a value")
        judge.expect(
            found.result is not None or found.answer.fault, f"attribute {number} of {name.instance_id}: {found.words}"
        )
    goes_on(bench, judge, client)


def get_list(bench: Bench, judge: Judge) -> None:
    """SV-08: the results come in the order of the request, one bad item does not spoil the others."""
    client = bench.opened()
    bench.needs(bool(client.conformance & Conformance.MULTIPLE_REFERENCES), "multiple references were not negotiated")
    named = [one.attribute(LOGICAL_NAME) for one in bench.objects.objects if one.readable(LOGICAL_NAME)][:9]
    asked = [*named[:4], AttributeDescriptor(3, UNUSED, 2), *named[4:]]
    results, answer = client.get_list(asked)
    if not judge.expect(
        results is not None and len(results) == len(asked), f"a list of {len(asked)} is answered by {answer}"
    ):
        return
    for one, result in zip(asked, results or (), strict=True):
        if one.instance_id == UNUSED:
            judge.expect(isinstance(result, DataAccessResult), f"{one} does not exist, and has a value in a list")
        else:
            judge.expect(
                isinstance(result, Data) and result.value == bytes(one.instance_id),
                f"{one} in a list is answered by something else",
            )


def invoke_ids(bench: Bench, judge: Judge) -> None:
    """SV-09: answers come under the id and the priority of their requests."""
    client, name = bench.opened(), a_name(bench)
    managed = bool(client.conformance & Conformance.PRIORITY_MGMT_SUPPORTED)
    for number in range(16):
        for high in (HIGH, 0) if managed else (HIGH,):
            wanted = number | CONFIRMED | high
            answer = client.ask(GetRequestNormal(wanted, name), f"GET under {wanted:#04x}")
            found = getattr(answer.apdu, "invoke_id_and_priority", None)
            judge.expect(
                found == wanted,
                f"a request under {wanted:#04x} is answered "
                + ("by " + str(answer) if found is None else f"under {found:#04x}"),
            )
            if client.wire.closed:
                return


def malformed_get(bench: Bench, judge: Judge) -> None:
    """SV-02."""
    good = apdu.encode(GetRequestNormal(0xC1, a_name(bench)))
    _malformed(bench, judge, good, Safety.S1)


def malformed_set(bench: Bench, judge: Judge) -> None:
    """SV-03: none of them holds a value that could be taken."""
    client = bench.opened()
    name = a_name(bench)
    before = client.get(name).value
    good = b"\xc1\x01\xc1" + apdu.encode(GetRequestNormal(0xC1, name))[3:]
    _malformed(bench, judge, good, Safety.S2)
    after = bench.opened().get(name)
    bench.needs(after.value is not None, f"reading {name} behind them is answered by {after.words}")
    judge.expect(before == after.value, f"{name} has another value after SETs that say nothing")


def _malformed(bench: Bench, judge: Judge, good: bytes, safety: Safety) -> None:
    for octets, what in (
        (good[:1] + b"\x09" + good[2:], "a request of an unknown form"),
        (good[:8], "a request that ends in its descriptor"),
        (good[:2], "a request without its invoke id"),
    ):
        client = bench.opened()
        answer = client.ask(octets, what, safety=safety, wait_s=bench.quick())
        unserved(judge, answer, what)
        goes_on(bench, judge, client, here=True)
        client.close()
    client = bench.opened()
    client.send_octets(NO_APDU, "octets that are no APDU", safety=safety, wait_s=bench.quick())
    goes_on(bench, judge, client, here=True)


def unsupported_services(bench: Bench, judge: Judge) -> None:
    """SV-04."""
    read_request = bytes((ApduTag.READ_REQUEST, 1, 2, 0xFA, 0x08))
    requests = [
        (read_request, "a request by short names"),
        (b"\xd2\x01\xc1\x00", "a tag that is reserved"),
        (b"\x7f", "a tag alone"),
    ]
    access = apdu.encode(AccessRequest(ACCESS_CONFIRMED | 1, None, (AccessRequestGet(a_name(bench)),), (data.null(),)))
    for octets, what in requests:
        client = bench.opened()
        answer = client.ask(octets, what, safety=Safety.S1, wait_s=bench.quick())
        judge.expect(answer.fault or answer.nothing, f"{what} is answered by {answer}")
        goes_on(bench, judge, client)
        client.close()
    client = bench.opened(conformance=bench.way.settings.conformance & ~Conformance.ACCESS)
    answer = client.ask(
        access,
        "ACCESS that was not negotiated",
        safety=Safety.S1,
        wait_s=bench.quick(),
        protection=client.general_protection,
    )
    judge.expect(
        not isinstance(answer.apdu, AccessResponse), f"ACCESS is served though it was not negotiated: {answer}"
    )
    goes_on(bench, judge, client)


def unconfirmed_get(bench: Bench, judge: Judge) -> None:
    """SV-10."""
    client = bench.opened()
    answer = client.ask(
        GetRequestNormal(client.invoke(confirmed=False), a_name(bench)),
        "an unconfirmed GET",
        safety=Safety.S1,
        wait_s=bench.quick(),
    )
    judge.expect(answer.silent or answer.has_data or answer.fault, f"an unconfirmed GET is answered by {answer}")
    judge.document(f"an unconfirmed GET is answered by {answer}")
    goes_on(bench, judge, client)


def unknown_method(bench: Bench, judge: Judge) -> None:
    """SV-15."""
    clock = first(bench.objects.of_class(8), "clock (class 8)")
    client = bench.opened()
    answer = client.action(MethodDescriptor(8, clock.obis, 99), data.integer(0))
    judge.expect(answer.result not in (None, 0) or answer.fault, f"method 99 of a clock is answered by {answer}")
    goes_on(bench, judge, client)


def trailing_octets(bench: Bench, judge: Judge) -> None:
    """SV-18."""
    client = bench.opened()
    octets = apdu.encode(GetRequestNormal(client.invoke(), a_name(bench))) + SPARE_OCTETS
    answer = client.ask(octets, "a GET with spare octets", safety=Safety.S1, wait_s=bench.quick())
    judge.document(f"a GET with spare octets is answered by {answer}")
    goes_on(bench, judge, client)


def two_at_once(bench: Bench, judge: Judge) -> None:
    """SV-20: two requests before an answer; both answered under their own ids, or one refused."""
    bench.needs(bench.way.transport != "hdlc", "over HDLC the turn is the meter's as soon as one request is out")
    client, name = bench.opened(), a_name(bench)
    first_id, second_id = client.invoke(), client.invoke()
    requests = [GetRequestNormal(number, name) for number in (first_id, second_id)]
    sent = client.send_ahead(requests, "two requests at once", safety=Safety.S1)
    found = [client.listen(bench.quick()) if sent else HELD_BACK for _ in range(2)]
    for answer in found:
        bench.tell("one of two requests at once", b"", answer)
    ids = [getattr(one.apdu, "invoke_id_and_priority", None) for one in found]
    served = [under for answer, under in zip(found, ids, strict=True) if answer.has_data]
    for under in served:
        judge.expect(under in (first_id, second_id), f"an answer comes under {under}")
    judge.expect(len(set(served)) == len(served), "one of two requests is answered twice")
    judge.expect(bool(served), f"none of two requests at once is served: {found[0]}, {found[1]}")
    goes_on(bench, judge, client)


def access_service(bench: Bench, judge: Judge) -> None:
    """SV-17, its reading part: the results in the order of the request."""
    client = bench.opened(conformance=bench.way.settings.conformance | Conformance.ACCESS)
    bench.needs(bool(client.conformance & Conformance.ACCESS), "ACCESS was not negotiated")
    named = [one.attribute(LOGICAL_NAME) for one in bench.objects.objects if one.readable(LOGICAL_NAME)][:3]
    asked = [*named, AttributeDescriptor(3, UNUSED, 2)]
    request = AccessRequest(
        ACCESS_CONFIRMED | 1, None, tuple(map(AccessRequestGet, asked)), (data.null(),) * len(asked)
    )
    answer = client.ask(request, "ACCESS", protection=client.general_protection)
    found = answer.apdu
    if not judge.expect(isinstance(found, AccessResponse), f"ACCESS is answered by {answer}") or not isinstance(
        found, AccessResponse
    ):
        return
    judge.expect(len(found.results) == len(asked), f"{len(asked)} items have {len(found.results)} results")
    values = [one.value for one in found.values[: len(named)]]
    judge.expect(
        values == [bytes(one.instance_id) for one in named], "the values are not those that were asked for, in order"
    )
    judge.expect(bool(found.results[-1].result), "an object that does not exist is read with success")


TESTS = {
    "SV-02": malformed_get,
    "SV-03": malformed_set,
    "SV-04": unsupported_services,
    "SV-05": unknown_object,
    "SV-06": wrong_class,
    "SV-07": wrong_attribute,
    "SV-08": get_list,
    "SV-09": invoke_ids,
    "SV-10": unconfirmed_get,
    "SV-15": unknown_method,
    "SV-17": access_service,
    "SV-18": trailing_octets,
    "SV-20": two_at_once,
}
