"""Protection of APDUs: counters, tags, keys, controls, and forms of ciphering (SE); what is wrong may neither be served nor stop the meter."""

from __future__ import annotations

from ami_conformance.answers import Answer, Kind
from ami_conformance.bench import Bench
from ami_conformance.client import Client
from ami_conformance.findings import Judge
from ami_conformance.groups.service_tests import a_name, goes_on
from ami_conformance.object_list import OBJECT_LIST
from ami_conformance.safety import Safety
from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.association import Ciphering
from ami_dlms.association.protection.apdu_protection import CipheringKind, service_tag
from ami_dlms.association.settings import Security
from ami_dlms.security import (
    AUTHENTICATED,
    BROADCAST,
    COMPRESSED,
    ENCRYPTED,
    GlobalKeys,
    ProtectionFlags,
    SendCounter,
    protect,
)

JUMP = 1000
OLD = 10
TAG_BITS = 1
FOREIGN_TITLE = b"AMITEST\x01"


def keyed(bench: Bench) -> Security:
    """The security of the association; Unsettled where its requests are not protected."""
    security = bench.way.settings.security
    bench.needs(
        security is not None and bool(security.required.request), "requests of this association are not ciphered"
    )
    assert security is not None
    return security


def plain_get(bench: Bench, client: Client) -> bytes:
    """A short GET."""
    return apdu.encode(GetRequestNormal(client.invoke(), a_name(bench)))


def carried(security: Security, plain: bytes, content: bytes, title: bytes | None = None) -> bytes:
    """A ciphered content in the APDU that this association uses."""
    if security.ciphering is Ciphering.SERVICE_SPECIFIC and title is None:
        return apdu.encode(ServiceCiphering(service_tag(plain[0], CipheringKind.GLO), content))
    return apdu.encode(GeneralGloCiphering(title or security.system_title, content))


def forged(
    client: Client, security: Security, plain: bytes, *, counter: int | None = None, control: int | None = None,
    keys: GlobalKeys | None = None, title: bytes | None = None,
) -> bytes:  # fmt: skip
    """A GET under protection, with something of it otherwise."""
    client.guard.top_up()
    number = client.counter.take() if counter is None else counter
    chosen = security.control(security.required.request & ~ProtectionFlags.SIGNED) if control is None else control
    content = protect(chosen, keys or security.keys, title or security.system_title, number, plain)
    return carried(security, plain, content, title)


def send(bench: Bench, client: Client, octets: bytes, plain: bytes, what: str) -> Answer:
    """Octets as they are; the report has the request that is in them."""
    return client.send_octets(octets, what, safety=Safety.S1, wait_s=bench.quick(), shown=plain)


def refuses(bench: Bench, judge: Judge, octets_of: object, what: str) -> None:
    """One false request of an own session: not served, and the meter goes on."""
    client = bench.opened()
    plain = plain_get(bench, client)
    octets = octets_of(client, plain)  # type: ignore[operator]
    answer = send(bench, client, octets, plain, what)
    judge.expect(not answer.done, f"{what} is served: {answer}")
    judge.note(f"{what}: {answer}")
    client.close()


def first_counter(bench: Bench, judge: Judge) -> None:
    """SE-01."""
    keyed(bench)
    bench.needs(bench.way.public is not None, "the public client was ruled out")
    client = bench.client()
    answer = client.associate(safety=Safety.S1)
    judge.expect(answer.accepted, f"an AARQ under a counter above the meter's is answered by {answer}")
    judge.expect(not client.wants_proof or client.prove().done, "pass 3 under such a counter is refused")


def replayed(bench: Bench, judge: Judge) -> None:
    """SE-02."""
    security = keyed(bench)
    client = bench.opened()
    plain = plain_get(bench, client)
    octets = forged(client, security, plain)
    once = send(bench, client, octets, plain, "a ciphered GET")
    bench.needs(once.done, f"a ciphered GET is answered by {once}")
    again = send(bench, client, octets, plain, "the same octets again")
    judge.expect(not again.done, f"the same octets are served twice: {again}")
    goes_on(bench, judge, client)


def low_counters(bench: Bench, judge: Judge) -> None:
    """SE-03. The low values were taken and never sent: no initialization vector is used twice, whatever the meter does."""
    security = keyed(bench)
    for back, what in ((1, "a GET under the counter before the last"), (OLD, f"a GET under a counter {OLD} lower")):
        client = bench.opened()
        client.guard.top_up()
        low, *_ = [client.counter.take() for _ in range(back)]
        bench.needs(client.get(a_name(bench)).value is not None, "a good GET is not served")
        plain = plain_get(bench, client)
        answer = send(bench, client, forged(client, security, plain, counter=low), plain, what)
        judge.expect(not answer.done, f"{what} is served: {answer}")
        client.close()
    low = bench.way.counter.take()
    bench.opened().release()
    bench.settle()
    late = bench.client(counter=SendCounter(low, low + 1))
    opened = late.associate(what="AARQ under a counter from before another session", safety=Safety.S1)
    judge.expect(not opened.accepted, "an AARQ under a counter from before another session opens an association")
    late.close()
    bench.still_serves(judge)


def counter_jump(bench: Bench, judge: Judge) -> None:
    """SE-04."""
    security = keyed(bench)
    client = bench.opened()
    low = client.counter.take()
    for _ in range(JUMP):
        client.guard.top_up()
        client.counter.take()
    plain = plain_get(bench, client)
    answer = send(bench, client, forged(client, security, plain), plain, f"a GET under a counter {JUMP} higher")
    judge.expect(answer.done, f"a GET under a counter {JUMP} higher is answered by {answer}")
    plain = plain_get(bench, client)
    old = send(bench, client, forged(client, security, plain, counter=low), plain, "a GET under a counter from before")
    judge.expect(not old.done, f"a GET under a counter from before the jump is served: {old}")
    bench.still_serves(judge)


def flipped_bits(bench: Bench, judge: Judge) -> None:
    """SE-06."""
    security = keyed(bench)

    def flip(place: int) -> object:
        def made(client: Client, plain: bytes) -> bytes:
            octets = bytearray(forged(client, security, plain))
            octets[place] ^= TAG_BITS
            return bytes(octets)

        return made

    if security.required.request & ProtectionFlags.AUTHENTICATED:
        refuses(bench, judge, flip(-1), "a GET whose tag has a bit wrong")
        refuses(bench, judge, flip(-14), "a GET whose text has a bit wrong")
    if security.ciphering is not Ciphering.SERVICE_SPECIFIC:
        refuses(bench, judge, flip(3), "a GET whose system title has a bit wrong")
    bench.still_serves(judge)


def wrong_key(bench: Bench, judge: Judge) -> None:
    """SE-07."""
    security = keyed(bench)
    size = len(security.keys.encryption_key)
    other = GlobalKeys(bytes(range(1, size + 1)), security.keys.authentication_key)
    refuses(bench, judge, lambda client, plain: forged(client, security, plain, keys=other), "a GET under another key")
    if security.required.request & ProtectionFlags.AUTHENTICATED:
        foreign = GlobalKeys(security.keys.encryption_key, bytes(range(1, size + 1)))
        refuses(
            bench,
            judge,
            lambda client, plain: forged(client, security, plain, keys=foreign),
            "a GET under another authentication key",
        )
    bench.still_serves(judge)


def downgraded(bench: Bench, judge: Judge) -> None:
    """SE-08."""
    security = keyed(bench)
    required = security.required.request
    bench.needs(
        bool(required & ProtectionFlags.AUTHENTICATED and required & ProtectionFlags.ENCRYPTED),
        "the policy does not ask for both protections",
    )
    suite = security.suite
    for control, what in (
        (suite | AUTHENTICATED, "a GET that is authenticated only"),
        (suite | ENCRYPTED, "a GET that is encrypted only"),
    ):
        refuses(
            bench, judge, lambda client, plain, control=control: forged(client, security, plain, control=control), what
        )
    refuses(bench, judge, lambda client, plain: plain, "a GET without protection")
    bench.still_serves(judge)


def suite_bits(bench: Bench, judge: Judge) -> None:
    """SE-09."""
    security = keyed(bench)
    other = (security.suite + 1) % 3
    control = security.control(security.required.request & ~ProtectionFlags.SIGNED)

    def of_other_suite(client: Client, plain: bytes) -> bytes:
        return forged(client, security, plain, control=control & ~0x0F | other)

    refuses(bench, judge, of_other_suite, f"a GET that says suite {other}")
    if control & AUTHENTICATED:
        refuses(bench, judge, lambda client, plain: _cut(forged(client, security, plain)), "a GET whose tag is cut")
    bench.still_serves(judge)


def _cut(octets: bytes) -> bytes:
    """A ciphered APDU with a tag of 8 octets, its length mended."""
    message = apdu.decode(octets)
    if isinstance(message, GeneralGloCiphering):
        return apdu.encode(GeneralGloCiphering(message.system_title, message.content[:-4]))
    assert isinstance(message, ServiceCiphering)
    return apdu.encode(ServiceCiphering(message.tag, message.content[:-4]))


def answers_protected(bench: Bench, judge: Judge) -> None:
    """SE-10."""
    security = bench.way.settings.security
    bench.needs(
        security is not None and bool(security.required.response), "answers of this association are not ciphered"
    )
    assert security is not None
    wanted = security.control(security.required.response & ~ProtectionFlags.SIGNED)
    before = -1
    for _ in range(2):
        client = bench.client()
        answers = [client.associate()]
        if client.wants_proof:
            answers.append(client.prove())
        for answer in answers:
            judge.expect(answer.kind is not Kind.UNTRUSTED, f"the protection of an answer is wrong: {answer.reason}")
        for _ in range(3):
            answer = client.ask(GetRequestNormal(client.invoke(), OBJECT_LIST), "GET of the object list")
            judge.expect(answer.kind is not Kind.UNTRUSTED, f"the protection of an answer is wrong: {answer.reason}")
            judge.expect(answer.protected or answer.fault, f"an answer comes without protection: {answer}")
        client.release()
        title = client.protection.peer_title if client.protection else None
        for counter, control, shown in zip(
            client.server_counters, client.server_controls, client.server_titles, strict=True
        ):
            judge.expect(counter > before, f"the meter's counter goes from {before} to {counter}")
            judge.expect(
                control & 0x3F & wanted == wanted,
                f"an answer has the security control {control:#04x}, and {wanted:#04x} is wanted",
            )
            judge.expect(not shown or shown == title, f"an answer shows the title {shown.hex()}")
            before = max(before, counter)
        client.close()


def dedicated_key(bench: Bench, judge: Judge) -> None:
    """SE-11."""
    security = keyed(bench)
    client = bench.client()
    key = bench.way.random_bytes(len(security.keys.encryption_key))
    answer = client.associate(client.aarq(initiate={"dedicated_key": key}), "AARQ with a dedicated key", Safety.S1)
    bench.needs(answer.accepted, f"an AARQ with a dedicated key is answered by {answer}")
    assert client.protection is not None
    if client.wants_proof:
        bench.needs(client.prove().done, "the proof is refused")
    client.protection.use_dedicated_key(key)
    found = client.get(a_name(bench))
    judge.expect(found.value is not None, f"a GET under the dedicated key is answered by {found.words}")
    plain = plain_get(bench, client)
    late = client.seal(plain)
    client.protection.use_dedicated_key(None)
    client.release()
    after = send(bench, client, late, plain, "a GET under the dedicated key behind the release")
    judge.expect(not after.done, f"a GET under the dedicated key is served behind the release: {after}")


def broadcast_key(bench: Bench, judge: Judge) -> None:
    """SE-12: a request that says broadcast, under the unicast key."""
    security = keyed(bench)
    control = security.control(security.required.request & ~ProtectionFlags.SIGNED)
    keys = GlobalKeys(
        security.keys.encryption_key,
        security.keys.authentication_key,
        broadcast_encryption_key=security.keys.encryption_key,
    )
    refuses(
        bench,
        judge,
        lambda client, plain: forged(client, security, plain, control=control | BROADCAST, keys=keys),
        "a unicast GET that says broadcast",
    )
    bench.still_serves(judge)


def both_forms(bench: Bench, judge: Judge) -> None:
    """SE-13."""
    security = keyed(bench)
    forms = (CipheringKind.GENERAL_GLO, CipheringKind.GLO)
    served = []
    for kind in forms:
        client = bench.opened()
        assert client.protection is not None
        answer = client.ask(
            GetRequestNormal(client.invoke(), OBJECT_LIST), f"a GET in {kind.value}", safety=Safety.S1,
            protection=client.protection.own_protection(kind), wait_s=max(bench.quick(), 2.0),
        )  # fmt: skip
        if answer.done:
            served.append(kind.value)
        judge.expect(
            answer.done or answer.fault or answer.nothing or answer.result is not None,
            f"{kind.value} is answered by {answer}",
        )
        client.close()
    judge.expect(bool(served), "neither form of ciphering is served")
    judge.document(f"served: {' and '.join(served) or 'none'}; the session uses {security.ciphering.value}")


def other_title(bench: Bench, judge: Judge) -> None:
    """SE-15."""
    security = keyed(bench)
    bench.needs(security.ciphering is not Ciphering.SERVICE_SPECIFIC, "service-specific ciphering shows no title")
    refuses(
        bench,
        judge,
        lambda client, plain: forged(client, security, plain, title=FOREIGN_TITLE),
        "a GET under another system title",
    )
    bench.still_serves(judge)


def compressed(bench: Bench, judge: Judge) -> None:
    """SE-16: the bit is set after the octets were protected, and in what is authenticated."""
    security = keyed(bench)
    place = 1 + 1 + 8 if security.ciphering is not Ciphering.SERVICE_SPECIFIC else 1

    def made(client: Client, plain: bytes) -> bytes:
        octets = bytearray(forged(client, security, plain))
        octets[place + 1] |= COMPRESSED
        return bytes(octets)

    refuses(bench, judge, made, "a GET that says it is compressed")
    bench.still_serves(judge)


TESTS = {
    "SE-01": first_counter,
    "SE-02": replayed,
    "SE-03": low_counters,
    "SE-04": counter_jump,
    "SE-06": flipped_bits,
    "SE-07": wrong_key,
    "SE-08": downgraded,
    "SE-09": suite_bits,
    "SE-10": answers_protected,
    "SE-11": dedicated_key,
    "SE-12": broadcast_key,
    "SE-13": both_forms,
    "SE-15": other_title,
    "SE-16": compressed,
}
