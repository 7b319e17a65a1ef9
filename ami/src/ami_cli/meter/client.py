"""One association over a link: hands requests to the protocol core, moves octets, words what goes wrong.

`Association` is that and nothing more; how a session begins (the public client first) is in `session`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ami_cli.meter import hints, opening_hints
from ami_cli.meter.counters import CounterFile
from ami_cli.meter.dropped import Dropped, of_association
from ami_cli.meter.errors import ExitCode, MeterError, ServiceRefused, words
from ami_cli.meter.framings import dropped_from, line_of
from ami_cli.meter.hints import Doing
from ami_cli.meter.link import Link
from ami_cli.meter.options import OBJECT_LIST, Reach
from ami_cli.meter.trace import Trace, TracedFraming
from ami_dlms.apdu.faults import ExceptionResponse
from ami_dlms.apdu.short_names import VariableName
from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientConnection,
    ClientSettings,
    Get,
    GetList,
    GetListResult,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    ReadResult,
    Release,
    Released,
    Request,
    Set,
    SetResult,
    Unconfirmed,
)
from ami_dlms.association import Read as ReadNames
from ami_dlms.association.client.steps import (
    ExchangeStep,
    ReadLink,
    Tell,
    TopUp,
    WriteLink,
    exchange,
    hang_up,
    most_in_a_list,
    run,
)
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import SelectiveAccess
from ami_dlms.cosem.short_names import STEP, ShortNames, reserved_base_name
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, ServiceError
from ami_dlms.errors import LinkError, LocalError, RemoteError, SecurityError
from ami_dlms.framing.framing import Framing
from ami_dlms.security import SendCounter

A = TypeVar("A")
HANG_UP_S = 1.0
MAX_UNSOLICITED = 1000
"""Notifications that may come before one answer."""


class LinkDown(MeterError):
    """The data link was refused, or is gone, and the association with it."""


class ConnectionBroken(MeterError):
    """The connection itself came to an end; a new one may fare better."""

    def __init__(self, where: str, what: str) -> None:
        hint = "try again; some meters serve one client only, or hang up on keys or a --transport they do not know"
        super().__init__(ExitCode.NO_ANSWER, what, where=where, hint=hint)


class Faulty(MeterError):
    """The meter answered with an exception instead of the service; the association may live on. `reason` is its word."""

    def __init__(self, event: PeerFault, where: str) -> None:
        deciphering = isinstance(event.fault, ExceptionResponse) and event.fault.service_error in _KEYS
        hint = "check --ek, --ak, --ciphering and the invocation counter" if deciphering else ""
        code = ExitCode.NOT_TRUSTED if deciphering else ExitCode.REFUSED
        super().__init__(code, f"the meter answers with a fault: {event.reason}", where=where, hint=hint)
        self.reason = event.reason


class CounterRefused(MeterError):
    """The meter takes no invocation counter below `expected`; this claim is not authenticated."""

    def __init__(self, expected: int, what: str, where: str, hint: str) -> None:
        super().__init__(ExitCode.NO_ASSOCIATION, what, where=where, hint=hint)
        self.expected = expected


class ReservedCounter:
    """Invocation counters that are reserved in the file for one association."""

    def __init__(self, file: CounterFile, name: str, counter: SendCounter) -> None:
        self.counter = counter
        self._file = file
        self._name = name

    def top_up(self) -> None:
        self._file.top_up(self._name, self.counter)

    def give_back(self) -> None:
        self._file.give_back(self._name, self.counter)


class Association:
    """A client association; every method raises MeterError."""

    def __init__(
        self,
        link: Link,
        reach: Reach,
        settings: ClientSettings,
        *,
        challenge: bytes = b"",
        dedicated_key: bytes | None = None,
        reserved: ReservedCounter | None = None,
        trace: Trace | None = None,
        report: Callable[[str], None] = lambda text: None,
        object_list: AttributeDescriptor = OBJECT_LIST,
    ) -> None:
        self.object_list = object_list
        self.report = report
        self._settings = settings
        self._link = link
        self._reach = reach
        self._timeout_s = reach.timeout_s
        self._reserved = reserved
        self._trace = trace
        self._line = line_of(reach, settings)
        self._unsolicited = 0
        framing: Framing = self._line.framing
        if trace is not None:
            trace.association(settings)
            framing = TracedFraming(framing, trace)
        with as_meter_errors("the options of the association"):
            self._connection = ClientConnection(
                settings,
                challenge=challenge,
                dedicated_key=dedicated_key,
                send_counter=SendCounter(0, 0) if reserved is None else reserved.counter,
                framing=framing,
            )
        self._names = settings.short_names
        self.healthy = True
        self.most_in_a_list = 0

    # --- services

    def open(self, where: str) -> Opened:
        """Open it, unless it exists beforehand; what was agreed."""
        opened = self._exists_beforehand() or self._open(where)
        self.most_in_a_list = most_in_a_list(opened)
        return opened

    def _exists_beforehand(self) -> Opened | None:
        settings = self._settings
        if settings.pre_established is None:
            return None
        title = None if settings.security is None else settings.security.peer_system_title
        return Opened(settings.conformance, settings.pre_established.peer_max_receive_pdu_size, title)

    def _open(self, where: str) -> Opened:
        try:
            event = self._exchange(Open(), where)
        except LinkDown as down:
            hint = opening_hints.of_lost_link(self._settings)
            what = f"the meter refuses the data link: {down.what}"
            raise MeterError(ExitCode.NO_ASSOCIATION, what, where=where, hint=hint) from None
        if isinstance(event, OpenRefused):
            raise self._refused(event, where)
        if isinstance(event, PeerFault):
            raise self._opening_fault(event, where)
        return self._expected(Opened, event, where)

    def _refused(self, event: OpenRefused, where: str) -> MeterError:
        hint = opening_hints.of_diagnostic(event.source, event.diagnostic, self._settings)
        what = f"the meter refuses the association: {event.reason}"
        return MeterError(ExitCode.NO_ASSOCIATION, what, where=where, hint=hint)

    def _opening_fault(self, event: PeerFault, where: str) -> MeterError:
        error = event.fault.service_error if isinstance(event.fault, ExceptionResponse) else None
        hint = opening_hints.of_fault(error, self._settings)
        what = f"the meter answers the opening with a fault: {event.reason}"
        if isinstance(event.fault, ExceptionResponse) and event.fault.invocation_counter is not None:
            return CounterRefused(event.fault.invocation_counter, what, where, hint)
        return MeterError(ExitCode.NO_ASSOCIATION, what, where=where, hint=hint)

    def _refusal(self, result: DataAccessResult, where: str, doing: Doing, value_type: str = "") -> ServiceRefused:
        word = words(result.name)
        return ServiceRefused(word, where, hints.of_refusal(word, doing, self._settings.client_wport, value_type))

    def get(self, descriptor: AttributeDescriptor, selection: SelectiveAccess | None = None) -> Data:
        """The attribute's value; ServiceRefused with the meter's word when it gives none."""
        where = f"reading {descriptor}"
        event = self._expected(GetResult, self._exchange(Get(descriptor, selection), where), where)
        if event.value is None:
            listing = descriptor == self.object_list
            doing = Doing.LISTING if listing else Doing.READING if selection is None else Doing.SELECTING
            raise self._refusal(event.result, where, doing)
        return event.value

    def get_list(self, descriptors: Sequence[AttributeDescriptor]) -> tuple[GetResult, ...]:
        """The results for several attributes, in their order; at most `most_in_a_list`, which is 0 when it was not agreed."""
        where = f"reading {descriptors[0]} and {len(descriptors) - 1} more"
        asked = GetList(tuple(Get(one) for one in descriptors))
        return self._expected(GetListResult, self._exchange(asked, where), where).results

    def short_names(self) -> ShortNames | None:
        """The meter's objects by their short names, read when they are needed first; None with logical names."""
        if self._names is not None and not self._names:
            where = "reading the object list with short names"
            request = ReadNames((VariableName(reserved_base_name("association_sn") + STEP),))
            [result] = self._expected(ReadResult, self._exchange(request, where), where).results
            if result.value is None:
                raise self._refusal(result.result, where, Doing.READING)
            with as_meter_errors(where):
                self._names = ShortNames.decode(result.value)
            self._connection.learn(self._names)
        return self._names

    def set(self, descriptor: AttributeDescriptor, value: Data) -> None:
        """Write the attribute; ServiceRefused with the meter's word when it does not take it."""
        where = f"writing {descriptor}"
        with uncertain():
            event = self._expected(SetResult, self._exchange(Set(descriptor, value), where), where)
        if event.result is not DataAccessResult.SUCCESS:
            raise self._refusal(event.result, where, Doing.WRITING, words(value.tag.name))

    def action(self, descriptor: MethodDescriptor, parameters: Data | None) -> ActionOutcome:
        """Call the method; the outcome is for the caller to judge."""
        where = f"calling {descriptor}"
        with uncertain():
            return self._expected(ActionOutcome, self._exchange(Action(descriptor, parameters), where), where)

    def send_unconfirmed(self, request: Set | Action) -> None:
        """Send a request that the meter does not answer."""
        where = f"sending {request.descriptor}"
        self._prepare(request, where)
        with as_meter_errors(where):
            self._perform(TopUp())
            self._write(self._connection.send(Unconfirmed(request)))

    def release(self) -> None:
        """Release it, and take a data link down; what goes wrong now is of no interest to anybody."""
        try:
            if self.healthy and self._settings.pre_established is None:
                self._expected(Released, self._exchange(Release(), "releasing the association"), "releasing")
            self._timeout_s = HANG_UP_S * (self._reach.retries + 1)  # a line waits for a part of this
            run(hang_up(self._line), self._perform)
        except (MeterError, OSError, RemoteError, LocalError):
            self.healthy = False

    # --- octets

    def _prepare(self, request: Request, where: str) -> None:
        """What has to be so before a request goes out."""
        if isinstance(request, Get | Set | Action) and not self._has_a_name(request.descriptor):
            raise self._refusal(DataAccessResult.OBJECT_UNDEFINED, where, Doing.READING)
        if self._trace is not None:
            self._trace.exchange(about_a_secret=_is_about_a_secret(request))
        self._line.begin()
        self._unsolicited = 0

    def _exchange(self, request: Request, where: str) -> object:
        self._prepare(request, where)
        silence = opening_hints.of_silence(self._settings, self._reach.timeout_s, hdlc=self._reach.transport.framed)
        try:
            with as_meter_errors(where, silence):
                answer = run(exchange(self._connection, self._line, request), self._perform)
        except BaseException as error:
            self.healthy = self.healthy and isinstance(error, ServiceRefused)
            if isinstance(error, MeterError) and (dropped := self._dropped(error)) is not None:
                raise MeterError(ExitCode.NOT_UNDERSTOOD, dropped.what, where=where, hint=dropped.hint) from None
            raise
        for one in self._connection.discarded:
            self.report(f"dropped, before the answer to {where}: {one.reason}")
        return answer

    def _dropped(self, error: MeterError) -> Dropped | None:
        """What came instead, when it is an answer that is missing."""
        if error.code is not ExitCode.NO_ANSWER:
            return None
        return of_association(self._connection.discarded) or dropped_from(self._line)

    def _has_a_name(self, descriptor: AttributeDescriptor | MethodDescriptor) -> bool:
        """With short names: whether the meter's list has one for it; logical names are the meter's business."""
        names = self.short_names()
        return names is None or has_a_name(names, descriptor)

    def _perform(self, step: ExchangeStep) -> bytes | None:
        match step:
            case TopUp():
                if self._reserved is not None:
                    self._reserved.top_up()
            case WriteLink(octets):
                self._write(octets)
            case ReadLink():
                return self._read()
            case Tell():
                self._count_unsolicited()
        return None

    def _count_unsolicited(self) -> None:
        self._unsolicited += 1
        if self._unsolicited > MAX_UNSOLICITED:
            what = f"{MAX_UNSOLICITED} notifications came, and no answer among them"
            raise MeterError(ExitCode.NOT_UNDERSTOOD, what)
        self.report("a notification of the meter came in between")

    def _read(self) -> bytes | None:
        """What comes; None when the line was silent."""
        try:
            octets = self._link.read(self._line.wait_s(self._timeout_s))
        except TimeoutError:
            return None
        if self._trace is not None:
            self._trace.octets("←", octets)
        return octets

    def _write(self, octets: bytes) -> None:
        if octets:
            if self._trace is not None:
                self._trace.octets("→", octets)
            self._link.write(octets)

    @staticmethod
    def _expected(kind: type[A], event: object, where: str) -> A:
        if isinstance(event, kind):
            return event
        if isinstance(event, PeerFault):
            raise Faulty(event, where)
        raise MeterError(ExitCode.NOT_UNDERSTOOD, f"{type(event).__name__} is no answer to this", where=where)


@contextmanager
def uncertain() -> Iterator[None]:
    """What changes something and is not answered as it should be may have been carried out all the same, and says so."""
    try:
        yield
    except MeterError as error:
        if error.code in (ExitCode.NO_ANSWER, ExitCode.NOT_UNDERSTOOD, ExitCode.NOT_TRUSTED) and not isinstance(
            error, Faulty
        ):
            error.what += "; the meter may or may not have carried it out"
        raise


@contextmanager
def as_meter_errors(where: str, silence: str = "") -> Iterator[None]:
    """Everything that can go wrong on the way to a meter and back leaves as MeterError; `silence` is what to do about it."""
    try:
        yield
    except TimeoutError:
        raise MeterError(ExitCode.NO_ANSWER, "no answer in time", where=where, hint=silence) from None
    except OSError as error:
        raise ConnectionBroken(where, error.strerror or str(error)) from None
    except LinkError as error:
        hint = "try again; the meter, or what is between, has taken the data link down"
        raise LinkDown(ExitCode.NO_ANSWER, str(error), where=where, hint=hint) from None
    except SecurityError as error:
        hint = "check --ek, --ak, --meter-title; somebody else may be answering"
        raise MeterError(ExitCode.NOT_TRUSTED, str(error), where=where, hint=hint) from None
    except RemoteError as error:
        hint = "see the octets with -v; --transport may be another one"
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(error), where=where, hint=hint) from None
    except LocalError as error:
        raise MeterError(ExitCode.USAGE, str(error), where=where) from None


def has_a_name(names: ShortNames, descriptor: AttributeDescriptor | MethodDescriptor) -> bool:
    """Whether there is a short name that certainly means this."""
    try:
        names.name_of(descriptor)
    except LocalError:
        return False
    return True


def _is_about_a_secret(request: Request) -> bool:
    if isinstance(request, GetList):
        return any(map(_is_about_a_secret, request.items))
    return isinstance(request, Get | Set | Action) and is_secret(request.descriptor)


_KEYS = (ServiceError.DECIPHERING_ERROR, ServiceError.INVOCATION_COUNTER_ERROR)
__all__ = ["Association", "ConnectionBroken", "Faulty", "LinkDown", "ReservedCounter", "as_meter_errors"]
