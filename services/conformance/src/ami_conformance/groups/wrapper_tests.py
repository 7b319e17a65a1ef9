"""The wrapper of TCP and UDP: headers, ports, connections (WR), and clients that come and go (RB-06)."""

from __future__ import annotations

from ami_conformance.answers import Kind
from ami_conformance.bench import Bench
from ami_conformance.client import HELD_BACK, Client
from ami_conformance.findings import Judge
from ami_conformance.groups.class_tests import whole
from ami_conformance.groups.service_tests import a_name
from ami_conformance.safety import Safety
from ami_conformance.wire import Ports
from ami_dlms import apdu
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.wrapper import encode

IDLE_SLACK_S = 10.0
SLOWLY_S = 0.02


def framed(client: Client, octets: bytes, *, ports: Ports | None = None) -> bytes:
    """An APDU in the wrapper."""
    chosen = ports or client.ports
    return encode(WrapperPdu(chosen.client, chosen.server, octets))


def closed_without_release(bench: Bench, judge: Judge) -> None:
    """WR-01."""
    client = bench.opened()
    client.close()
    began = bench.way.clock()
    again = bench.client()
    answer = again.associate(safety=Safety.S1)
    judge.expect(
        answer.accepted, f"behind a connection that was closed without a release an AARQ is answered by {answer}"
    )
    judge.note(f"accepted after {bench.way.clock() - began:.2f} s")
    again.close()


def cut_and_joined(bench: Bench, judge: Judge) -> None:
    """WR-02."""
    client = bench.opened()
    plain = apdu.encode(GetRequestNormal(client.invoke(), a_name(bench)))
    octets = framed(client, client.seal(plain))
    pieces, what = (octets[:8], octets[8:]), "a request in two pieces"
    sent = client.send_pieces(pieces, what, safety=Safety.S1, shown=plain, rest=lambda: bench.way.pause(0.3))
    answer = client.listen() if sent else HELD_BACK
    bench.tell("a GET whose header comes alone", plain, answer)
    judge.expect(answer.has_data, f"a GET whose header comes alone is answered by {answer}")
    ids, joined = [], b""
    for _ in range(2):
        ids.append(client.invoke())
        joined += framed(client, client.seal(apdu.encode(GetRequestNormal(ids[-1], a_name(bench)))))
    sent = client.send_pieces((joined,), "two requests in one write", safety=Safety.S1, shown=plain)
    found = [client.listen() if sent else HELD_BACK for _ in ids]
    for one in found:
        bench.tell("one of two GETs in one write", b"", one)
    judge.expect(
        [getattr(one.apdu, "invoke_id_and_priority", None) for one in found] == ids
        and all(one.has_data for one in found),
        f"two GETs in one write are answered by {found[0]} and {found[1]}",
    )


def wrong_version(bench: Bench, judge: Judge) -> None:
    """WR-03."""
    for version in (0, 2):
        client = bench.client()
        octets = bytearray(framed(client, client.aarq()))
        octets[0:2] = version.to_bytes(2, "big")
        answer = client.send_line(bytes(octets), f"an AARQ in a wrapper of version {version}", wait_s=bench.quick())
        judge.expect(answer.nothing, f"a wrapper of version {version} is answered by {answer}")
        client.close()
    bench.still_serves(judge)


def unknown_server(bench: Bench, judge: Judge) -> None:
    """WR-04."""
    known = {bench.way.settings.server_wport}
    for server in (99, 0):
        if server in known:
            continue
        client = bench.client(server_wport=server)
        answer = client.associate(what=f"an AARQ to the logical device {server}", safety=Safety.S1)
        judge.expect(not answer.accepted, f"an AARQ to the logical device {server}, which does not exist, is accepted")
        client.close()
    bench.still_serves(judge)


def unknown_client(bench: Bench, judge: Judge) -> None:
    """WR-05."""
    bench.false_attempt()
    for number in (99, 0x7777):
        client = bench.client(client_wport=number)
        answer = client.associate(what=f"an AARQ of client {number}", safety=Safety.S1)
        judge.expect(not answer.accepted, f"an AARQ of client {number}, which nobody is, is accepted")
        client.close()
    bench.still_serves(judge)


def wrong_lengths(bench: Bench, judge: Judge) -> None:
    """WR-06."""
    client = bench.client()
    head = framed(client, b"\x00")[:6]
    for octets, what in (
        (head + b"\x00\x00", "a wrapper of length 0"),
        (head + b"\xff\xff\x60\x01\x02", "a wrapper of length 65535 with 3 octets"),
    ):
        one = bench.client()
        answer = one.send_line(octets, what, wait_s=bench.quick())
        judge.expect(answer.nothing or answer.fault, f"{what} is answered by {answer}")
        one.close()
    bench.still_serves(judge)


def two_connections(bench: Bench, judge: Judge) -> None:
    """WR-07."""
    one = bench.opened()
    other = bench.client(beside=True)
    answer = other.associate(what="an AARQ over a second connection", safety=Safety.S1)
    found = one.get(a_name(bench))
    other.close()
    judge.document(f"a second connection: {answer}; the first one is then answered by {found.words or 'its value'}")
    one.close()
    bench.still_serves(judge)


def idle(bench: Bench, judge: Judge) -> None:
    """WR-08."""
    setups = bench.objects.of_class(41)
    told = whole(bench.value(setups[0].attribute(6))) if setups else None
    bench.needs(bool(told), "no TCP-UDP setup says how long a connection may be idle")
    limit = float(told or 0)
    bench.needs(
        limit <= bench.rules.patience_s, f"the meter waits {limit:g} s, and --patience is {bench.rules.patience_s:g}"
    )
    client = bench.opened()
    began = bench.way.clock()
    answer = client.listen(limit + IDLE_SLACK_S)
    gone = bench.way.clock() - began
    judge.expect(
        answer.kind is Kind.CLOSED, f"after {gone:.0f} s the connection is still there, and the setup says {limit:g}"
    )
    if answer.kind is Kind.CLOSED:
        judge.expect(
            abs(gone - limit) <= IDLE_SLACK_S,
            f"the connection was closed after {gone:.0f} s, and the setup says {limit:g}",
        )
    bench.still_serves(judge)


def ports_swapped(bench: Bench, judge: Judge) -> None:
    """WR-09."""
    for settings in filter(None, (bench.way.settings, bench.way.public)):
        client = bench.opened(settings)
        client.get(a_name(bench))
        client.release()
        wrong = client.wire.swapped_wrongly
        judge.expect(
            not wrong,
            f"answers to {client.ports.client} from {client.ports.server} come from {', '.join(dict.fromkeys(wrong))}",
        )


def datagrams(bench: Bench, judge: Judge) -> None:
    """WR-10."""
    with bench.session() as client:
        found = client.get(a_name(bench))
        judge.expect(found.value is not None, f"a GET over UDP is answered by {found.words}")


def slow_client(bench: Bench, judge: Judge) -> None:
    """RB-06: one octet after the other, and another client in between."""
    client = bench.opened()
    plain = apdu.encode(GetRequestNormal(client.invoke(), a_name(bench)))
    octets = framed(client, client.seal(plain))
    pieces, what = [octets[place : place + 1] for place in range(len(octets))], "a request octet by octet"
    sent = client.send_pieces(pieces, what, safety=Safety.S1, shown=plain, rest=lambda: bench.way.pause(SLOWLY_S))
    answer = client.listen() if sent else HELD_BACK
    bench.tell("a GET octet by octet", plain, answer)
    judge.expect(answer.has_data or answer.nothing, f"a GET octet by octet is answered by {answer}")
    bench.still_serves(judge)


TESTS = {
    "WR-01": closed_without_release,
    "WR-02": cut_and_joined,
    "WR-03": wrong_version,
    "WR-04": unknown_server,
    "WR-05": unknown_client,
    "WR-06": wrong_lengths,
    "WR-07": two_connections,
    "WR-08": idle,
    "WR-09": ports_swapped,
    "WR-10": datagrams,
    "RB-06": slow_client,
}
