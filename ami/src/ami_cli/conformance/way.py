"""From the options of a target to a meter on the bench: links, lines, invocation counters that are written down, the meter's name.

The first session is that of `ami meter` (the public client, the counter, the association), so that a meter that can't be reached, or
keys that are wrong, are told as they are everywhere else. After it the tests open their own.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from ami_cli.meter.client import Faulty, LinkDown, ReservedCounter
from ami_cli.meter.counters import CounterFile
from ami_cli.meter.errors import ExitCode, MeterError, ServiceRefused
from ami_cli.meter.framings import line_of
from ami_cli.meter.link import Link, SerialLink, open_link
from ami_cli.meter.options import MeterTarget
from ami_cli.meter.session import SessionEnvironment, connected
from ami_cli.meter.sign_on import sign_on
from ami_cli.meter.values import text_of_octets
from ami_conformance.bench import Way
from ami_conformance.plan import Transport
from ami_dlms.association import ClientSettings
from ami_dlms.association.client.session import LOGICAL_DEVICE_NAME
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.errors import DecodeError, RemoteError
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.line import Line
from ami_dlms.obis import Obis
from ami_dlms.security import SendCounter
from ami_registry import Transport as Carrier

MOST_LATE, LATE_S = 100, 0.01
SERIAL_NUMBER = AttributeDescriptor(1, Obis.parse("0-0:96.1.0*255"), 2)
LOOKED_AT = {"name": LOGICAL_DEVICE_NAME, "serial": SERIAL_NUMBER}
TRANSPORTS: dict[Carrier, Transport] = {
    Carrier.WRAPPER: "tcp",
    Carrier.UDP: "udp",
    Carrier.HDLC: "hdlc",
    Carrier.SERIAL: "hdlc",
}


@dataclass(frozen=True, slots=True)
class Known:
    """Who answers, as far as it says so."""

    name: str
    serial: str


def first_look(target: MeterTarget, environment: SessionEnvironment) -> tuple[Known, bytes | None]:
    """One session: who answers, and the system title that we have; MeterError when there is none."""
    identity = target.identity
    if identity.short_names or identity.pre_established is not None:
        raise MeterError(
            ExitCode.USAGE,
            "the tests are of associations that are opened, with logical names",
            where="--short-names, --pre-established",
        )
    found = dict.fromkeys(LOOKED_AT, "")
    tolerant = replace(target, identity=replace(identity, any_invoke_id=True, any_address=True))
    title = None
    try:
        with connected(tolerant, environment) as session:
            title = session.title
            for name, descriptor in LOOKED_AT.items():
                with suppress(ServiceRefused, Faulty):
                    found[name] = text_of_octets(session.association.get(descriptor))
    except MeterError as error:
        if not isinstance(error.__context__, RemoteError) or isinstance(error, LinkDown):
            raise
        environment.report(f"the first session came to no good end, and the tests go on: {error.what}")
        title = title or _own_title(target, environment)
    return Known(found["name"], found["serial"]), title


def _own_title(target: MeterTarget, environment: SessionEnvironment) -> bytes | None:
    """As a session would have it."""
    identity = target.identity
    if not identity.titled:
        return None
    return identity.title or CounterFile(target.counters).own_title(environment.random_bytes(8))


@contextmanager
def on_the_way(target: MeterTarget, title: bytes | None, environment: SessionEnvironment) -> Iterator[Way]:
    """The way to the meter; the counters that were not used are given back at the end."""
    identity, reach = target.identity, target.reach
    reserved = _reserve(target, title)
    settings = identity.settings(title, None, environment.random_bytes)

    kept: list[KeptLink] = []

    def opened() -> Link:
        if reach.transport is Carrier.UDP and kept:
            return kept[0].emptied()
        try:
            link = open_link(reach)
            if reach.mode_e and isinstance(link, SerialLink):
                sign_on(link, reach.baud, reach.timeout_s, environment.pause)
        except MeterError as error:
            raise ConnectionError(error.what) from None
        if reach.transport is not Carrier.UDP:
            return link
        kept.append(KeptLink(link))
        return kept[0]

    def new_line(wanted: ClientSettings) -> Line:
        return line_of(reach, wanted)

    address = (
        HdlcAddress(settings.server_wport, reach.physical, wide=reach.address_size == 4)
        if reach.transport.framed
        else None
    )
    try:
        yield Way(
            open_link=opened,
            new_line=new_line,
            transport=TRANSPORTS[reach.transport],
            settings=settings,
            public=identity.public_settings(settings.server_wport) if identity.public_client else None,
            counter=SendCounter(0, 0) if reserved is None else reserved.counter,
            top_up=_nothing if reserved is None else reserved.top_up,
            random_bytes=environment.random_bytes,
            clock=time.monotonic,
            wall=time.time,
            pause=environment.pause,
            timeout_s=reach.timeout_s,
            hdlc_address=address,
        )
    finally:
        for link in kept:
            link.give_up()
        if reserved is not None:
            reserved.give_back()


class KeptLink:
    """The one socket of UDP: each new one would be another client to the meter, and meters keep few of them."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def write(self, octets: bytes) -> None:
        self._link.write(octets)

    def read(self, timeout_s: float) -> bytes:
        return self._link.read(timeout_s)

    def close(self) -> None:
        """It stays for the next test."""

    def give_up(self) -> None:
        """The run is over."""
        self._link.close()

    def emptied(self) -> KeptLink:
        """Without late answers to what the last test asked."""
        for _ in range(MOST_LATE):
            try:
                self._link.read(LATE_S)
            except TimeoutError:
                break
            except (DecodeError, OSError):
                continue
        return self


def _reserve(target: MeterTarget, title: bytes | None) -> ReservedCounter | None:
    identity = target.identity
    if title is None or not identity.keyed:
        return None
    file, name = CounterFile(target.counters), f"{identity.key_id}/{title.hex().upper()}"
    return ReservedCounter(file, name, file.reserve(name, 0))


def _nothing() -> None:
    """There are no counters to top up."""


def usual_environment(report: Callable[[str], None]) -> SessionEnvironment:
    """Of a real run."""
    return SessionEnvironment(random_bytes=secrets.token_bytes, report=report)
