"""The meter on the bench: how it is reached, what may be done to it, and what has been learned of it, for all tests of a run.

What several tests need (the object list, the value of every readable attribute) is read once and kept. A test leaves no connection open:
`settle` closes whatever it has opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ami_conformance.answers import Answer
from ami_conformance.client import Client, Guard, Outcome
from ami_conformance.clock_right import moment, set_right
from ami_conformance.expected import NOTHING, Expected
from ami_conformance.findings import Exchange, Judge, Moves, NotAllowed, Unsettled
from ami_conformance.journal import Journal, OpenWrite
from ami_conformance.object_list import OBJECT_LIST, ListedObject, ObjectList, parse_object_list
from ami_conformance.plan import Transport
from ami_conformance.safety import Safety, safety_of_attribute
from ami_conformance.wire import Link, Wire
from ami_dlms.association import ClientSettings
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import Mechanism
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.line import Line
from ami_dlms.obis import Obis
from ami_dlms.security import SendCounter
from ami_trace.striking import struck_out

PUBLIC_CLIENT = 16
PROFILE_GENERIC, BUFFER = 7, 2
FEW_ROWS = 4
MOST_EXCHANGES = 400
"""Of one test in the report."""
MOST_SHOWN = 4096
"""Octets of one message in the report."""
Ask = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the meter is reached. `settings` are those of the association under test, `public` those of the public client, if there is one."""

    open_link: Callable[[], Link]
    new_line: Callable[[ClientSettings], Line]
    transport: Transport
    settings: ClientSettings
    public: ClientSettings | None
    counter: SendCounter
    top_up: Callable[[], None]
    random_bytes: Callable[[int], bytes]
    clock: Callable[[], float]
    wall: Callable[[], float]
    """Seconds since 1970, by which a later run knows how long ago something was."""
    pause: Callable[[float], None]
    timeout_s: float
    hdlc_address: HdlcAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may be done. `lock_out_after` false attempts in a row are never made: there is a good one, and `pause_s`, before."""

    allowed: Safety = Safety.S0
    lock_out_after: int = 3
    pause_s: float = 0.0
    silence_s: float = 2.0
    patience_s: float = 30.0
    ask: Ask = lambda what: False


@dataclass(slots=True)
class Learned:
    """What is known of the meter; None: not read yet."""

    objects: ObjectList | None = None
    public_objects: ObjectList | None = None
    outcomes: dict[AttributeDescriptor, Outcome] = field(default_factory=dict)
    scanned: bool = False
    name: str = ""
    serial: str = ""


class Bench:
    """A meter under test. `dry`: nothing goes out above S0, and what would have is in the exchanges."""

    def __init__(
        self, way: Way, rules: Rules, journal: Journal, expected: Expected = NOTHING, *, dry: bool = False
    ) -> None:
        self.way = way
        self.rules = rules
        self.journal = journal
        self.expected = expected
        self.dry = dry
        self.learned = Learned()
        self.exchanges: list[Exchange] = []
        self._clients: list[Client] = []
        self._links: list[Link] = []
        self._false_attempts = 0
        self._agreed: set[Safety] = set()
        self.test = ""

    # --- steps

    def begin(self, test: str) -> None:
        """A test begins: nothing of the one before is left."""
        self.settle()
        self.exchanges = []
        self.test = test

    def settle(self) -> None:
        """Close what is open."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        for link in self._links:
            link.close()
        self._links.clear()

    def allow(self, safety: Safety, what: str) -> None:
        """NotAllowed for a step above what is allowed, and for one that somebody was asked about and did not agree to."""
        if safety > self.rules.allowed:
            raise NotAllowed(f"{what} is {safety}, and {self.rules.allowed} is allowed (--allow {safety})")
        if safety >= Safety.S3 and not self.dry and safety not in self._agreed:
            if not self.rules.ask(f"{self.test}: {what} ({safety})"):
                raise NotAllowed(f"{what} is {safety}, and was not agreed to")
            self._agreed.add(safety)

    def held_back(self, safety: Safety) -> bool:
        """Whether a step is only written down: a dry run sends nothing but what reads."""
        return self.dry and safety > Safety.S0

    def tell(self, what: str, sent: bytes, answer: Answer, secret: bool = False) -> None:
        """For the report, without secrets; `secret`: it is about one."""
        if len(self.exchanges) < MOST_EXCHANGES:
            octets = _shown(sent, secret=secret), _shown(answer.octets, secret=secret)
            self.exchanges.append(Exchange(what, *octets, str(answer)))

    # --- clients

    def link(self, *, beside: bool = False) -> Link:
        """A new connection, closed with the test; Unsettled when there is none. Many meters serve one alone: unless it is wanted `beside`
        others, those are closed first."""
        if not beside:
            self.settle()
        try:
            link = self.way.open_link()
        except OSError as error:
            raise Unsettled(f"the meter is not reached: {error.strerror or error}") from None
        self._links.append(link)
        return link

    def wire(self, settings: ClientSettings, *, beside: bool = False) -> Wire:
        """A new connection with what carries APDUs over it."""
        return Wire(self.link(beside=beside), self.way.new_line(settings), self.way.clock, self.way.timeout_s)

    def client(
        self,
        settings: ClientSettings | None = None,
        *,
        counter: SendCounter | None = None,
        on: Wire | None = None,
        beside: bool = False,
        **changes: Any,
    ) -> Client:
        """A client over a connection of its own, or on this one, not associated yet; `changes` are of the settings."""
        chosen = replace(self.way.settings if settings is None else settings, **changes)
        guard = Guard(
            self.allow,
            self.held_back,
            self.tell,
            self.way.random_bytes,
            self.way.top_up,
            self.way.timeout_s,
            polite=self.way.transport == "udp",
        )
        made = Client(
            self.wire(chosen, beside=beside) if on is None else on, chosen, guard, counter or self.way.counter
        )
        self._clients.append(made)
        return made

    def opened(self, settings: ClientSettings | None = None, **more: Any) -> Client:
        """The same with its association open."""
        client = self.client(settings, **more)
        client.open()
        self._false_attempts = 0
        return client

    def public_client(self, **changes: Any) -> Client:
        """The public client, not associated yet; Unsettled where there is none."""
        if self.way.public is None:
            raise Unsettled("the public client was ruled out")
        return self.client(self.way.public, **changes)

    def needs(self, holds: bool, what: str) -> None:
        """Unsettled unless the session has what a test needs."""
        if not holds:
            raise Unsettled(what)

    def false_attempt(self) -> None:
        """Before a false proof: below the limit of the lock-out, a good one in between, and the pause."""
        self._false_attempts += 1
        if self._false_attempts >= max(self.rules.lock_out_after - 1, 1):
            self.settle()
            self.way.pause(self.rules.pause_s)
            self.opened().release()
            self.settle()
            self._false_attempts = 1

    def still_serves(self, judge: Judge) -> None:
        """A new connection, an association, a value: whatever was sent before, that has to go."""
        self.settle()
        client = self.client()
        answer = client.associate()
        if not judge.expect(answer.accepted, f"after it no association opens any more: {answer}"):
            return
        if client.wants_proof:
            passed = client.prove()
            if not judge.expect(passed.done, f"after it pass 3 of HLS is answered by {passed}"):
                return
        found = client.get(OBJECT_LIST)
        judge.expect(found.value is not None, f"after it the object list can't be read any more: {found.words}")
        client.release()
        self.settle()

    # --- what is known

    @property
    def high(self) -> bool:
        """Whether the association is proved by HLS."""
        return self.way.settings.mechanism not in (Mechanism.LOWEST, Mechanism.LOW)

    @property
    def objects(self) -> ObjectList:
        """Those of the association; Unsettled where they can't be read."""
        if self.learned.objects is None:
            with self.session() as client:
                self.learned.objects = self._read_objects(client)
        return self.learned.objects

    @property
    def public_objects(self) -> ObjectList:
        """Those that the public client sees."""
        if self.learned.public_objects is None:
            client = self.public_client()
            client.open()
            self.learned.public_objects = self._read_objects(client)
            client.release()
            client.close()
        return self.learned.public_objects

    def _read_objects(self, client: Client) -> ObjectList:
        found = client.get(OBJECT_LIST)
        if found.value is None:
            raise Unsettled(f"the object list can't be read: {found.words}")
        return parse_object_list(found.value)

    @contextmanager
    def session(self) -> Iterator[Client]:
        """An open association that is released at the end."""
        client = self.opened()
        yield client
        client.release()
        client.close()

    def scan(self, tell: Callable[[int, int], None] = lambda done, of: None) -> Mapping[AttributeDescriptor, Outcome]:
        """Every listed attribute read once, whatever its right; of buffers the first rows."""
        if not self.learned.scanned:
            attributes = [(one, number) for one in self.objects.objects for number in one.attributes]
            kept, self.exchanges = self.exchanges, []
            try:
                client = self.opened()
                for done, (one, number) in enumerate(attributes, 1):
                    tell(done, len(attributes))
                    client = self._alive(client)
                    self._scan_one(client, one, number)
                client.release()
                client.close()
            finally:
                self.exchanges = kept
            self.learned.scanned = True
        return self.learned.outcomes

    def _alive(self, client: Client) -> Client:
        return client if not client.wire.closed else self.opened()

    def _scan_one(self, client: Client, one: ListedObject, number: int) -> None:
        descriptor = one.attribute(number)
        if descriptor in self.learned.outcomes:
            return
        is_buffer = (one.class_id, number) == (PROFILE_GENERIC, BUFFER)
        outcome = client.get(descriptor, EntryDescriptor(1, FEW_ROWS).encode() if is_buffer else None)
        if is_buffer and outcome.value is None and one.readable(number):
            outcome = client.get(descriptor)
        self.learned.outcomes[descriptor] = outcome

    def value(self, descriptor: AttributeDescriptor) -> Data | None:
        """A value that was scanned; None where there is none."""
        found = self.scan().get(descriptor)
        return None if found is None else found.value

    def show(self, *descriptors: AttributeDescriptor) -> None:
        """Put the exchange of a scanned attribute among those of the test."""
        for one in descriptors:
            found = self.learned.outcomes.get(one)
            if found is not None and len(self.exchanges) < MOST_EXCHANGES:
                octets = _shown(found.answer.octets, secret=is_secret(one))
                self.exchanges.append(Exchange(f"GET {one}", b"", octets, str(found.answer)))

    # --- what is put back

    @contextmanager
    def borrowed(self, client: Client, descriptor: AttributeDescriptor, wanted: Data, before: Data) -> Iterator[None]:
        """An attribute that may be written inside; in the journal before, put back after, and looked at.

        `before` is a value that was read earlier; Moves where it is another one by now, for what moves by itself can't be put back.
        """
        self.allow(max(Safety.S2, safety_of_attribute(descriptor)), f"SET {descriptor}")
        if self.dry:
            yield
            return
        now = client.get(descriptor)
        if now.value is None:
            raise Unsettled(f"{descriptor} can't be read before it is written: {now.words}")
        if now.value != before:
            raise Moves(f"{descriptor} has another value than before, and was not written: it moves by itself")
        number = self.journal.begin(self.test, descriptor, before, wanted)
        try:
            yield
        finally:
            self.put_back(number, descriptor, before, client)

    def put_back(
        self, number: int, descriptor: AttributeDescriptor, before: Data, client: Client | None = None
    ) -> None:
        """Over this association where it still serves; Unsettled where the meter does not show the value again: then it stays in the journal."""
        found = None if client is None or client.wire.closed else client.get(descriptor)
        own = client is None or found is None or found.value is None
        if client is None or found is None or found.value is None:
            client = self.opened()
            found = client.get(descriptor)
        if found.value != before:
            client.set(descriptor, before)
            found = client.get(descriptor)
        if own:
            client.release()
            client.close()
        if found.value != before:
            raise Unsettled(f"{descriptor} was not put back; it stays in the journal {self.journal.path}")
        self.journal.done(number)

    def put_back_later(self, left: OpenWrite) -> bool:
        """What an earlier run has left open. Where it wrote but the value that was there, another one now is not of its making: it is left as
        it is, and False."""
        if left.at is not None:
            at = left.at
            with self.session() as client:
                right = set_right(client, left.descriptor, left.before, lambda: self.way.wall() - at)
            self._clock_done(left.number, left.descriptor, right)
            return True
        if left.changes:
            self.put_back(left.number, left.descriptor, left.before)
            return True
        with self.session() as client:
            found = client.get(left.descriptor)
        if found.value is None:
            raise Unsettled(f"it can't be read: {found.words}")
        self.journal.done(left.number)
        return found.value == left.before

    @contextmanager
    def clock_kept(self, client: Client, clock: AttributeDescriptor) -> Iterator[None]:
        """A clock that may be moved inside: in the journal before, and however the test ends it goes on where it was."""
        self.allow(max(Safety.S3, safety_of_attribute(clock)), f"SET {clock}")
        if self.dry:
            yield
            return
        before, began = client.get(clock).value, self.way.clock()
        if before is None or moment(before) is None:
            raise Unsettled(f"{clock} shows no moment")
        number = self.journal.begin(self.test, clock, before, before, at=self.way.wall())
        try:
            yield
        finally:
            own = client.wire.closed
            client = self.opened() if own else client
            right = set_right(client, clock, before, lambda: self.way.clock() - began)
            if own:
                client.release()
                client.close()
            self._clock_done(number, clock, right)

    def _clock_done(self, number: int, clock: AttributeDescriptor, right: bool) -> None:
        if not right:
            raise Unsettled(f"{clock} was not set right again; it stays in the journal {self.journal.path}")
        self.journal.done(number)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """What was written before may be written back, whatever this run allows: somebody has agreed to it then."""
        rules, agreed = self.rules, self._agreed
        self.rules, self._agreed = replace(rules, allowed=Safety.S4), {Safety.S3, Safety.S4}
        try:
            yield
        finally:
            self.rules, self._agreed = rules, agreed

    def quick(self) -> float:
        """How long silence is waited for, where silence is an answer."""
        return self.rules.silence_s


def _shown(octets: bytes, *, secret: bool) -> bytes:
    """Without secrets, and not endless."""
    shown = struck_out(octets, carries=secret)[0] if octets else b""
    return shown[:MOST_SHOWN]


def obis(text: str) -> Obis:
    """Short for tests."""
    return Obis.parse(text)


def first(found: Sequence[ListedObject], what: str) -> ListedObject:
    """The first; Unsettled where the meter has none."""
    if not found:
        raise Unsettled(f"the association shows no {what}")
    return found[0]
