"""Attacks on ports that speak DLMS: the HES's port for meters (TCP and UDP), and a simulated meter's.

Each gives what came back, by kind: `hung up`, `held` (still open when we went), `asked who it is`, `refused`, `answered`, `no answer`."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress

from hostile import Address
from siege import PATIENCE_S, Battlefield, Target

from ami_dlms import data
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import Security, protect_notification
from ami_dlms.security import GlobalKeys, SendCounter, protect

from ami_dlms import apdu  # isort: skip

Launch = Callable[[Battlefield, float], Counter[str]]
OTHER = "127.0.0.2"
"""Where attacks come from, so that the places of an address are theirs and not those of the meters on 127.0.0.1."""
QUIET_S = 0.5
AARQ, AARE = 0x60, 0x61


def frame(body: bytes, source: int = 1, destination: int = 16) -> bytes:
    """In the wrapper."""
    return b"".join(number.to_bytes(2, "big") for number in (1, source, destination, len(body))) + body


def said(octets: bytes, ended: bool) -> str:
    """What came over one connection."""
    if octets[8:9] == bytes((AARQ,)):
        return "asked who it is"
    if octets[8:9] == bytes((AARE,)):
        return "refused" if b"\xa2\x03\x02\x01\x00" not in octets else "accepted"
    if octets:
        return "answered"
    return "hung up" if ended else "held"


def _sent(address: Address, many: Iterable[Sequence[bytes]], patience_s: float = QUIET_S) -> Counter[str]:
    """A connection for each of these, which says its pieces one after the other; what came until it is quiet."""
    came: Counter[str] = Counter()
    with ExitStack() as stack:
        callers: dict[socket.socket, tuple[list[bytes], bytearray]] = {}
        for pieces in many:
            with suppress(OSError):
                caller = socket.create_connection(address, PATIENCE_S, (OTHER, 0))
                callers[stack.enter_context(caller)] = list(pieces), bytearray()
        quiet = time.monotonic() + patience_s
        while callers and time.monotonic() < quiet:
            for caller, (pieces, _) in callers.items():
                if pieces:
                    quiet = time.monotonic() + patience_s
                    with suppress(OSError):
                        caller.sendall(pieces.pop(0))
            for caller in select.select([*callers], [], [], 0.02)[0]:
                octets = b""
                with suppress(OSError):
                    octets = caller.recv(65_536)
                callers[caller][1].extend(octets)
                if not octets:
                    came[said(bytes(callers.pop(caller)[1]), True)] += 1
        came.update(said(bytes(octets), False) for _, octets in callers.values())
    return came


def connections(target: Target, number: int) -> Launch:
    """So many at once that say nothing."""
    return lambda site, force: _sent(site.address(target), [[]] * round(number * force), 1.5)


def flood(target: Target, number: int, octets: bytes) -> Launch:
    """So many connections that say this."""
    return lambda site, force: _sent(site.address(target), [[octets]] * round(number * force))


def slowly(target: Target, number: int, octets: bytes) -> Launch:
    """So many connections that say this octet by octet, and never its end."""
    pieces = [octets[place : place + 1] for place in range(len(octets))]
    return lambda site, force: _sent(site.address(target), [pieces] * round(number * force))


PUBLIC_AARQ = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F0400007E1FFFFF")
HLS_AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080205AC0A80081122334455667788BE10040E01000000065F1F0400007E1FFFFF"
)
_MOST = b"\x84\xff\xff\xff\xff"
OVERSIZED = (
    b"\x00\x01\x00\x01\x00\x10\xff\xff" + bytes(60_000),
    frame(b"\x60" + _MOST + bytes(100)),
    frame(b"\x61" + _MOST + bytes(100)),
    frame(b"\x0f\x00\x00\x00\x01\x00\x01" + _MOST),
    frame(b"\x0f\x00\x00\x00\x01\x00\x09" + _MOST),
    frame(b"\x0f\x00\x00\x00\x01\x00" + b"\x02\x01" * 20_000),
    frame(b"\x0f\x00\x00\x00\x01\x00\x13\x04\x01\xff\xff\x00\x84\x7f\xff\xff\xff" + bytes(100)),
    frame(b"\xdb\x08" + bytes(8) + _MOST),
    frame(b"\xe0\x80\x00\x01\x00\x00" + _MOST),
    frame(b"\xc0\x01\xc1" + _MOST),
    b"\x00\x01" * 30_000,
    b"\x7e\xa7\xff" + bytes(3_000),
)
NOT_ENDING = frame(b"\x0f\x00\x00\x00\x01\x00\x09\x20" + bytes(60))[:70]


def oversized(target: Target) -> Launch:
    """Lengths that no octets follow, nesting without end, frames of other worlds."""
    return lambda site, _: _sent(site.address(target), [[one] for one in OVERSIZED], 1.0)


# --- datagrams


def _answers(address: Address, datagrams: Iterable[bytes], sockets: int = 1) -> Counter[str]:
    """What comes back of datagrams from so many ports; octets that came back and that were sent decide which word it is."""
    answers = sent = came = number = 0
    with ExitStack() as stack:
        senders = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(sockets)]
        for one in senders:
            one.bind((OTHER, 0))
            one.setblocking(False)
        for number, octets in enumerate(datagrams, 1):
            sent += len(octets)
            with suppress(BlockingIOError):
                senders[number % sockets].sendto(octets, address)
        while readable := select.select(senders, [], [], QUIET_S)[0]:
            for one in readable:
                came += len(one.recv(65_536))
                answers += 1
    if came > sent:
        return Counter({"AMPLIFIED": answers})
    return +Counter({"answered": answers, "no answer": number - answers})


def datagram_flood(site: Battlefield, force: float) -> Counter[str]:
    """Datagrams of chance, from a hundred ports."""
    return _answers(site.dlms, (os.urandom(1 + number % 300) for number in range(round(20_000 * force))), 100)


_PLAIN_ASKING = apdu.encode(DataNotification(7 | CONFIRMED, None, data.structure(data.double_long_unsigned(1))))


def made_up_senders(site: Battlefield, force: float) -> Counter[str]:
    """What would be answered over TCP: pushes that ask to be confirmed, blocks that ask to be acknowledged, associations."""
    block = b"\xe0\x01\x00\x01\x00\x00\x14" + bytes(20)
    kinds = (_PLAIN_ASKING, block, PUBLIC_AARQ, b"\xc0\x01\xc1\x00\x08\x00\x00\x01\x00\x00\xff\x02\x00")
    return _answers(site.dlms, (frame(kinds[number % len(kinds)]) for number in range(round(4_000 * force))), 50)


def block_flood(site: Battlefield, force: float) -> Counter[str]:
    """First blocks of pushes that never go on, each of a sender of its own; in the name of a meter, so they are acknowledged."""
    title = bytes.fromhex(site.meters[2]["system_title"])
    first = frame(b"\xe0\x01\x00\x01\x00\x00\x82\x03\xe8" + b"\xdb\x08" + title + bytes(990))
    return _answers(site.dlms, [first] * round(3_000 * force), 300)


# --- in the name of a meter


def _security(meter: dict[str, str], title: bytes | None = None) -> Security:
    keys = GlobalKeys(bytes.fromhex(meter["encryption_key"]), bytes.fromhex(meter["authentication_key"]))
    return Security(keys=keys, system_title=title or bytes.fromhex(meter["system_title"]))


def _push(security: Security, counter: int) -> bytes:
    asking = DataNotification(7 | CONFIRMED, None, data.structure(data.double_long_unsigned(1)))
    return protect_notification(asking, security, SendCounter(counter))


def _next_counter(site: Battlefield) -> int:
    """Above all that were used, in this life of the system."""
    return int(time.monotonic() * 1000) % 2**31 + 1


def replayed(site: Battlefield, force: float) -> Counter[str]:
    """A genuine push, and then the same octets again and again: the first is answered, the others are not."""
    genuine = frame(_push(_security(site.meters[2]), _next_counter(site)))
    came = _answers(site.dlms, [genuine] * (1 + round(200 * force)))
    return came if came["answered"] <= 1 else came + Counter({"answered again": came["answered"] - 1})


def forged(site: Battlefield, force: float) -> Counter[str]:
    """Pushes in the name of a meter, whose tag is wrong."""
    genuine = _push(_security(site.meters[2]), 2**31 + 1)
    wrong = (frame(genuine[:-1] + bytes((genuine[-1] ^ 1 + number % 255,))) for number in range(round(2_000 * force)))
    return _answers(site.dlms, wrong)


def downgraded(site: Battlefield, _: float) -> Counter[str]:
    """What a meter with keys does not send: unencrypted, encrypted without a tag, of another suite, without protection in general-glo."""
    security = _security(site.meters[2])
    plaintext, counter = _PLAIN_ASKING, 2**31 + 2
    contents = [protect(one, security.keys, security.system_title, counter, plaintext) for one in (0x20, 0x31, 0x32)]
    contents.append(b"\x00" + counter.to_bytes(4, "big") + plaintext)
    ciphered = [apdu.encode(GeneralGloCiphering(security.system_title, one)) for one in contents]
    return _answers(site.dlms, map(frame, (_PLAIN_ASKING, *ciphered)))
