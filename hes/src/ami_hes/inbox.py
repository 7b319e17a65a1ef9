"""The HES's HTTP side: SOAP in, SOAP out, and the WSDL and XSD that say how.

All addresses take the same messages: `/cim/Execute{Noun}` and `/cim/Get{Noun}` are described by typed WSDL, `/cim` by the generic
one. What can't be read gets a SOAP fault with a FaultMessage; what is understood gets a ResponseMessage, also if refused.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp

from ami_cim import incoming, wire
from ami_cim.envelope import Received
from ami_cim.errors import CimError, InvalidMessage, LocalError
from ami_cim.limits import Limits
from ami_cim.message import RequestMessage
from ami_cim.schema import Schemas
from ami_cim.services import OFFERED, addresses
from ami_cim.spoken import answering, spoken
from ami_cim.wsse import SECURITY, refused
from ami_hes import events
from ami_hes.askers import asker_of_principal, asking_as
from ami_hes.jobs import Intake, KeptAnswer
from ami_hes.nouns import Partner, partner_of
from ami_hes.roles import needed
from ami_hes.traces import Arrival, Refusal, arriving, message_id_in
from ami_process.environment import real_time
from ami_process.events import Emit, Event
from ami_process.health import Health
from ami_process.message_endpoint import Endpoint, Site, Why, received_octets, received_time
from ami_process.message_security import MessageSecurity
from ami_process.principals import EVERYBODY, Admission, Principal, lacking
from ami_process.worker import Worker

BODY_S = 30.0
"""How long a message may take to come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSettings:
    """How much is read, where events go, by which names clients reach us, and the URL of the WSDL (None: as it is asked)."""

    limits: Limits
    emit: Emit
    partners: Sequence[Partner] = ()
    names: Collection[str] = ()
    public_url: str | None = None
    ready: Health | None = None
    """Whether more requests can be taken: what `/readyz` says, where it is served."""
    admission: Admission = EVERYBODY
    """Who may send messages."""
    security: MessageSecurity | None = None
    """What messages prove by themselves, and what answers get; None: nothing."""
    unread: Callable[[str, str], None] = lambda _, __: None
    """Called with the code and the reason of what was not taken, for the audit log."""
    refused: Callable[[Refusal], None] = lambda _: None
    """Called with what could not be read, for its trace."""


def create_inbox(intake: Intake, schemas: Schemas, worker: Worker, health: Health, settings: InboxSettings) -> ASGIApp:
    """The ASGI application; `worker` calls `ami_cim.reading.FUNCTION`."""

    async def handle(received: Received, octets: bytes, sender: Principal) -> bytes:
        header = received.message.header
        with arriving(octets, header.message_id), _asked_by(sender):
            try:
                if settings.security is not None:
                    await _demand_security(received.message, sender, settings.security, settings.partners)
                _demand_roles(received.message, sender)
            except CimError as problem:
                intake.deny(header, problem)
                raise
            answer = await intake.handle(received.message)
        speech = answering(received.spelling, partner_of(received.message.header, settings.partners).dialect)
        if isinstance(answer, KeptAnswer):
            return await answer.written(received.wrapper, speech)
        try:
            return spoken(wire.write_response(answer, received.wrapper, schemas), speech)
        except CimError as problem:
            settings.emit(events.AnswerInvalid(message_id=answer.header.correlation_id, reason=str(problem)))
            raise LocalError("The answer could not be written", problem.reason) from None

    def report(why: Why, status: HTTPStatus, problem: CimError) -> None:
        settings.emit(_event(why, status, problem))
        settings.unread(problem.code, problem.reason)
        if why is not Why.NOT_LET_IN and not _is_of_security(problem):  # whom nobody knows leaves no trace
            settings.refused(_unread(problem))

    site = Site(
        addresses=addresses(OFFERED),
        names=settings.names,
        names_setting="hes.host_names",
        public_url=settings.public_url,
        owner="The head-end system",
        body_s=BODY_S,
        admission=settings.admission,
        security=settings.security,
    )
    reads = settings.security is not None and settings.security.reads
    understood = frozenset({SECURITY}) if reads else frozenset[str]()
    return Endpoint(incoming.requests(schemas, settings.limits, understood), worker, handle, report, site).application(
        health, settings.ready
    )


def _unread(problem: CimError) -> Refusal:
    """Of a message that could not be read."""
    octets = received_octets()
    arrival = Arrival(octets, received_time() or real_time())
    arrival.mark("refused")
    message_id, reasons = message_id_in(octets), [f"{problem.code} {problem}"]
    return Refusal(message_id, "unread", "message", None, reasons, arrival, unreadable=True)


def _is_of_security(problem: CimError) -> bool:
    """Whether a message did not prove who it is from."""
    return isinstance(problem, InvalidMessage) and problem.fault_code.startswith(("wsse:", "wsu:"))


def _asked_by(sender: Principal) -> AbstractContextManager[None]:
    """Whatever a message says of itself, who has proved who they are asks."""
    asker = asker_of_principal(sender)
    return nullcontext() if asker is None else asking_as(asker)


async def _demand_security(
    message: RequestMessage, sender: Principal, security: MessageSecurity, partners: Sequence[Partner]
) -> None:
    """Raises InvalidMessage for a partner's message that proves nothing, and for one that has come before by its ReplayDetection."""
    partner, replay = partner_of(message.header, partners), message.header.replay_detection
    if partner.proves and sender.how not in ("signature", "username"):
        reason = f"Messages of {partner.name or partner.source} have to prove by a Security header who they are from"
        raise refused("wsse:InvalidSecurity", reason, code="7.2")
    if security.reads and replay is not None:
        await security.check_replay(replay.nonce, replay.created_at)


def _demand_roles(message: RequestMessage, sender: Principal) -> None:
    """Raises InvalidMessage (7.5) for who lacks a role that the message takes."""
    for role in sorted(needed(message)):
        if not sender.may(role):
            raise InvalidMessage("7.5", lacking(sender, role))


def _event(why: Why, status: HTTPStatus, problem: CimError) -> Event:
    """What is reported of a message that was not taken."""
    match why:
        case Why.UNUSABLE:
            return events.RequestUnreadable(code=problem.code, reason=str(problem))
        case Why.TOO_COSTLY:
            return events.RequestTooCostly(reason=str(problem))
        case Why.NOT_LET_IN:
            return events.RequestRefused(status=int(status), reason=problem.reason)
