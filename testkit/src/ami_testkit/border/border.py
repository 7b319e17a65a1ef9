"""A proxy in front of the head-end and one in front of the client: what passes is kept in the journal, and faults happen to it.

Clients send to `url`; late replies and events come to `late_url`, from where they go to the inbox or to the client under test.
Only CIM passes (POST, and GET of WSDL and schemas): the REST API of a head-end is not behind the border.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ami_testkit.border import changes, kinds
from ami_testkit.border.certificates import Certificates
from ami_testkit.border.kinds import Leg
from ami_testkit.border.rules import MOST_RULES, Fault, parse_rule
from ami_testkit.errors import KitError, NotThere
from ami_testkit.http import Answer, Asked, Manner, NoAnswer, Server, ask, passed_on, place_of
from ami_testkit.inbox import receipt
from ami_testkit.loop import run
from ami_testkit.messages import Message
from ami_testkit.waiting import Arrivals

NOT_CIM = b"The border passes CIM alone (/cim); the REST API is at the head-end itself.\n"
ALERT = bytes.fromhex("15030300020228")
"""A TLS record: fatal alert, handshake_failure (RFC 5246, 7.2.2)."""
ANSWER_S = 600.0
MOST_FORGOTTEN = 100_000


@dataclass(frozen=True, slots=True)
class Passed:
    """A message at the border: as it came, what happened to it, and as it went on (None: it did not)."""

    at: datetime
    leg: Leg
    came: Message
    faults: tuple[str, ...]
    went: Message | None


@dataclass(slots=True)
class _Fate:
    """What is to become of one message."""

    leg: Leg
    message: Message
    faults: list[Fault]
    octets: bytes
    manner: Manner = field(default_factory=Manner)
    status: int | None = None
    retry_after_s: int | None = None
    broken: bool = False
    """A function that was to change it has failed."""

    def has(self, name: str) -> bool:
        return any(one.kind.name == name for one in self.faults)


class Border:
    """Both proxies, the faults that count, and what has passed."""

    def __init__(self, now: Callable[[], datetime], certificates: Certificates | None) -> None:
        self._now = now
        self._certificates = certificates
        self._faults: list[Fault] = []
        self._number = 0
        self.passed: Arrivals[Passed] = Arrivals(lambda one: len(one.came.octets))
        self._north = Server(self._from_client, None if certificates is None else self._secured(Leg.REQUEST))
        self._south = Server(self._from_head_end, None if certificates is None else self._secured(Leg.REPLY))
        self._head_end = ""
        self._client = ""
        self._draining = False
        self._forgotten: dict[str, None] = {}
        self._held: dict[Leg, list[asyncio.Event]] = {leg: [] for leg in Leg}
        self._delivering: set[asyncio.Task[None]] = set()
        self._troubled: set[asyncio.Task[Any]] = set()
        """What works on a message that a fault has happened to."""

    # --- where it is

    @property
    def url(self) -> str:
        """Where clients send their requests, in place of the head-end."""
        return f"{self._scheme}://127.0.0.1:{self._north.port}"

    @property
    def late_url(self) -> str:
        """What clients give as ReplyAddress, and what a head-end has as its subscriber."""
        return f"{self._scheme}://127.0.0.1:{self._south.port}/cim"

    @property
    def authority(self) -> str:
        """The file (PEM) of who signs its certificate. Raises KitError without TLS."""
        if self._certificates is None:
            raise KitError("this border has no TLS: ami(tls=True)")
        return str(self._certificates.authority)

    def deliver_to(self, url: str) -> None:
        """Take late replies and events to this URL from now on: that of a client under test, or the inbox's. Raises KitError."""
        place_of(url)
        self._client = url

    def ask_at(self, url: str) -> None:
        """Take requests to the head-end with this URL; its path counts where it has one. Raises KitError."""
        place_of(url)
        self._head_end = url.rstrip("/")

    # --- faults

    def fault(
        self,
        name: str,
        on: str,
        *,
        probability: float = 1.0,
        seed: int = 0,
        noun: str | None = None,
        verb: str | None = None,
        meter: str | None = None,
        xpath: str | None = None,
        skip: int = 0,
        first: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        **parameters: Any,
    ) -> Fault:
        """From now on this fault happens to messages `on` a leg (docs/border-faults.md), under these conditions. Raises KitError."""
        when: dict[str, Any] = {
            "noun": noun,
            "verb": verb,
            "meter": meter,
            "xpath": xpath,
            "skip": skip,
            "first": first,
        }
        when |= {"since": since, "until": until}
        given = {"fault": name, "on": on, "when": when, "probability": probability, "seed": seed}
        return self.set({**given, "parameters": parameters})

    def edit(self, function: Callable[[Message], bytes], on: str, **conditions: Any) -> Fault:
        """From now on messages `on` this leg go on as the function says; conditions as of `fault`."""
        return self._set({"fault": "edit", "on": on, "when": conditions}, function)

    def set(self, given: dict[str, Any]) -> Fault:
        """The same from a rule as JSON has it. Raises KitError."""
        return self._set(given, None)

    def _set(self, given: dict[str, Any], edit: Callable[[Message], bytes] | None) -> Fault:
        self._faults = [one for one in self._faults if not one.removed]
        if len(self._faults) >= MOST_RULES:
            raise KitError(f"{MOST_RULES} faults count already: remove some, or reset")
        made = parse_rule(self._number + 1, given)
        made.edit = edit
        if isinstance(made.parameters, kinds.EditParameters) and edit is None and made.parameters.select is None:
            raise KitError("edit needs select, an XPath of what is changed; or border.edit(function, on=...)")
        if made.kind.name == "tls" and self._certificates is None:
            raise KitError("the fault tls needs a border with https: ami(tls=True)")
        self._number += 1
        self._faults.append(made)
        return made

    @property
    def faults(self) -> list[Fault]:
        """Those that count."""
        return [one for one in self._faults if not one.removed]

    def numbered(self, number: int) -> Fault:
        """One of them. Raises NotThere."""
        for one in self.faults:
            if one.number == number:
                return one
        raise NotThere(f"no fault of the number {number} counts at this border")

    # --- life

    def start(self) -> None:
        """Listen."""
        run(self._start())

    async def _start(self) -> None:
        await self._north.start()
        await self._south.start()

    def reset(self) -> None:
        """No fault counts, nothing is held, clients are hung up on, nothing has passed; replies to what has been asked so far pass no more.

        What the head-end is just bringing, and no fault has happened to, is let through: it would be brought again otherwise.
        """
        asked = (one.came.message_id for one in self.passed if one.leg is Leg.REQUEST)
        self.forget(one for one in asked if one is not None)
        self._faults.clear()
        run(self._hang_up_on_clients())
        self.passed.clear()

    def forget(self, identifiers: Iterable[str]) -> None:
        """Late replies to these MessageIDs, and messages with none but EndDeviceEvents of these mRIDs, are taken here and pass no more."""
        self._forgotten |= dict.fromkeys(identifiers)
        for oldest in list(self._forgotten)[:-MOST_FORGOTTEN]:
            del self._forgotten[oldest]

    @contextlib.contextmanager
    def draining(self) -> Iterator[None]:
        """Meanwhile the border takes late replies and events itself, and nobody gets them."""
        self._draining = True
        try:
            yield
        finally:
            self._draining = False

    async def _hang_up_on_clients(self) -> None:
        for one in (*self._delivering, *self._troubled):
            one.cancel()
        await self._north.hang_up()

    def close(self) -> None:
        """Listen no more."""
        run(self._close())

    async def _close(self) -> None:
        await self._hang_up_on_clients()
        await self._north.close()
        await self._south.close()

    @property
    def _scheme(self) -> str:
        return "http" if self._certificates is None else "https"

    # --- passing

    async def _from_client(self, asked: Asked) -> Answer:
        if not asked.target.startswith("/cim"):
            return Answer(404, {"Content-Type": "text/plain"}, NOT_CIM)
        if not self._head_end:
            raise NoAnswer
        path = urlsplit(self._head_end).path
        if path:
            asked = replace(asked, target=path)
        if asked.method != "POST":
            return await self._plain(asked)
        return await self._through(asked, Leg.REQUEST, Leg.ANSWER, self._head_end)

    async def _plain(self, asked: Asked) -> Answer:
        got = await ask(self._head_end, asked, seconds=ANSWER_S)
        ours, theirs = self.url.encode(), self._head_end.encode()
        return Answer(got.status, passed_on(got.headers), got.body.replace(theirs, ours))

    async def _from_head_end(self, asked: Asked) -> Answer:
        message = Message(asked.body, headers=asked.headers)
        if self._draining or await asyncio.to_thread(self._is_forgotten, message):
            return receipt(message)
        leg = Leg.REPLY if message.is_reply else Leg.EVENT
        split = urlsplit(self._client)
        return await self._through(replace(asked, target=split.path or "/"), leg, Leg.RECEIPT, self._client)

    def _is_forgotten(self, message: Message) -> bool:
        if message.is_reply:
            return message.correlation_id in self._forgotten
        events = message.device_events
        return bool(events) and all(one.mrid in self._forgotten for one in events)

    async def _through(self, asked: Asked, there: Leg, back: Leg, target: str) -> Answer:
        fate = await self._fate(there, Message(asked.body, headers=asked.headers))
        if fate.has("out-of-order") and there in (Leg.REPLY, Leg.EVENT):
            task = asyncio.create_task(self._later(asked, fate, target))
            self._delivering.add(task)
            task.add_done_callback(self._delivering.discard)
            return receipt(fate.message)
        await self._hold(fate)
        if fate.status is not None:
            return _refusal(fate)
        got = await self._deliver(asked, fate, target)
        if there is Leg.REQUEST and got.status < 300 and not got.body:
            return got
        coming = await self._fate(back, Message(got.body, status=got.status, headers=got.headers))
        await self._hold(coming)
        self._next(back)
        if coming.status is not None:
            return _refusal(coming)
        return Answer(got.status, passed_on(got.headers), coming.octets, coming.manner)

    async def _deliver(self, asked: Asked, fate: _Fate, target: str) -> Answer:
        sent = replace(asked, body=fate.octets)
        got = await ask(target, sent, fate.manner, ANSWER_S)
        if fate.has("twice"):
            await ask(target, sent, fate.manner, ANSWER_S)
        self._next(fate.leg)
        return got

    async def _later(self, asked: Asked, fate: _Fate, target: str) -> None:
        with contextlib.suppress(OSError, NoAnswer, TimeoutError):
            await self._hold(fate)
            if fate.status is None:
                await self._deliver(asked, fate, target)

    # --- what becomes of a message

    async def _fate(self, leg: Leg, message: Message) -> _Fate:
        fate = await asyncio.to_thread(self._decided, leg, message)
        gone = fate.status is not None or fate.broken or fate.has("never")
        went = None if gone else message if fate.octets == message.octets else replace(message, octets=fate.octets)
        names = tuple(one.kind.name for one in fate.faults)
        task = asyncio.current_task()
        if names and task is not None and task not in self._troubled:
            self._troubled.add(task)
            task.add_done_callback(self._troubled.discard)
        self.passed.add(Passed(datetime.now(UTC), leg, message, names, went))
        return fate

    def _decided(self, leg: Leg, message: Message) -> _Fate:
        now = self._now()
        chosen = [one for one in self.faults if one.rule.on is leg and one.kind.name != "tls"]
        chosen = [one for one in chosen if not (one.kind.name == "out-of-order" and one.held)]
        fate = _Fate(leg, message, [one for one in chosen if one.chosen(message, now)], message.octets)
        for one in fate.faults:
            _apply(one, fate)
        return fate

    async def _hold(self, fate: _Fate) -> None:
        """Wait for as long as its faults want; NoAnswer when it goes no further."""
        if fate.broken:
            raise NoAnswer
        for one in fate.faults:
            if one.kind.name == "late":
                assert isinstance(one.parameters, kinds.LateParameters)
                await self._wait(one, one.parameters.seconds)
            elif one.kind.name == "out-of-order":
                event = asyncio.Event()
                self._held[fate.leg].append(event)
                await self._wait(one, None, event)
            elif one.kind.name == "never":
                await asyncio.Event().wait()

    async def _wait(self, fault: Fault, seconds: float | None, event: asyncio.Event | None = None) -> None:
        event = event or asyncio.Event()
        fault.held.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            fault.held.discard(event)

    def _next(self, leg: Leg) -> None:
        """One has been delivered: what waited for that goes on behind it."""
        for one in self._held[leg]:
            one.set()
        self._held[leg].clear()

    # --- TLS

    def _secured(self, leg: Leg) -> Any:
        async def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            assert self._certificates is not None
            how = self._tls_fault(leg)
            if how == "handshake":
                writer.write(ALERT)
                await writer.drain()
                return False
            await writer.start_tls(self._certificates.context(how or "good"))
            return True

        return secure

    def _tls_fault(self, leg: Leg) -> str | None:
        nothing, now = Message(b""), self._now()
        for one in self.faults:
            if one.kind.name == "tls" and one.rule.on is leg and one.chosen(nothing, now):
                assert isinstance(one.parameters, kinds.TlsParameters)
                return one.parameters.how
        return None


def _refusal(fate: _Fate) -> Answer:
    assert fate.status is not None
    headers = {} if fate.retry_after_s is None else {"Retry-After": str(fate.retry_after_s)}
    return Answer(fate.status, headers, b"")


def _apply(fault: Fault, fate: _Fate) -> None:
    """What a fault changes of octets and manner; those that hold or lose a message do so later."""
    try:
        if fault.edit is not None:
            fate.octets = bytes(fault.edit(replace(fate.message, octets=fate.octets)))
        else:
            _apply_parameters(fault, fate)
    except Exception as problem:  # noqa: BLE001 - of what a test has given: told where the test waits for it
        fault.fail(problem)
        fate.broken = True


def _apply_parameters(fault: Fault, fate: _Fate) -> None:
    match given := fault.parameters:
        case kinds.NounParameters():
            fate.octets = changes.with_text(fate.octets, "Header/Noun", given.says)
        case kinds.VerbParameters():
            fate.octets = changes.with_text(fate.octets, "Header/Verb", given.says)
        case kinds.PartialParameters():
            fate.octets = changes.partial(fate.octets, given.failed, given.code, given.reason)
        case kinds.OversizedParameters():
            fate.octets = changes.oversized(fate.octets, given.octets)
        case kinds.NamespaceParameters():
            fate.octets = changes.namespaces(fate.octets, given.to)
        case kinds.EditParameters():
            fate.octets = changes.with_xpath(fate.octets, given.select or "", given.text)
        case kinds.SlowParameters():
            fate.manner = replace(fate.manner, octets_at_once=given.octets, pause_s=given.pause_s)
        case kinds.BusyParameters():
            fate.status, fate.retry_after_s = 503, given.retry_after_s
        case _:
            _apply_plain(fault.kind.name, fate)


def _apply_plain(name: str, fate: _Fate) -> None:
    """The same for those without parameters."""
    if name == "wrong-correlation":
        fate.octets = changes.correlation(fate.octets)
    elif name == "malformed":
        fate.octets = changes.malformed(fate.octets)
    elif name == "cut":
        fate.manner = replace(fate.manner, cut=True)
    elif name == "http-500":
        fate.status = 500
