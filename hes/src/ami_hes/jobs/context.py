"""What everything that works on requests needs."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ami_cim.codes import Verb
from ami_cim.correlation import reply_header
from ami_cim.message import Header, Property, Reply, ResponseMessage
from ami_cim.payloads import Payload
from ami_cim.schema import Schemas
from ami_hes.engine import Engine, ReplyJob
from ami_hes.jobs.tally import Tally
from ami_hes.store import Deliveries, KeptMessages, Outgoing, Results, StoredRequest
from ami_hes.traces import TRACEPARENT, Telemetry, format_traceparent
from ami_process.environment import Environment
from ami_process.events import Event


@dataclass(frozen=True, slots=True)
class Context:
    """The store, the engine, and what differs from run to run."""

    results: Results
    deliveries: Deliveries
    engine: Engine
    schemas: Schemas
    source: str
    environment: Environment
    reply_age: timedelta
    """How long after its request a reply is still posted."""
    outgoing: Outgoing
    messages: KeptMessages
    tally: Tally = field(default_factory=Tally)
    telemetry: Telemetry | None = None
    """What tells a collector of requests, where one is set."""

    def now(self) -> datetime:
        """By the clock of the process."""
        return self.environment.now()

    def emit(self, event: Event) -> None:
        """Report an event."""
        self.environment.emit(event)

    def message(self, header: Header, reply: Reply) -> ResponseMessage:
        """A message of ours that answers a request's header."""
        answering = reply_header(
            header, message_id=str(self.environment.new_uuid()), timestamp=self.now(), source=self.source
        )
        answering = replace(answering, properties=self.properties(header.message_id))
        return ResponseMessage(header=answering, reply=reply)

    def answer(self, request: StoredRequest, reply: Reply, payload: Payload | None = None) -> ResponseMessage:
        """A message of ours that answers a kept request."""
        header = Header(
            verb=Verb.REPLY,
            noun=request.noun,
            timestamp=self.now(),
            source=self.source,
            message_id=str(self.environment.new_uuid()),
            correlation_id=request.correlation_id,
            properties=self.properties(request.request_id),
        )
        return ResponseMessage(header=header, reply=reply, payload=payload)

    def properties(self, message_id: str | None) -> tuple[Property, ...]:
        """Of the header of what answers this request: where its trace is, if there is a collector that has it."""
        if self.telemetry is None or message_id is None:
            return ()
        return (Property(name=TRACEPARENT, value=format_traceparent(message_id)),)

    def reply_job(self, request: StoredRequest) -> ReplyJob:
        """The posting of an answer that is owed."""
        return ReplyJob.of(request, self.reply_age)

    def milliseconds_since(self, moment: datetime) -> float:
        """Of real time, however fast the clock of the process is; for people."""
        return round(-self.environment.real_seconds_until(moment) * 1000, 1)
