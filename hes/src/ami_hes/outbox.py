"""What the HES sends to a CIS: answers as octets, and asynchronous replies posted to a ReplyAddress.

Where replies may go says `hes.reply_hosts`. A delivery is one POST and the status that comes back: it goes over httpx's
transport and not its client, so that nothing a receiver says is acted upon (no redirect, no cookie, no decompression).
Whatever an address is or answers ends that one delivery: with NotTaken, or NotServed if trying again is of no use.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import httpx

from ami_cim import envelope, soap, wire
from ami_cim.errors import CimError, PeerFault
from ami_cim.limits import Limits
from ami_cim.message import ResponseMessage
from ami_cim.nouns import BY_NAME
from ami_cim.schema import Schemas
from ami_hes.reply_hosts import NoAnswer, NotTaken, ReplyHosts
from ami_process.http_sending import SendingTransport
from ami_process.message_security import Outgoing, Sealing
from ami_process.settings import SettingsError
from ami_process.tls import describe, tls_problem

MAX_ANSWER_OCTETS = 100_000
_ANSWER = Limits(octets=MAX_ANSWER_OCTETS, unpacked=0, nodes=2_000)
"""An answer that says whether a reply was taken is short; it is read on the event loop."""
CONNECTIONS_KEPT = 20
LOOK_UPS = 100
"""Host names that are looked up at once; each blocks a thread for as long as the name servers take."""

ACK_REQUIRED = "acknowledgement required"
"""The `query` of an event that wants one (Header.AckRequired)."""
_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""', "Accept-Encoding": "identity"}

NOT_SERVED_STATUSES = frozenset({404, 405, 410, 501})
NOT_SERVED_CODES = frozenset({"2.5", "2.9"})
"""Reply codes of a receiver that takes no such noun or verb."""
NOT_SERVED_WORDS = (
    "not implemented",  # gSOAP
    "not recognize",  # gSOAP, ASP.NET
    "not recognise",
    "cannot find dispatch method",  # JAX-WS RI
    "was not recognized",  # CXF
    "operation not found",  # Axis2
    "no such operation",
)
"""Fault strings of SOAP stacks for an element that is no operation of theirs; in lower case."""


MakeContext = Callable[[], ssl.SSLContext]
"""Makes the context for https; raises SettingsError."""


class NotServed(NotTaken):
    """The receiver has no such operation: the same reply will never be taken there."""


def format_answer(message: ResponseMessage, schemas: Schemas, *, typed: bool = False) -> bytes:
    """The generic ResponseMessage in SOAP, or the noun's own where it has one, as it is kept and posted.

    Raises CimError if it would not be valid.
    """
    noun = message.header.noun
    wrapper = envelope.typed_response(noun) if typed and noun in BY_NAME else envelope.RESPONSE_MESSAGE
    return wire.write_response(message, wrapper, schemas)


def parse_answer(octets: bytes) -> ResponseMessage:
    """A message that `format_answer` made."""
    return envelope.parse_response(soap.unwrap(octets, Limits(octets=len(octets), nodes=len(octets))))


class ReceiverConnections:
    """Connections to receivers over http and https, open until the stack ends.

    Authorities take a while to load (40 ms for the usual ones), and most receivers of replies show no certificate; so they are
    loaded for the first one that does.
    """

    def __init__(self, stack: AsyncExitStack, plain: SendingTransport, trusted: MakeContext) -> None:
        self._stack = stack
        self._plain = plain
        self._trusted = trusted
        self._secure: SendingTransport | None = None
        self._loading = asyncio.Lock()

    @classmethod
    async def opened(cls, stack: AsyncExitStack, trusted: MakeContext) -> Self:
        """Over http no certificate is shown, so that no authority is needed; `trusted` makes the context for https."""
        plain = await stack.enter_async_context(_transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
        return cls(stack, plain, trusted)

    async def over(self, scheme: str, threads: Executor) -> SendingTransport:
        """The transport for this scheme, `http` or `https`; authorities are loaded in one of these threads."""
        if scheme == "http":
            return self._plain
        async with self._loading:
            if self._secure is None:
                trusted = await asyncio.get_running_loop().run_in_executor(threads, self._trusted)
                self._secure = await self._stack.enter_async_context(_transport(trusted))
            return self._secure


def _transport(trusted: ssl.SSLContext) -> SendingTransport:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CONNECTIONS_KEPT)
    return SendingTransport(verify=trusted, trust_env=False, limits=limits)


def usual_authorities() -> ssl.SSLContext:
    """The context of a head-end that names no authorities."""
    return httpx.create_ssl_context(trust_env=False)


class Outbox:
    """Posts replies."""

    def __init__(
        self,
        connections: ReceiverConnections,
        hosts: ReplyHosts,
        schemas: Schemas,
        *,
        timeout_s: float,
        sealing: Sealing | None = None,
    ) -> None:
        self._sealing = sealing
        self._connections = connections
        self._hosts = hosts
        self._schemas = schemas
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="look-up")

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        hosts: ReplyHosts,
        schemas: Schemas,
        *,
        timeout_s: float,
        trusted: MakeContext = usual_authorities,
        sealing: Sealing | None = None,
    ) -> AsyncIterator[Self]:
        """With connections of its own; how many are open at once is the caller's affair. `trusted`: for https; `sealing`: what messages get."""
        async with AsyncExitStack() as stack:
            connections = await ReceiverConnections.opened(stack, trusted)
            outbox = cls(connections, hosts, schemas, timeout_s=timeout_s, sealing=sealing)
            try:
                yield outbox
            finally:
                outbox._threads.shutdown(wait=False, cancel_futures=True)

    async def post(
        self, reply_address: str, answer: bytes, *, ack_required: bool = False, outgoing: str | None = None
    ) -> None:
        """Hand a kept message over; returns when it was taken. Raises NotTaken (NoAnswer, NotServed) or NotAllowed.

        `ack_required`: a body that is no SOAP message, as of a proxy or a page to sign in at, is no acknowledgement.
        `outgoing`: the Security header that its receiver gets; None: the one of all.
        """
        url = self._hosts.check(reply_address)
        if self._sealing is not None:
            how = None if outgoing is None else Outgoing(outgoing)
            try:
                answer = await self._sealing.message(answer, how, encrypted=url.scheme == "https")
            except (SettingsError, CimError) as problem:
                raise NotTaken(f"it gets no Security header: {problem}") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, octets = await self._send(url, answer)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._timeout_s:g} s") from None
        except SettingsError as problem:
            raise NoAnswer(str(problem)) from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError, ArithmeticError) as error:
            tls = tls_problem(error)
            raise NoAnswer(describe(tls) if tls else f"{type(error).__name__}: {error}") from None
        self._check_taken(status, octets)
        if ack_required and octets:
            _check_acknowledged(status, octets)

    async def _send(self, url: httpx.URL, answer: bytes) -> tuple[int, bytes]:
        address = await self._hosts.resolve(url, self._threads)
        request = httpx.Request(
            "POST",
            url.copy_with(host=str(address)),
            content=answer,
            headers=_HEADERS | {"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host, "timeout": httpx.Timeout(self._timeout_s).as_dict()},
        )
        transport = await self._connections.over(url.scheme, self._threads)
        response = await transport.handle_async_request(request)
        try:
            return response.status_code, await _read(response)
        finally:
            await response.aclose()

    def _check_taken(self, status: int, octets: bytes) -> None:
        """Taken is a 2xx, unless a fault or a Reply FAILED says otherwise; what else the body holds is the receiver's affair."""
        if status in NOT_SERVED_STATUSES:
            raise NotServed(f"the receiver does not serve this address: HTTP status {status}")
        try:
            reply = wire.read_response(octets, self._schemas, _ANSWER).reply
        except PeerFault as fault:
            raise _refused_by(fault) from None
        except CimError:
            reply = None
        if not 200 <= status < 300:
            raise NotTaken(f"HTTP status {status}")
        if reply is not None and reply.result == "FAILED":
            reasons = f"the receiver answered FAILED: {'; '.join(error.reason or error.code for error in reply.errors)}"
            unknown = bool(reply.errors) and all(error.code in NOT_SERVED_CODES for error in reply.errors)
            raise NotServed(reasons) if unknown else NotTaken(reasons)


def _check_acknowledged(status: int, octets: bytes) -> None:
    """A SOAP message of whatever dialect acknowledges, and so does a 2xx without a body."""
    try:
        soap.unwrap(octets, _ANSWER)
    except CimError as problem:
        raise NotTaken(f"HTTP status {status} with a body that acknowledges nothing: {problem.reason}") from None


def _refused_by(fault: PeerFault) -> NotTaken:
    reason = f"the receiver answered with a fault: {fault}"
    words = str(fault).lower()
    never = fault.code in NOT_SERVED_CODES or any(phrase in words for phrase in NOT_SERVED_WORDS)
    return NotServed(reason) if never else NotTaken(reason)


async def _read(response: httpx.Response) -> bytes:
    """The body as it came; a compressed one is left as it is, since we have asked for none."""
    octets = bytearray()
    async for chunk in response.aiter_raw():
        octets += chunk
        if len(octets) > MAX_ANSWER_OCTETS:
            raise NoAnswer(f"the answer is larger than {MAX_ANSWER_OCTETS} octets")
    return bytes(octets)
