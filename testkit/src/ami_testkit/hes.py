"""The head-end of a system, as a client sees it through the border, and a client to ask it with."""

import ssl
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from ami_cim import wire
from ami_cim.codes import Verb
from ami_cim.envelope import typed_wrapper
from ami_cim.identity import EndDevice, Identified, Name
from ami_cim.message import Header, RequestMessage
from ami_cim.payloads import Payload
from ami_cim.payloads.end_device_controls import EndDeviceControl, EndDeviceControls
from ami_cim.payloads.get_meter_readings import GetMeterReadings
from ami_cim.reading_type_names import UnknownType, reading_type_of
from ami_cim.schema import Schemas
from ami_cli.observations import CONNECT, DISCONNECT
from ami_testkit.border import Border
from ami_testkit.clock import Clock
from ami_testkit.errors import KitError
from ami_testkit.messages import Message
from ami_testkit.rest import Rest

SOURCE = "testkit"
WAIT_S = 120.0
CONTROLS = {"disconnect": DISCONNECT, "connect": CONNECT}
HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


class HeadEnd:
    """`url` is where clients under test ask it, behind the border; `api_url` is the head-end itself, for REST."""

    def __init__(self, border: Border, clock: Clock, rest: Rest | None, api_url: str) -> None:
        self._border, self._clock, self._rest = border, clock, rest
        self.api_url = api_url
        self._schemas = Schemas()

    @property
    def url(self) -> str:
        """Of the border in front of it; CIM is at `/cim` and below (docs/howto/bring-your-own-cis.md)."""
        return self._border.url

    @property
    def rest(self) -> Rest:
        """Its REST API. Raises KitError for a head-end that is not ours."""
        if self._rest is None:
            raise KitError(
                "this head-end has no REST API that the kit knows: ami(hes=..., hes_token=...) for one of ours"
            )
        return self._rest

    def read(self, meters: Sequence[str], types: Sequence[str] = ("import",), *, later: bool = False) -> Message:
        """Ask for values; the answer, or with `later` the acknowledgement of a reply that comes to the inbox. Otherwise as `reading`."""
        return self.send(self.reading(meters, types, later=later))

    def control(self, what: str, meters: Sequence[str], *, later: bool = False) -> Message:
        """`disconnect` or `connect`; the answer, or with `later` the acknowledgement of a reply that comes to the inbox. Otherwise as `order`."""
        return self.send(self.order(what, meters, later=later))

    def reading(
        self,
        meters: Sequence[str],
        types: Sequence[str] = ("import",),
        *,
        later: bool = False,
        message_id: str | None = None,
    ) -> Message:
        """A GetMeterReadings, not sent; `types` are names, OBIS codes or ReadingTypes. Raises KitError."""
        asked = tuple(Identified(names=(Name(name=_reading_type(one)),)) for one in types)
        query = GetMeterReadings(end_devices=_devices(meters), reading_types=asked)
        return self.request("get", "MeterReadings", query=query, later=later, message_id=message_id)

    def order(self, what: str, meters: Sequence[str], *, later: bool = False, message_id: str | None = None) -> Message:
        """An EndDeviceControls, not sent; `what` may also be a code of EndDeviceControlType."""
        control = EndDeviceControl(control_type=CONTROLS.get(what, what), end_devices=_devices(meters))
        payload = EndDeviceControls(controls=(control,))
        return self.request("create", "EndDeviceControls", payload=payload, later=later, message_id=message_id)

    def request(
        self,
        verb: str,
        noun: str,
        *,
        query: Payload | None = None,
        payload: Payload | None = None,
        later: bool = False,
        message_id: str | None = None,
        at: datetime | None = None,
    ) -> Message:
        """A request with a MessageID of its own; `later` has the reply sent to the inbox."""
        given = message_id or str(uuid.uuid4())
        header = Header(
            verb=Verb(verb),
            noun=noun,
            source=SOURCE,
            timestamp=(at or self._clock.now).replace(microsecond=0),
            message_id=given,
            correlation_id=given,
            async_reply_flag=True if later else None,
            reply_address=self._border.late_url if later else None,
        )
        message = RequestMessage(header=header, query=query, payload=payload)
        return Message(wire.write_request(message, typed_wrapper(verb, noun), self._schemas))

    def send(self, request: Message | bytes | str, *, within: float = WAIT_S) -> Message:
        """Post a request as it is, and the answer. Raises httpx.HTTPError where none came."""
        octets = request.octets if isinstance(request, Message) else request
        verify: Any = True if self.url.startswith("http:") else _trusting(self._border.authority)
        with httpx.Client(timeout=within, trust_env=False, verify=verify) as client:
            answer = client.post(f"{self.url}/cim", content=octets, headers=HEADERS)
        return Message(answer.content, status=answer.status_code, headers=dict(answer.headers))


def _devices(meters: Sequence[str]) -> tuple[EndDevice, ...]:
    if isinstance(meters, str):
        raise KitError(f"meters={meters!r}: a list of names is expected, as [{meters!r}]")
    return tuple(EndDevice(names=(Name(name=one),)) for one in meters)


def _reading_type(one: str) -> str:
    try:
        return reading_type_of(one)
    except UnknownType as problem:
        raise KitError(f"types: {problem}") from None


def _trusting(authority: str) -> Any:
    return ssl.create_default_context(cafile=authority)
