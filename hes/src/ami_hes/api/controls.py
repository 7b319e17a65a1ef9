"""POST `/api/v1/controls`: meters are controlled, for an operator of the head-end.

The order becomes the EndDeviceControls that any client would send, so the guard, the audit log, commands, traces and reply codes are the
same for both. Who asks is the principal of the API. Keys and firmware are campaigns (`ami_hes.api.campaigns`), and take another role.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Protocol, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim import envelope, wire
from ami_cim.control_names import named_control
from ami_cim.control_parameters import Limiter, LimiterEmergency, TimeOfUse
from ami_cim.errors import CimError
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.control_parameters import ControlParameters
from ami_cim.payloads.end_device_controls import NOUN, EndDeviceControl, EndDeviceControls, PanDisplay
from ami_cim.schema import Schemas
from ami_cim.xml import is_printable
from ami_hes.api import audited, paths
from ami_hes.api.on_demand import SOURCE, answered, check_room, device_of, group_of, problems_of, unavailable
from ami_hes.api.values.on_demand import Problem
from ami_hes.askers import asking_as
from ami_hes.jobs import KeptAnswer
from ami_hes.nouns.header import MAX_ID
from ami_hes.traces import arriving
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.environment import Environment

MOST_METERS, MOST_GROUPS = 1_000, 100
OF_CAMPAIGNS = frozenset({"11", "12"})
"""Domains of an EndDeviceControlType: firmware and security."""
ACCEPTED = "0.3"


class Ask(Protocol):
    """`Intake.handle`."""

    def __call__(self, message: RequestMessage, *, looked_up: bool) -> Awaitable[ResponseMessage | KeptAnswer]: ...


def _code(text: str) -> str:
    code = named_control(text)
    if code.split(".")[1] in OF_CAMPAIGNS:
        raise ValueError(f"keys and firmware are changed by campaigns: {paths.KEY_ROLLS}, {paths.FIRMWARE_STARTS}")
    return code


def _text(text: str) -> str:
    if not is_printable(text):
        raise ValueError("has characters that XML can't have")
    return text


Text = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_text)]


class ControlOrder(BaseModel):
    """One EndDeviceControl for some meters (names or mRIDs) and groups (VALUE or TAG=VALUE of tags of the registry)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    control: Annotated[Text, AfterValidator(_code)]
    """An EndDeviceControlType, or a name such as disconnect."""
    meters: tuple[Text, ...] = Field(default=(), max_length=MOST_METERS)
    groups: tuple[Text, ...] = Field(default=(), max_length=MOST_GROUPS)
    limiter: Limiter | None = None
    limiter_emergency: LimiterEmergency | None = None
    time_of_use: TimeOfUse | None = None
    text: Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_text)] | None = None
    """For the display."""
    start_at: AwareDatetime | None = None
    """When it is to begin; such an order is asynchronous."""
    end_at: AwareDatetime | None = None
    """Until when it may be done."""
    asynchronous: bool = False
    """Answer once it is accepted, as one that waits for a second person; `/api/v1/requests/ID` has what comes of it."""
    message_id: Annotated[Text, Field(max_length=MAX_ID)] | None = None
    """The same one again counts once."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not (self.meters or self.groups):
            raise ValueError("name at least one of meters and groups")
        if self.start_at is not None and not self.asynchronous:
            raise ValueError("a control for later is asynchronous")
        return self


class ControlAnswer(BaseModel):
    """What the head-end answers: OK, PARTIAL or FAILED with reply codes; `accepted`: it has no end yet."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    result: str
    accepted: bool
    errors: tuple[Problem, ...]

    @classmethod
    def of(cls, response: ResponseMessage, message_id: str, names: Callable[[str], str | None]) -> Self:
        """The same for an operator; `names` has the name of a meter by its mRID."""
        return cls(
            message_id=message_id,
            result=response.reply.result,
            accepted=any(one.code == ACCEPTED for one in response.reply.errors),
            errors=problems_of(response, names),
        )


def control_routes(
    ask: Ask, names: Callable[[str], str | None], schemas: Schemas, environment: Environment
) -> list[Route]:
    """POST controls, and answers when that has an end or is accepted."""

    async def control(request: Request) -> Response:
        message = _message(await read_body(request, ControlOrder), environment)
        message_id = message.header.message_id or ""
        audited.note(request, request_id=message_id)
        try:
            # its trace has the message that it became
            octets = wire.write_request(message, envelope.REQUEST_MESSAGE, schemas)
        except CimError as problem:
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, problem.reason) from None
        try:
            with arriving(octets, message_id), asking_as(audited.asker_of(request)):
                response = await answered(lambda one: ask(one, looked_up=True), message, schemas)
        except CimError as problem:
            raise unavailable(f"{problem.code} {problem.reason}") from None
        check_room(response)
        return answer_of(ControlAnswer.of(response, message_id, names))

    return [Route(paths.CONTROLS, control, methods=["POST"])]


def _message(order: ControlOrder, environment: Environment) -> RequestMessage:
    message_id = order.message_id or str(environment.new_uuid())
    control = EndDeviceControl(
        control_type=order.control,
        issuer_id=SOURCE,
        issuer_tracking_id=message_id,
        end_devices=tuple(map(device_of, order.meters)),
        end_device_groups=tuple(map(group_of, order.groups)),
        display=None if order.text is None else PanDisplay(order.text),
        start_at=order.start_at,
        end_at=order.end_at,
    )
    parameters = ControlParameters(order.limiter, order.limiter_emergency, order.time_of_use)
    return RequestMessage(
        header=Header(
            verb="create",
            noun=NOUN,
            timestamp=environment.now(),
            source=SOURCE,
            async_reply_flag=order.asynchronous or None,
            message_id=message_id,
            correlation_id=message_id,
        ),
        payload=EndDeviceControls((control,)),
        query=parameters if parameters.by_element else None,
    )
