"""Sends requests to the HES and reads its answers: zeep over httpx, from the HES's own WSDL, strict.

zeep writes, because what a stranger's typed SOAP client can send is what a HES has to take. What comes back is read by our own
hardened parser and validated against the XSD: zeep checks no enumerations and knows no bounds. Every outgoing message is
validated as well. Of the WSDL only files of the HES itself are loaded; a HES that serves none gets the packaged one.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import zeep
import zeep.exceptions
import zeep.proxy
import zeep.transports
from lxml import etree

from ami_cim import envelope, media, reading, soap, xml
from ami_cim.codes import Verb
from ami_cim.correlation import correlates
from ami_cim.errors import CimError, InvalidMessage, PeerFault
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.nouns import BY_NAME
from ami_cim.schema import Schemas, schema_directory
from ami_cim.services import ANY, OFFERED, Service, offered
from ami_cim.wsse import SECURITY
from ami_process.http_sending import SendingTransport
from ami_process.message_reader import MessageReader
from ami_process.message_security import MessageSecurity, Sealing
from ami_process.oidc_client import ClientCredentials
from ami_process.oidc_documents import IssuerAway
from ami_process.settings import SettingsError
from ami_process.tls import ADVICE, describe, tls_problem
from ami_process.worker import Worker, WorkerBusy, WorkerLost

CONNECT_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 4.0
MAX_OCTETS = UNKNOWN_PEER.octets
LATER_STATUSES = frozenset({408, 425, 429})
"""Of the statuses that refuse a request, those that mean not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What requests get that shows who they are from, and what the HES has to show; the default is nothing of both."""

    sealing: Sealing | None = None
    """Security headers of requests."""
    security: MessageSecurity | None = None
    """Looks at the signatures of answers; None: they need none."""
    hes_names: frozenset[str] = frozenset()
    """Names of which one is in the certificate with which the HES signs."""
    tokens: ClientCredentials | None = None
    """Bearer tokens of an issuer."""


NO_PROOFS = Proofs()


class OutboxError(Exception):
    """The request was not answered; the text says why, for a person."""


class HesUnreachableError(OutboxError):
    """Nothing answers at the HES's address, and nothing was sent."""


class UndecidedError(OutboxError):
    """The request may have reached the HES, and no answer of it says what it does with it."""


class HesAnswerError(OutboxError):
    """The HES answered with something that is no valid answer."""


class UnreadableAnswerError(HesAnswerError, UndecidedError):
    """Something that is no valid answer came after the request was sent."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP response, as far as SOAP cares."""

    status: int
    octets: bytes
    charset: str | None = None


class _Transport(zeep.transports.AsyncTransport):
    """zeep's asynchronous transport with bounds, validation before sending, and no file or host but the HES's."""

    def __init__(
        self, client: httpx.AsyncClient, files: httpx.Client, schemas: Schemas, hes_url: str, proofs: Proofs
    ) -> None:
        self._files = files
        self._proofs = proofs
        super().__init__(client=client, wsdl_client=files)  # type: ignore[no-untyped-call]
        self._schemas = schemas
        self._origin = urlsplit(hes_url)[:2]

    def load(self, url: str) -> bytes:
        """A WSDL or XSD: of the HES itself, or of our package."""
        parts = urlsplit(url)
        if parts[:2] == self._origin:
            return self._load_from_hes(url)
        path = Path(parts.path).resolve()
        if parts.scheme in ("", "file") and path.is_relative_to(schema_directory().resolve()):
            return path.read_bytes()
        raise HesAnswerError(f"the WSDL of the HES points to {url}, which is not the HES")

    def _load_from_hes(self, url: str) -> bytes:
        came = bytearray()
        with self._files.stream("GET", url) as response:
            response.raise_for_status()
            for chunk in response.iter_raw():
                came += chunk
                if len(came) > MAX_OCTETS:
                    raise HesAnswerError(f"{url} is larger than {MAX_OCTETS} octets")
        try:
            octets, charset = _content(response, bytes(came))
            xml.parse(octets, charset=charset)
        except CimError as error:
            raise HesAnswerError(f"the WSDL of the HES cannot be used: {url}: {error}") from error
        return octets

    async def post_xml(self, address: str, envelope: etree._Element, headers: dict[str, str]) -> HttpAnswer:
        """One SOAP request and its answer, whatever its status."""
        self._schemas.validate(soap.unwrap(envelope))
        came = bytearray()
        content = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
        if self._proofs.sealing is not None:
            content = await self._sealed(self._proofs.sealing, content, address)
        headers = headers | await self._authorization()
        async with self.client.stream("POST", address, content=content, headers=headers) as response:
            async for chunk in response.aiter_raw():
                came += chunk
                if len(came) > MAX_OCTETS:
                    raise UnreadableAnswerError(f"the answer of the HES is larger than {MAX_OCTETS} octets")
        if response.status_code == httpx.codes.UNAUTHORIZED and self._proofs.tokens is not None:
            self._proofs.tokens.forget()
        try:
            return HttpAnswer(response.status_code, *_content(response, bytes(came)))
        except CimError as error:
            raise UnreadableAnswerError(f"the answer of the HES cannot be read: {error}") from error

    async def _sealed(self, sealing: Sealing, content: bytes, address: str) -> bytes:
        try:
            return await sealing.message(content, encrypted=address.startswith("https:"))
        except (SettingsError, CimError) as problem:
            raise OutboxError(f"the request gets no Security header: {problem}") from None

    async def _authorization(self) -> dict[str, str]:
        if self._proofs.tokens is None:
            return {}
        try:
            return {"Authorization": f"Bearer {await self._proofs.tokens.token()}"}
        except IssuerAway as problem:
            raise HesUnreachableError(f"there is no token for the HES: {problem}") from None


_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Outbox:
    """The HES as the CIS sees it."""

    def __init__(
        self,
        hes_url: str,
        timeout_s: float,
        client: httpx.AsyncClient,
        transport: _Transport,
        schemas: Schemas,
        worker: Worker,
        proofs: Proofs = NO_PROOFS,
    ) -> None:
        self._proofs = proofs
        self._hes_url = hes_url
        self._timeout_s = timeout_s
        self._http = client
        self._transport = transport
        self._schemas = schemas
        self._responses = MessageReader(reading.responses(schemas, frozenset({SECURITY})), worker)
        self._clients: dict[Service, zeep.AsyncClient] = {}
        self._loading = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        hes_url: str,
        timeout_s: float,
        schemas: Schemas,
        worker: Worker,
        trusted: ssl.SSLContext | None = None,
        proofs: Proofs = NO_PROOFS,
    ) -> AsyncIterator[Self]:
        """`trusted`: for https. `worker` calls `ami_cim.reading.FUNCTION`. Connections to the HES; no proxy of the environment is used, since the HES is on a network of ours."""
        trusted = trusted or _trusted(hes_url)
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE_S)
        with httpx.Client(timeout=CONNECT_TIMEOUT_S, verify=trusted, trust_env=False) as files:
            sending = SendingTransport(verify=trusted, limits=limits, trust_env=False)
            async with httpx.AsyncClient(timeout=timeout, transport=sending, trust_env=False) as client:
                transport = _Transport(client, files, schemas, hes_url, proofs)
                yield cls(hes_url, timeout_s, client, transport, schemas, worker, proofs)

    async def knock(self) -> None:
        """See that the HES serves, and load its WSDL; raises HesUnreachableError."""
        with self._reached():
            response = await self._http.get(f"{self._hes_url}/healthz", timeout=CONNECT_TIMEOUT_S)
        if response.is_server_error:
            raise HesUnreachableError(f"the HES at {self._hes_url} is not ready: HTTP {response.status_code}")
        if response.content == ADVICE:
            raise HesUnreachableError(f"the HES at {self._hes_url} is asked in the wrong way: {response.text.strip()}")
        for service in OFFERED:
            await self._client(service)

    async def send(self, request: RequestMessage) -> ResponseMessage:
        """One request and the answer to it, which may be a mere acknowledgement.

        Raises UndecidedError where the HES may have taken the request, and another OutboxError where it surely has not.
        """
        service = _service(request)
        client = await self._client(service)
        operation, arguments = self._typed(client, request)
        binding = client.wsdl.bindings[service.binding]
        if operation not in binding.all():
            raise OutboxError(f"the request cannot be written: the HES offers no {operation}")
        proxy = zeep.proxy.AsyncServiceProxy(client, binding, address=self._hes_url + service.path)
        try:
            with self._reached():
                async with asyncio.timeout(self._timeout_s):
                    answer: HttpAnswer = await proxy[operation](**arguments)
        except TimeoutError:
            raise UndecidedError(f"the HES at {self._hes_url} did not answer within {self._timeout_s:g} s") from None
        except (CimError, zeep.exceptions.Error) as error:
            raise OutboxError(f"the request cannot be written: {error}") from error
        return await self._read(request, answer)

    def _typed(self, client: zeep.AsyncClient, request: RequestMessage) -> tuple[str, dict[str, Any]]:
        """The operation, and the parts of its wrapper as zeep wants them: our own element, parsed strictly by the HES's WSDL."""
        is_generic = _service(request) is ANY
        try:
            head = request.header
            wrapper = envelope.REQUEST_MESSAGE if is_generic else envelope.typed_wrapper(head.verb, head.noun)
            element = envelope.format_request(request, wrapper)
            self._schemas.validate(element)
            typed = client.get_element(wrapper.text).parse(element, client.wsdl.types)
        except (CimError, zeep.exceptions.Error) as error:
            raise OutboxError(f"the request cannot be written: {error}") from error
        query = f"Get{request.header.noun}"
        if (
            request.header.verb == Verb.GET
            and request.query is not None
            and typed["Request"] is not None
            and typed["Request"][query] is None
        ):
            typed["Request"][query] = {}  # zeep takes an element without content for none
        parts = {part: typed[part] for part in ("Header", "Request", "Payload") if typed[part] is not None}
        return ANY.noun if is_generic else wrapper.localname, parts

    async def _read(self, request: RequestMessage, answer: HttpAnswer) -> ResponseMessage:
        try:
            response = await self._response(answer)
            if self._proofs.security is not None and not correlates(response.header, request.header):
                raise InvalidMessage("5.2", "The answer is signed, and belongs to another request")
            return response
        except PeerFault as fault:
            if fault.fault_code.startswith("Server"):
                raise UndecidedError(f"the HES failed itself ({fault.code}): {fault}") from None
            return _response_of_fault(request, fault)
        except (CimError, WorkerBusy, WorkerLost) as error:
            reason = f"the HES answered HTTP {answer.status} with no valid message: {error}"
            refused = 400 <= answer.status < 500 and answer.status not in LATER_STATUSES
            raise (HesAnswerError if refused else UnreadableAnswerError)(reason) from error

    async def _response(self, answer: HttpAnswer) -> ResponseMessage:
        if self._proofs.security is not None:
            await self._proofs.security.answerer(answer.octets, answer.charset, self._proofs.hes_names)
        return await self._responses.read(answer.octets, answer.charset)

    async def _client(self, service: Service) -> zeep.AsyncClient:
        async with self._loading:
            if service not in self._clients:
                self._clients[service] = await self._load(service)
            return self._clients[service]

    async def _load(self, service: Service) -> zeep.AsyncClient:
        url = f"{self._hes_url}{service.path}?wsdl"
        try:
            with self._reached():
                client = await self._load_from(url)
        except httpx.HTTPStatusError as error:
            if str(error.request.url) != url:
                raise HesAnswerError(f"the WSDL of the HES cannot be used: {error}") from error
            client = await self._load_from(str(schema_directory() / "wsdl" / f"{service.name}.wsdl"))
        except zeep.exceptions.Error as error:
            raise HesAnswerError(f"the WSDL of the HES cannot be used: {error}") from error
        if service.binding not in client.wsdl.bindings:
            raise HesAnswerError(f"the WSDL of the HES has no {service.binding}")
        return client

    async def _load_from(self, location: str) -> zeep.AsyncClient:
        settings = zeep.Settings(strict=True, forbid_dtd=True, raw_response=True)
        return await asyncio.to_thread(zeep.AsyncClient, location, transport=self._transport, settings=settings)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except _NOTHING_SENT as error:
            raise HesUnreachableError(f"the HES at {self._hes_url} cannot be reached: {_why(error)}") from error
        except (httpx.TransportError, ssl.SSLError) as error:
            if _refused_the_handshake(error):
                raise HesUnreachableError(f"the HES at {self._hes_url} does not let us in: {_why(error)}") from error
            raise UndecidedError(f"the HES at {self._hes_url} gave no answer: {_why(error)}") from error


def _service(request: RequestMessage) -> Service:
    """Typed, but for a get that names what is asked for by IDs alone, of a noun without a query profile."""
    verb, noun = request.header.verb, request.header.noun
    try:
        if verb == Verb.GET and request.query is None and (row := BY_NAME.get(noun)) is not None and row.query is None:
            return ANY
        return offered(verb, noun)
    except CimError as error:
        raise OutboxError(f"the request cannot be written: {error}") from error


def _content(response: httpx.Response, came: bytes) -> tuple[bytes, str | None]:
    """What httpx would unpack without a bound."""
    return media.content(came, response.headers, UNKNOWN_PEER)


def _trusted(hes_url: str) -> ssl.SSLContext:
    """The usual authorities for https; none for http, where no certificate will be shown."""
    if hes_url.startswith("https:"):
        return httpx.create_ssl_context(trust_env=False)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _response_of_fault(request: RequestMessage, fault: PeerFault) -> ResponseMessage:
    """A fault that blames the request is an answer too: it was refused as a whole (SOAP 1.1, 4.4.1)."""
    header = Header(verb="reply", noun=request.header.noun, correlation_id=request.header.message_id)
    error = ReplyError(code=fault.code, reason=fault.reason, details=fault.details)
    return ResponseMessage(header=header, reply=Reply(result="FAILED", errors=(error,)))


def _refused_the_handshake(error: Exception) -> bool:
    """With TLS 1.3 a client learns of it after it has sent its request, of which nothing was read then."""
    problem = tls_problem(error)
    return problem is not None and "ALERT" in (problem.reason or "")


def _why(error: Exception) -> str:
    """httpx leaves the text of some errors empty; the name of the class then says more."""
    if problem := tls_problem(error):
        return describe(problem)
    return str(error) or type(error).__name__
