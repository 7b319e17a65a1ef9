"""Events of meters that the HES has (GetEndDeviceEvents): asked for page by page, so that no answer is longer than one message.

Events are kept by their mRIDs before the outcome is reported (`ami_cis.pending`), so asking twice does nothing twice. If a page gets no
answer, the events of the pages before it stay kept, and the outcome says that not all came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import Identified
from ami_cim.message import Header, RequestMessage
from ami_cim.message import Property as Option
from ami_cim.payloads.end_device_events import AskedPeriod, EndDeviceEvents, GetEndDeviceEvents
from ami_cim.periods import Period
from ami_cis import events
from ami_cis.store import SentRequest
from ami_cis.workflows.exchanges import Ended, Exchanges
from ami_cis.workflows.orders import OrderOutcome, Target
from ami_cis.workflows.outcomes import outcome_of
from ami_process.environment import Environment

NOUN: Final = "EndDeviceEvents"
PAGE: Final = 1_000
"""Events of one answer."""
MOST_PAGES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuestion:
    """Which events; what is empty or None is not asked for."""

    targets: tuple[Target, ...] = ()
    codes: tuple[str, ...] = ()
    """EndDeviceEventTypes; 0 or * as the first number is any device."""
    start: datetime | None = None
    end: datetime | None = None
    """Excluded."""


@dataclass(frozen=True, slots=True)
class EventsOutcome:
    """How asking for the last page ended, and how many events came; not `complete` where the HES has more."""

    outcome: OrderOutcome
    came: int
    complete: bool


class EventQuestions:
    """Asks the HES; never raises for what the HES, the network or the store does."""

    def __init__(self, exchanges: Exchanges, environment: Environment) -> None:
        self._exchanges = exchanges
        self._environment = environment

    async def run(self, question: EventQuestion) -> EventsOutcome:
        """Ask for one page after the other, until there are no more or one has no end."""
        came = 0
        for _ in range(MOST_PAGES):
            request = self._request(question, came)
            ended = await self._exchanges.run(request, *self._sent(question, request))
            outcome = self._concluded(question.targets, request, ended)
            payload = None if ended.response is None else ended.response.payload
            found = len(payload.events) if isinstance(payload, EndDeviceEvents) else 0
            came += found
            if outcome.result is None or found < PAGE:
                return EventsOutcome(outcome, came, outcome.result is not None)
        return EventsOutcome(outcome, came, complete=False)

    def _request(self, question: EventQuestion, offset: int) -> RequestMessage:
        message_id = str(self._environment.new_uuid())
        header = Header(
            verb="get",
            noun=NOUN,
            timestamp=self._environment.now(),
            source="CIS",
            message_id=message_id,
            correlation_id=message_id,
        )
        period = Period(start=question.start, end=question.end)
        query = GetEndDeviceEvents(
            meters=tuple(one.device for one in question.targets if one.device),
            usage_points=tuple(one.usage_point for one in question.targets if one.usage_point),
            end_device_groups=tuple(one.group for one in question.targets if one.group),
            event_types=tuple(Identified(mrid=code) for code in question.codes),
            schedules=(AskedPeriod(period),) if period != Period() else (),
        )
        page = (Option(name="limit", value=str(PAGE)), Option(name="offset", value=str(offset)))
        return RequestMessage(header=header, query=query, options=page)

    def _sent(self, question: EventQuestion, request: RequestMessage) -> tuple[SentRequest, events.RequestSent]:
        """What is kept of it, and what is reported."""
        message_id, labels = request.header.message_id or "", _labels(question.targets)
        code = " ".join(question.codes) or "all events"
        sent = SentRequest(
            message_id=message_id,
            correlation_id=message_id,
            verb=request.header.verb,
            noun=NOUN,
            code=code[:1_000],
            meters=tuple(labels),
            asynchronous=False,
            sent_at=self._environment.now(),
        )
        sending = events.RequestSent(
            message_id=message_id,
            correlation_id=message_id,
            verb=request.header.verb,
            noun=NOUN,
            code=code[:1_000],
            control="events",
            meters=labels,
            asynchronous=False,
        )
        return sent, sending

    def _concluded(self, targets: Sequence[Target], request: RequestMessage, ended: Ended) -> OrderOutcome:
        outcome = outcome_of(targets, request.header.message_id or "", ended)
        if ended.response is not None:
            errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
            self._environment.emit(
                events.ReplyReceived(message_id=outcome.message_id, result=outcome.result, errors=errors, ms=outcome.ms)
            )
        return outcome


def _labels(targets: Sequence[Target]) -> list[str]:
    return [target.label for target in targets]
