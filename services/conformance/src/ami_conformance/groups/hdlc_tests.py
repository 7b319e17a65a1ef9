"""The data link of HDLC: frames, addresses, numbers, parameters (HD)."""

from __future__ import annotations

from dataclasses import replace

from ami_conformance.bench import Bench
from ami_conformance.findings import Judge
from ami_conformance.groups.class_tests import LOGICAL_DEVICE_NAME, whole
from ami_conformance.hdlc_station import LLC, NUMBERS, Came, Station, decoded
from ami_conformance.object_list import OBJECT_LIST
from ami_conformance.safety import Safety
from ami_dlms.apdu.acse import Aare
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.errors import DlmsError
from ami_dlms.framing.hdlc import Frame, FrameKind, check_sequence, control_of, encode
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters

NAME = AttributeDescriptor(1, LOGICAL_DEVICE_NAME, 2)
FLAG = b"\x7e"
LARGEST, USUAL, SMALL = 2030, 128, 64
UNKNOWN_SERVER, UNKNOWN_CLIENT = 0x55, 0x5A
ALL_STATIONS = 0x7F
UNDEFINED_CONTROL = 0x2F | 0x10
INTER_OCTET, INACTIVITY = 7, 8
REFUSALS = frozenset({FrameKind.DM, FrameKind.FRMR})
HDLC_SETUP = 23


def unanswered(judge: Judge, came: Came, what: str, *, refusal: bool = False) -> None:
    """Nothing came; with `refusal`, DM or FRMR may."""
    good = not came.frames or (refusal and set(came.kinds) <= REFUSALS)
    judge.expect(good, f"{what} is answered by {came}")


def connects(judge: Judge, station: Station, what: str) -> None:
    """A good SNRM is answered by UA, on this connection or, if it was closed, on another."""
    if station.closed:
        station = Station(station.bench)
    came = station.send(station.frame(FrameKind.SNRM), f"SNRM after {what}")
    judge.expect(came.last is not None and came.last.kind is FrameKind.UA, f"after {what} SNRM is answered by {came}")


def spoiled(octets: bytes, place: int) -> bytes:
    """With one bit wrong."""
    changed = bytearray(octets)
    changed[place] ^= 0x01
    return bytes(changed)


def connect_and_disconnect(bench: Bench, judge: Judge) -> None:
    """HD-01."""
    station = Station(bench)
    first = station.send(station.frame(FrameKind.DISC), "DISC without a link", safety=Safety.S0, wait_s=bench.quick())
    judge.expect(set(first.kinds) <= {FrameKind.DM, FrameKind.UA}, f"DISC without a link is answered by {first}")
    for _ in range(2):
        up = station.send(station.frame(FrameKind.SNRM), "SNRM", safety=Safety.S0)
        if not judge.expect(up.kinds == [FrameKind.UA], f"SNRM is answered by {up}"):
            return
        ready = station.send(station.frame(FrameKind.RR), "RR", safety=Safety.S0)
        judge.expect(ready.kinds == [FrameKind.RR], f"RR is answered by {ready}")
        down = station.disconnect()
        judge.expect(down.kinds == [FrameKind.UA], f"DISC is answered by {down}")


def cut_check(bench: Bench, judge: Judge) -> None:
    """HD-02."""
    station = Station(bench)
    good = station.frame(FrameKind.SNRM)
    unanswered(
        judge,
        station.send(good[:-2] + FLAG, "SNRM without an octet of its check", wait_s=bench.quick()),
        "SNRM without an octet of its check",
    )
    connects(judge, station, "a cut frame")


def _timeout(bench: Bench, number: int) -> int | None:
    setups = bench.objects.of_class(HDLC_SETUP)
    return whole(bench.value(setups[0].attribute(number))) if setups else None


def inactivity(bench: Bench, judge: Judge) -> None:
    """HD-03."""
    told = _timeout(bench, INACTIVITY)
    bench.needs(bool(told), "no HDLC setup (class 23) says how long a link may be idle")
    bench.needs(
        float(told or 0) <= bench.rules.patience_s,
        f"the meter waits {told} s, and --patience is {bench.rules.patience_s:g}",
    )
    station = Station(bench)
    station.connect()
    bench.way.pause(float(told or 0) * 1.2 + 1)
    late = station.send(station.frame(FrameKind.RR), f"RR after {told} s", wait_s=bench.quick())
    unanswered(judge, late, f"RR behind the inactivity time-out of {told} s", refusal=True)
    connects(judge, station, "an inactivity time-out")


def without_link(bench: Bench, judge: Judge) -> None:
    """HD-04."""
    station = Station(bench)
    for kind, information in (
        (FrameKind.RR, b""),
        (FrameKind.I, LLC + station.aarq()),
        (FrameKind.UI, LLC + station.aarq()),
    ):
        what = f"{kind.name} without a link"
        unanswered(
            judge, station.send(station.frame(kind, information), what, wait_s=bench.quick()), what, refusal=True
        )
    connects(judge, station, "frames without a link")


def malformed_parameters(bench: Bench, judge: Judge) -> None:
    """HD-05."""
    cases = {
        "a group that is longer than the field": bytes.fromhex("8180ff050180"),
        "an unknown parameter": bytes.fromhex("818003420101"),
        "a window of zero": bytes.fromhex("81800c070400000000080400000000"),
        "a field of another format": bytes.fromhex("ff0102"),
    }
    for what, information in cases.items():
        station = Station(bench)
        came = station.send(station.frame(FrameKind.SNRM, information), f"SNRM with {what}", wait_s=bench.quick())
        good = not came.frames or set(came.kinds) <= {FrameKind.UA, *REFUSALS}
        judge.expect(good, f"SNRM with {what} is answered by {came}")
        if came.last is not None and came.last.kind is FrameKind.UA:
            judge.expect(
                _parameters(came.last) is not None, f"the UA to SNRM with {what} has parameters that can't be read"
            )
        connects(judge, station, f"SNRM with {what}")


def _parameters(frame: Frame) -> LinkParameters | None:
    try:
        return decode_parameters(frame.information)
    except DlmsError:
        return None


def long_length(bench: Bench, judge: Judge) -> None:
    """HD-06."""
    station = Station(bench)
    octets = bytearray(station.frame(FrameKind.SNRM))
    octets[2] += 20
    unanswered(
        judge,
        station.send(bytes(octets), "SNRM whose length is too long", wait_s=bench.quick()),
        "SNRM whose length is too long",
    )
    connects(judge, Station(bench), "a frame whose length is too long")


def unknown_control(bench: Bench, judge: Judge) -> None:
    """HD-07."""
    station = Station(bench)
    station.connect()
    octets = encode(Frame(station.server, station.client, UNDEFINED_CONTROL))
    came = station.send(octets, "an undefined control field", wait_s=bench.quick())
    unanswered(judge, came, "an undefined control field", refusal=True)
    connects(judge, station, "an undefined control field")


def wrong_flag_and_format(bench: Bench, judge: Judge) -> None:
    """HD-08."""
    for what in ("a format type other than 3", "no opening flag", "no closing flag"):
        station = Station(bench)
        octets = bytearray(station.frame(FrameKind.SNRM))
        if what.startswith("a format"):
            octets[1] = 0x90 | octets[1] & 0x0F
            octets[-3:-1] = check_sequence(octets[1:-3])
        sent = (
            bytes(octets[1:])
            if "opening" in what
            else bytes(octets[:-1]) + b"\x00"
            if "closing" in what
            else bytes(octets)
        )
        unanswered(judge, station.send(sent, f"SNRM with {what}", wait_s=bench.quick()), f"SNRM with {what}")
        connects(judge, Station(bench), f"a frame with {what}")


def wrong_checks(bench: Bench, judge: Judge) -> None:
    """HD-09."""
    station = Station(bench)
    good = station.frame(FrameKind.SNRM)
    unanswered(
        judge, station.send(spoiled(good, -2), "SNRM with a wrong FCS", wait_s=bench.quick()), "SNRM with a wrong FCS"
    )
    station = Station(bench)
    station.connect()
    octets = bytearray(station.frame(FrameKind.I, LLC + station.aarq()))
    place = 3 + station.server.size + 1 + 1
    octets[place] ^= 0x01
    octets[-3:-1] = check_sequence(octets[1:-3])
    unanswered(
        judge,
        station.send(bytes(octets), "an information frame with a wrong HCS", wait_s=bench.quick()),
        "an information frame with a wrong HCS",
        refusal=True,
    )
    station = Station(bench)
    station.connect()
    octets_of = station.frame(FrameKind.I, LLC + station.aarq())
    unanswered(
        judge,
        station.send(spoiled(octets_of, -2), "an information frame with a wrong FCS", wait_s=bench.quick()),
        "an information frame with a wrong FCS",
        refusal=True,
    )
    connects(judge, Station(bench), "frames with wrong checks")


def addresses(bench: Bench, judge: Judge) -> None:
    """HD-10."""
    station = Station(bench)
    body = (
        b"\xa0\x00"
        + bytes((station.server.upper >> 7 << 1, station.server.upper << 1 & 0xFE, 0x23))
        + station.client.encode()
    )
    body += bytes((control_of(FrameKind.SNRM),))
    body = bytes((0xA0, len(body) + 2)) + body[2:]
    octets = FLAG + body + check_sequence(body) + FLAG
    unanswered(
        judge,
        station.send(octets, "SNRM with an address of 3 octets", wait_s=bench.quick()),
        "SNRM with an address of 3 octets",
    )
    forms = {HdlcAddress(station.server.upper)}
    if station.server.lower is not None:
        forms |= {
            HdlcAddress(station.server.upper, station.server.lower),
            HdlcAddress(station.server.upper, station.server.lower, wide=True),
        }
    for form in sorted(forms, key=lambda one: one.size):
        one = Station(bench)
        one.server = form
        came = one.send(one.frame(FrameKind.SNRM), f"SNRM with an address of {form.size} octets", wait_s=bench.quick())
        judge.note(f"an address of {form.size} octets is answered by {came}")
    connects(judge, Station(bench), "addresses of every size")


def unknown_addresses(bench: Bench, judge: Judge) -> None:
    """HD-11."""
    station = Station(bench)
    station.server = replace(station.server, upper=UNKNOWN_SERVER)
    unanswered(
        judge,
        station.send(station.frame(FrameKind.SNRM), "SNRM to a server that there is not", wait_s=bench.quick()),
        "SNRM to a server that there is not",
        refusal=True,
    )
    station = Station(bench)
    station.client = HdlcAddress(UNKNOWN_CLIENT)
    came = station.send(station.frame(FrameKind.SNRM), "SNRM of a client that nobody is", wait_s=bench.quick())
    if FrameKind.UA in came.kinds:
        judge.document("a client that nobody is gets a link")
        octets, _ = station.ask(
            station.aarq(), "AARQ of a client that nobody is", safety=Safety.S1, wait_s=bench.quick()
        )
        found = decoded(octets)
        judge.expect(
            not isinstance(found, Aare) or bool(found.result), "an AARQ of a client that nobody is is accepted"
        )
    connects(judge, Station(bench), "unknown addresses")


def information_length(bench: Bench, judge: Judge) -> None:
    """HD-12."""
    for length in (LARGEST, USUAL, SMALL, None):
        station = Station(bench)
        proposed = LinkParameters(max_information_transmit=length or USUAL, max_information_receive=length or USUAL)
        agreed = _parameters(station.connect(b"" if length is None else proposed.encode()))
        what = f"SNRM that proposes {length} octets" if length else "SNRM that proposes nothing"
        if (
            not judge.expect(agreed is not None, f"the UA to {what} has parameters that can't be read")
            or agreed is None
        ):
            continue
        judge.expect(
            agreed.max_information_transmit <= proposed.max_information_receive
            and agreed.max_information_receive <= proposed.max_information_transmit,
            f"the UA to {what} names {agreed.max_information_transmit} and {agreed.max_information_receive}",
        )
        station.ask(station.aarq(), "AARQ")
        _, seen = station.ask(station.get(OBJECT_LIST), "GET of the object list")
        longest = max((len(frame.information) for came in seen for frame in came.frames), default=0)
        limit = min(agreed.max_information_transmit, proposed.max_information_receive)
        judge.expect(
            longest <= limit, f"behind {what} a frame has {longest} octets of information, and {limit} are agreed"
        )


def window_size(bench: Bench, judge: Judge) -> None:
    """HD-13."""
    for window in (4, 1, 7):
        station = Station(bench)
        proposed = LinkParameters(window_transmit=window, window_receive=window)
        agreed = _parameters(station.connect(proposed.encode()))
        if not judge.expect(agreed is not None, "the UA has parameters that can't be read") or agreed is None:
            continue
        judge.expect(
            agreed.window_transmit <= window and agreed.window_receive <= window,
            f"a window of {window} is answered by {agreed.window_transmit} and {agreed.window_receive}",
        )
        station.ask(station.aarq(), "AARQ")
        _, seen = station.ask(station.get(OBJECT_LIST), "GET of the object list")
        most = max(sum(one is FrameKind.I for one in came.kinds) for came in seen)
        limit = min(window, agreed.window_transmit)
        judge.expect(most <= limit, f"{most} frames come in one go, and a window of {limit} is agreed")


def segmented_request(bench: Bench, judge: Judge) -> None:
    """HD-14."""
    station = Station(bench)
    station.connect()
    octets = LLC + station.aarq()
    half = len(octets) // 2
    first = station.send(
        station.frame(FrameKind.I, octets[:half], segmented=True), "the first half of an AARQ", safety=Safety.S0
    )
    if not judge.expect(
        first.kinds == [FrameKind.RR] and first.ended, f"the first half of an AARQ is answered by {first}"
    ):
        return
    station.send_number = 1
    came = station.send(station.frame(FrameKind.I, octets[half:]), "the second half of an AARQ", safety=Safety.S0)
    judge.expect(came.ended, f"the answer ends without the final bit: {came}")
    joined = b"".join(one.information for one in came.frames if one.kind is FrameKind.I)
    judge.expect(isinstance(decoded(joined[3:]), Aare), f"an AARQ in two frames is answered by {came}")


def segmented_answer(bench: Bench, judge: Judge) -> None:
    """HD-15."""
    station = Station(bench)
    station.associate()
    octets, seen = station.ask(station.get(OBJECT_LIST), "GET of the object list")
    judge.expect(all(one.ended for one in seen), "a transmission of the meter ends without the final bit")
    found = decoded(octets)
    judge.expect(
        isinstance(found, GetResponseNormal) and isinstance(found.result, Data),
        f"the segments of the object list are no value: {type(found).__name__ if found else 'they are cut'}",
    )
    judge.note(f"{sum(len(one.frames) for one in seen)} frames")


def too_long(bench: Bench, judge: Judge) -> None:
    """HD-16."""
    station = Station(bench)
    station.associate()
    octets = LLC + station.get(NAME)
    came = station.send(
        station.frame(FrameKind.I, octets + bytes(USUAL + 40)),
        "an information frame over the agreed length",
        wait_s=bench.quick(),
    )
    judge.expect(not came.information, f"an information frame over the agreed length is answered by {came}")
    connects(judge, station, "a frame that is too long")


def wrong_send_number(bench: Bench, judge: Judge) -> None:
    """HD-17."""
    station = Station(bench)
    station.associate()
    octets = station.frame(FrameKind.I, LLC + station.get(NAME))
    once = station.send(octets, "GET")
    bench.needs(once.information, f"a GET is answered by {once}")
    answered = [one.send_number for one in once.frames if one.kind is FrameKind.I]
    again = station.send(octets, "the same frame again", wait_s=bench.quick())
    numbers = [one.send_number for one in again.frames if one.kind is FrameKind.I]
    judge.expect(
        set(numbers) <= set(answered), f"a repeated frame is carried out again: answers {answered}, then {numbers}"
    )
    station = Station(bench)
    station.associate()
    station.send_number = (station.send_number + 1) % NUMBERS
    skipped = station.send(
        station.frame(FrameKind.I, LLC + station.get(NAME)), "a frame whose number skips one", wait_s=bench.quick()
    )
    judge.expect(not skipped.information, f"a frame whose number skips one is answered by {skipped}")
    connects(judge, station, "frames with wrong numbers")


def wrong_receive_number(bench: Bench, judge: Judge) -> None:
    """HD-18."""
    station = Station(bench)
    station.associate()
    impossible = (station.receive_number + 4) % NUMBERS
    octets = encode(Frame(station.server, station.client, control_of(FrameKind.RR, True, impossible)))
    came = station.send(octets, "RR that confirms what was never sent", wait_s=bench.quick())
    judge.expect(not came.information, f"RR that confirms what was never sent is answered by {came}")
    judge.note(f"it is answered by {came}")
    connects(judge, station, "a wrong number")


def aarq_without_link(bench: Bench, judge: Judge) -> None:
    """HD-19."""
    station = Station(bench)
    came = station.send(
        station.frame(FrameKind.I, LLC + station.aarq()), "an AARQ without a link", wait_s=bench.quick()
    )
    unanswered(judge, came, "an AARQ without a link", refusal=True)
    connects(judge, station, "an AARQ without a link")


def link_anew(bench: Bench, judge: Judge) -> None:
    """HD-20."""
    station = Station(bench)
    station.associate()
    station.connect(safety=Safety.S1)
    octets, seen = station.ask(station.get(NAME), "GET behind a second SNRM", safety=Safety.S1, wait_s=bench.quick())
    found = decoded(octets)
    judge.expect(
        not (isinstance(found, GetResponseNormal) and isinstance(found.result, Data)),
        f"a GET is served under the association of the link before: {seen[-1]}",
    )
    judge.expect(True, "")


def inter_octet(bench: Bench, judge: Judge) -> None:
    """HD-21."""
    told = _timeout(bench, INTER_OCTET)
    wait_s = max((told or 100) / 1000 * 2, 0.3)
    bench.needs(wait_s <= bench.rules.patience_s, f"the meter waits {told} ms")
    station = Station(bench)
    good = station.frame(FrameKind.SNRM)
    if station.send_ahead(good[: len(good) // 2], "a part of a frame"):
        bench.way.pause(wait_s)
    connects(judge, station, "a part of a frame and silence")


def broadcast(bench: Bench, judge: Judge) -> None:
    """HD-22."""
    station = Station(bench)
    station.server = HdlcAddress(ALL_STATIONS)
    octets = station.frame(FrameKind.UI, LLC + station.get(NAME), final=False)
    unanswered(judge, station.send(octets, "a GET to all stations", wait_s=bench.quick()), "a GET to all stations")
    connects(judge, Station(bench), "a GET to all stations")


def wrong_llc(bench: Bench, judge: Judge) -> None:
    """HD-23."""
    station = Station(bench)
    station.associate()
    came = station.send(
        station.frame(FrameKind.I, b"\xe6\xe5\x00" + station.get(NAME)),
        "a GET behind another LLC header",
        wait_s=bench.quick(),
    )
    judge.expect(not came.information, f"a GET behind another LLC header is answered by {came}")
    connects(judge, station, "another LLC header")


TESTS = {
    "HD-01": connect_and_disconnect,
    "HD-02": cut_check,
    "HD-03": inactivity,
    "HD-04": without_link,
    "HD-05": malformed_parameters,
    "HD-06": long_length,
    "HD-07": unknown_control,
    "HD-08": wrong_flag_and_format,
    "HD-09": wrong_checks,
    "HD-10": addresses,
    "HD-11": unknown_addresses,
    "HD-12": information_length,
    "HD-13": window_size,
    "HD-14": segmented_request,
    "HD-15": segmented_answer,
    "HD-16": too_long,
    "HD-17": wrong_send_number,
    "HD-18": wrong_receive_number,
    "HD-19": aarq_without_link,
    "HD-20": link_anew,
    "HD-21": inter_octet,
    "HD-22": broadcast,
    "HD-23": wrong_llc,
}
