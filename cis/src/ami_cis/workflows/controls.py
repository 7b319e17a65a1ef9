"""Controls (EndDeviceControls): the RequestMessage of an order, and what its final reply says of each meter.

A control is one message with one EndDevices element per meter. It counts as confirmed only if the final reply says OK. How a request
comes to its end is the same for every noun (`ami_cis.workflows.exchanges`).
"""

from collections.abc import Sequence
from dataclasses import replace

from ami_cim.identity import Identifier, Name
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads.end_device_controls import NOUN, EndDeviceControl, EndDeviceControls, PanDisplay
from ami_cis import events
from ami_cis.store import SentRequest
from ami_cis.workflows.exchanges import Ended, Exchanges
from ami_cis.workflows.orders import CONTROL_WORDS, Order, OrderOutcome, Target
from ami_cis.workflows.outcomes import outcome_of
from ami_process.environment import Environment


class Controls:
    """Sends controls; says what became of them."""

    def __init__(self, exchanges: Exchanges, environment: Environment, *, reply_address: str | None) -> None:
        self._exchanges = exchanges
        self._environment = environment
        self._reply_address = reply_address

    async def run(self, order: Order) -> OrderOutcome:
        """Send an order and wait for its end; never raises for what the HES or the network does."""
        request = self._request(order)
        sent, sending = self._sent(order, request), _sent_event(order, request)
        is_later = order.start_at is not None and order.start_at > self._environment.now()
        until_acknowledged = is_later or order.until_acknowledged
        ended = await self._exchanges.run(request, sent, sending, until_acknowledged=until_acknowledged)
        return self._concluded(request, order.targets, ended)

    async def cancel(self, message_id: str) -> OrderOutcome:
        """Cancel the control that was ordered under this MessageID, as far as it is not begun."""
        return await self._about(message_id, "cancel")

    async def show(self, message_id: str) -> OrderOutcome:
        """What the HES says of the control that was ordered under this MessageID: by whom, and how far it is at each meter."""
        return await self._about(message_id, "get")

    async def _about(self, message_id: str, verb: str) -> OrderOutcome:
        order = Order(code=message_id, targets=(), verb=verb)
        request = replace(self._request(order), payload=None, request_identifiers=_transaction(message_id))
        ended = await self._exchanges.run(request, self._sent(order, request), _sent_event(order, request))
        return self._concluded(request, (), ended)

    async def resume(self) -> None:
        """Take up what a former life of the process has left without an end; what is too old for that is unknown."""
        await self._exchanges.resume(lambda request, ended: self._concluded(request, _targets(request), ended))

    def _concluded(self, request: RequestMessage, targets: Sequence[Target], ended: Ended) -> OrderOutcome:
        message_id = request.header.message_id or ""
        outcome = outcome_of(targets, message_id, ended)
        if ended.response is None or ended.accepted:
            return outcome
        errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
        self._environment.emit(
            events.ReplyReceived(message_id=message_id, result=outcome.result, errors=errors, ms=outcome.ms)
        )
        return outcome

    def _request(self, order: Order) -> RequestMessage:
        message_id = order.message_id or str(self._environment.new_uuid())
        if order.asynchronous and self._reply_address is None:
            raise ValueError("an asynchronous order needs an address to reply to")
        header = Header(
            verb=order.verb,
            noun=NOUN,
            timestamp=self._environment.now(),
            source="CIS",
            async_reply_flag=order.asynchronous,
            reply_address=self._reply_address if order.asynchronous else None,
            message_id=message_id,
            correlation_id=order.correlation_id or message_id,
        )
        control = EndDeviceControl(
            control_type=order.code,
            issuer_id="CIS",
            issuer_tracking_id=message_id,
            end_devices=tuple(target.device for target in order.targets if target.device),
            usage_points=tuple(target.usage_point for target in order.targets if target.usage_point),
            end_device_groups=tuple(target.group for target in order.targets if target.group),
            usage_point_groups=tuple(one.usage_point_group for one in order.targets if one.usage_point_group),
            display=None if order.text is None else PanDisplay(order.text),
            start_at=order.start_at,
            end_at=order.end_at,
        )
        changed = () if order.changes is None else _transaction(order.changes)
        payload = EndDeviceControls((control,))
        return RequestMessage(header=header, request_identifiers=changed, query=order.parameters, payload=payload)

    def _sent(self, order: Order, request: RequestMessage) -> SentRequest:
        header = request.header
        return SentRequest(
            message_id=header.message_id or "",
            correlation_id=header.correlation_id or "",
            verb=header.verb,
            noun=header.noun,
            code=order.code,
            meters=tuple(target.label for target in order.targets),
            asynchronous=order.asynchronous,
            sent_at=self._environment.now(),
        )


def _transaction(message_id: str) -> tuple[Identifier, ...]:
    return (Identifier(value=message_id, kind="transaction", object_type=NOUN),)


def _targets(request: RequestMessage) -> tuple[Target, ...]:
    """The targets of a request that is sent again, by the names that it gives them."""
    payload = request.payload
    controls = payload.controls if isinstance(payload, EndDeviceControls) else ()
    devices = [Target(_name(one.names, one.mrid), device=one) for each in controls for one in each.end_devices]
    points = [Target(_name(one.names, one.mrid), usage_point=one) for each in controls for one in each.usage_points]
    groups = [Target(_name(one.names, one.mrid), group=one) for each in controls for one in each.end_device_groups]
    of_points = [
        Target(_name(one.names, one.mrid), usage_point_group=one)
        for each in controls
        for one in each.usage_point_groups
    ]
    return (*devices, *points, *groups, *of_points)


def _name(names: Sequence[Name], mrid: str | None) -> str:
    return names[0].name if names else mrid or ""


def _sent_event(order: Order, request: RequestMessage) -> events.RequestSent:
    header = request.header
    return events.RequestSent(
        message_id=header.message_id or "",
        correlation_id=header.correlation_id,
        verb=header.verb,
        noun=header.noun,
        code=order.code,
        control=CONTROL_WORDS.get(order.code, order.code),
        meters=[target.label for target in order.targets],
        asynchronous=order.asynchronous,
    )
