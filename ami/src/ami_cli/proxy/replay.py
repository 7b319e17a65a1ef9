"""A meter that answers from a recorded session: each question as it was answered then, the nth time with the nth answer, then the last again.

It speaks the protocol as the simulated meters do, so associations are opened, proofs checked and answers ciphered anew, with the keys that
are given. It knows nothing that was not recorded. Its invocation counter begins with the clock, above all that a file says was used under this key, since the
same value under the same key would give two ciphered texts away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ami_cli.meter.errors import MeterError
from ami_cli.proxy.exchanges import Ends, Item, OpenedAssociation, Session, question
from ami_cli.proxy.session_file import SessionFileError
from ami_cli.proxy.taps import Framing
from ami_dlms.association import (
    Action,
    ActionOutcome,
    Answer,
    AssociationProfile,
    AssociationRefused,
    AttributeAccess,
    Discarded,
    Get,
    ItemResult,
    Requested,
    Security,
    ServerConnection,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.errors import DlmsError
from ami_dlms.framing.hdlc_framing import HdlcServerFraming
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, ReceiveCounter, SendCounter
from ami_dlms.security.suites import SUITE_MASK

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
COUNTS_PER_SECOND = 8
"""2**32 last until 2037."""
CHUNK = 0x10000
MOST_CONNECTIONS = 32
Say = Callable[[str], None]


class Everything:
    """Rights to all: what was not recorded is refused by the answer."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess:
        """Both."""
        return AttributeAccess.READ | AttributeAccess.WRITE

    def method(self, descriptor: MethodDescriptor) -> bool:
        """Any."""
        return True


@dataclass(slots=True)
class Answers:
    """What was answered, by question; each of them with how many of its answers were given. Also by object, where the rest differs."""

    by_question: dict[tuple[Ends, tuple[object, ...]], list[ItemResult]] = field(default_factory=dict)
    by_object: dict[tuple[Ends, object], list[ItemResult]] = field(default_factory=dict)
    given: dict[tuple[Ends, object], int] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session) -> Answers:
        """Of a recorded session."""
        found = cls()
        for ends, item, result in session.exchanges:
            found.by_question.setdefault((ends, question(item)), []).append(result)
            if not isinstance(item, Get):
                found.by_object.setdefault((ends, item.descriptor), []).append(result)
        return found

    def to(self, ends: Ends, item: Item) -> ItemResult:
        """The next answer; a SET or ACTION with another value is answered as that object was; object-unavailable, where nothing was recorded."""
        key: tuple[Ends, object] = ends, question(item)
        known = self.by_question.get((ends, question(item)))
        if known is None:
            key = ends, item.descriptor
            known = self.by_object.get(key)
        if not known:
            missing = DataAccessResult.OBJECT_UNAVAILABLE
            return ActionOutcome(ActionResult.OBJECT_UNAVAILABLE, None) if isinstance(item, Action) else missing
        place = self.given.get(key, 0)
        self.given[key] = place + 1
        return known[min(place, len(known) - 1)]


@dataclass(frozen=True, slots=True)
class ReplayKeys:
    """Whatever the recorded associations need. `counter`: where the meter's invocation counter begins."""

    keys: GlobalKeys | None
    secret: bytes | None
    counter: int


def counter_at(now: datetime) -> int:
    """A begin that is above that of runs whose file is gone, as long as they sent fewer than 8 APDUs a second."""
    return int((now - SINCE).total_seconds()) * COUNTS_PER_SECOND


def profiles_of(session: Session, given: ReplayKeys, send: SendCounter | None = None) -> list[AssociationProfile]:
    """What the replayed meter offers; `send`: values that were reserved, in place of `given.counter`. SessionFileError where a key or a password is missing."""
    if not session.associations:
        raise SessionFileError("no association was opened in this session, or none that the keys could read")
    counter = SendCounter(given.counter) if send is None else send
    return [_profile(one, given, counter) for one in session.associations.values()]


def _profile(one: OpenedAssociation, given: ReplayKeys, send: SendCounter) -> AssociationProfile:
    client, server = one.ends
    needs_keys = one.ciphered or one.mechanism is Mechanism.GMAC
    where = f"the association of client {client}"
    if one.mechanism not in (Mechanism.LOWEST, Mechanism.LOW, Mechanism.GMAC):
        raise SessionFileError(f"{where} has {one.mechanism.name}, and none, LLS and GMAC can be replayed")
    if one.mechanism is Mechanism.LOW and given.secret is None:
        raise SessionFileError(f"{where} has a password: give --secret")
    if needs_keys and given.keys is None:
        raise SessionFileError(f"{where} needs keys: give --ek and --ak")
    if needs_keys and one.server_title is None:
        raise SessionFileError(f"{where}: the meter's system title was not recorded")
    security = _security(one, given.keys) if needs_keys and given.keys is not None else None
    return AssociationProfile(
        client_wport=client,
        server_wport=server,
        access=Everything(),
        mechanism=one.mechanism,
        secret=given.secret,
        security=security,
        send_counter=send if security else None,
        receive_counter=ReceiveCounter() if security else None,
        conformance=one.conformance,
        max_receive_pdu_size=one.max_pdu_size,
    )


def _security(one: OpenedAssociation, keys: GlobalKeys) -> Security:
    control = one.control if one.control is not None else AUTHENTICATED | ENCRYPTED
    return Security(
        keys=keys,
        system_title=one.server_title or b"",
        suite=control & SUITE_MASK,
        authenticated=one.ciphered and bool(control & AUTHENTICATED),
        encrypted=one.ciphered and bool(control & ENCRYPTED),
    )


@dataclass(slots=True)
class ReplayedMeter:
    """It on sockets. `random_bytes` for challenges."""

    profiles: list[AssociationProfile]
    answers: Answers
    framing: Framing
    random_bytes: Callable[[int], bytes]
    say: Say
    top_up: Callable[[], None] = lambda: None
    """Reserves more invocation counters when few are left; MeterError when it can't."""
    missing: int = 0
    _open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client; for asyncio.start_server."""
        self._open += 1
        try:
            if self._open <= MOST_CONNECTIONS:
                with suppress(ConnectionError):
                    await self._serve(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offered = {(one.client_wport, one.server_wport): one for one in self.profiles}
        servers = {one.server_wport for one in self.profiles}
        connection = ServerConnection(
            lambda client, server: offered.get((client, server)),
            random_bytes=self.random_bytes,
            framing=HdlcServerFraming(servers) if self.framing is Framing.HDLC else None,
        )
        while not connection.closed and (octets := await reader.read(CHUNK)):
            connection.receive_data(octets)
            try:
                self.top_up()
                self._react(connection, writer)
            except (DlmsError, MeterError) as error:
                self.say(f"the connection is given up: {error}")
                return
            await writer.drain()

    def _react(self, connection: ServerConnection, writer: asyncio.StreamWriter) -> None:
        while (event := connection.next_event()) is not None:
            writer.write(connection.data_to_send())
            if isinstance(event, Requested):
                ends = event.key.client_wport, event.key.server_wport
                results = tuple(self._answer(ends, item) for item in event.items)
                writer.write(connection.send(Answer(event.key, results)))
            elif isinstance(event, AssociationRefused | Discarded):
                self.say(f"refused: {event.reason}")
        writer.write(connection.data_to_send())

    def _answer(self, ends: Ends, item: Item) -> ItemResult:
        result = self.answers.to(ends, item)
        known = (ends, question(item)) in self.answers.by_question
        if not known:
            self.missing += 1
            self.say(f"not recorded: {type(item).__name__.upper()} {item.descriptor}, answered from no recording of it")
        return result
