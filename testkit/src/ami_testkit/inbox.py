"""Where late replies and events come to in the test process, and what a test may expect of them."""

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from lxml import etree

from ami_cim import soap
from ami_cim.envelope import format_response
from ami_cim.message import Header, Reply, ResponseMessage
from ami_testkit.http import Answer, Asked, Server
from ami_testkit.messages import LIMITS, DeviceEvent, Message, differences
from ami_testkit.waiting import Arrivals

WITHIN_S = 10.0
MOST_LISTED = 12
HEADERS = {"Content-Type": soap.CONTENT_TYPE}
EVENT_PATH = "/events"


class Inbox:
    """An HTTP server for late replies and events. It keeps what comes and answers each with OK; `expect_*` wait for what has to come.

    Messages that cannot be read are kept as well, and answered 400.
    """

    def __init__(self) -> None:
        self._came: Arrivals[Message] = Arrivals(lambda one: len(one.octets))
        self._server = Server(self._take)
        self.url = ""
        """ReplyAddress for requests; the border is in front of it."""

    async def start(self) -> str:
        """Listen; the URL of the server itself."""
        await self._server.start()
        return f"http://127.0.0.1:{self._server.port}"

    async def close(self) -> None:
        """Listen no more."""
        await self._server.close()

    # --- what came

    @property
    def messages(self) -> list[Message]:
        """All of them, the oldest first."""
        return self._came.all()

    @property
    def replies(self) -> list[Message]:
        """Late replies."""
        return [one for one in self._came if one.is_reply]

    @property
    def events(self) -> list[Message]:
        """Events: what is no reply."""
        return [one for one in self._came if not one.is_reply and one.problem is None]

    def clear(self) -> None:
        """Forget all."""
        self._came.clear()

    # --- what has to come

    def expect_reply(
        self,
        to: str | Message | None = None,
        *,
        result: str | None = None,
        codes: Mapping[str, str] | None = None,
        noun: str | None = None,
        xpath: str | None = None,
        within: float = WITHIN_S,
    ) -> Message:
        """The one late reply `to` a request (its MessageID, itself, or its acknowledgement), as it is expected; AssertionError with what came instead. `codes` are all codes, by meter; two replies are one too many."""
        wanted = to if not isinstance(to, Message) else to.correlation_id if to.is_reply else to.message_id

        def find(came: list[Message]) -> list[Message] | None:
            replies = [one for one in came if one.is_reply and wanted in (None, one.correlation_id)]
            return replies or None

        name = f"a reply{'' if wanted is None else f' to {wanted}'}"
        replies = self._came.wait(find, within)
        if replies is None:
            raise AssertionError(f"no {name[2:]} came within {within:g} s; {self._listed()}")
        if len(replies) > 1:
            raise AssertionError(f"one {name[2:]} was expected and {len(replies)} came; {self._listed()}")
        if wrong := differences(replies[0], result=result, codes=codes, noun=noun, xpath=xpath):
            raise AssertionError(f"{name} came, but {'; '.join(wrong)}; {self._listed()}")
        return replies[0]

    def expect_message(
        self,
        *,
        noun: str | None = None,
        verb: str | None = None,
        xpath: str | None = None,
        count: int = 1,
        within: float = WITHIN_S,
    ) -> list[Message]:
        """At least `count` messages of this noun and verb in which the XPath finds something; AssertionError with what came instead."""

        def find(came: list[Message]) -> list[Message] | None:
            fitting = [one for one in came if not differences(one, noun=noun, verb=verb, xpath=xpath)]
            return fitting if len(fitting) >= count else None

        found = self._came.wait(find, within)
        if found is None:
            wanted = ", ".join(str(one) for one in (verb, noun, xpath) if one is not None) or "any"
            raise AssertionError(f"{count} messages ({wanted}) were expected within {within:g} s; {self._listed()}")
        return found

    def expect_device_event(self, code: str, meter: str | None = None, *, within: float = WITHIN_S) -> Message:
        """The message with an EndDeviceEvent of this code (`3.26.0.85`, or its end without the device type, `26.0.85`), of this meter."""

        def find(came: list[Message]) -> Message | None:
            return next((one for one in came for event in one.device_events if _is(event, code, meter)), None)

        found = self._came.wait(find, within)
        if found is None:
            at = "" if meter is None else f" of {meter}"
            raise AssertionError(f"no EndDeviceEvent {code}{at} came within {within:g} s; {self._listed()}")
        return found

    def expect_nothing(self, *, noun: str | None = None, within: float = 0.2) -> None:
        """Nothing, or nothing of this noun, for so long; AssertionError with what came."""

        def find(came: list[Message]) -> Message | None:
            return next((one for one in came if noun in (None, one.noun)), None)

        if self._came.wait(find, within) is not None:
            raise AssertionError(f"nothing{'' if noun is None else f' of {noun}'} was expected; {self._listed()}")

    def _listed(self) -> str:
        came = self._came.all()
        if not came:
            return "nothing came"
        lines = [f"  {number}. {one.summary()}" for number, one in enumerate(came[-MOST_LISTED:], 1)]
        return f"{len(came)} came, the last of them:\n" + "\n".join(lines)

    # --- the server

    async def _take(self, asked: Asked) -> Answer:
        message = Message(asked.body, headers=asked.headers)
        answer = await asyncio.to_thread(receipt, message)
        self._came.add(message)
        return answer


def receipt(message: Message) -> Answer:
    """The answer of a receiver that has taken this message, or can't read it."""
    if message.problem is not None or message.noun is None:
        return Answer(400, {"Content-Type": "text/plain"}, f"{message.problem or 'no Noun'}\n".encode())
    header = Header(
        verb="reply",
        noun=message.noun,
        message_id=str(uuid.uuid4()),
        correlation_id=message.correlation_id or message.message_id,
        timestamp=datetime.now(UTC),
    )
    said = ResponseMessage(header=header, reply=Reply(result="OK"))
    body = soap.unwrap(message.octets, LIMITS)
    return Answer(200, HEADERS, soap.wrap(format_response(said, etree.QName(body))))


def _is(event: DeviceEvent, code: str, meter: str | None) -> bool:
    return (event.code == code or event.code.endswith(f".{code}")) and (meter is None or meter in event.meters)
