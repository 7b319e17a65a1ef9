"""The message of an acknowledged order as it is kept until it is carried out: as it was read, under a digest that says whether it is still so.

The form is that in which the process that reads hands a message on, so nothing of it is lost, not even what is only there to be refused. The
digest goes over the request's MessageID too: a message in another one's place is none.
"""

from dataclasses import replace
from hashlib import sha256

from ami_cim import envelope, soap, transfer
from ami_cim.envelope import Received
from ami_cim.errors import CimError
from ami_cim.limits import Limits
from ami_cim.message import RequestMessage
from ami_hes.jobs.rows import digest
from ami_hes.store import StoredRequest

_DIGEST = 64
"""Octets of it, in front."""


class Altered(Exception):
    """What is kept is not the message that was accepted; the text says how that is seen."""


def format_message(message: RequestMessage, request_id: str) -> bytes:
    """A message as it is kept."""
    octets = transfer.write_answer(Received(message, envelope.REQUEST_MESSAGE))
    return _digest(octets, request_id) + octets


def parse_message(octets: bytes, request: StoredRequest) -> RequestMessage:
    """What `format_message` wrote of this request; raises Altered for anything else."""
    if not isinstance(octets, bytes):
        raise Altered("it is text where octets are kept")
    if octets.startswith(b"<"):
        return _earlier(octets, request)
    said, read = octets[:_DIGEST], octets[_DIGEST:]
    if said != _digest(read, request.request_id):
        raise Altered("its digest is another one")
    try:
        return transfer.read_request(read).message
    except CimError as problem:  # written by another version
        raise Altered(f"it can't be read: {problem.reason}") from None


def _digest(octets: bytes, request_id: str) -> bytes:
    return sha256(request_id.encode() + b"\n" + octets).hexdigest().encode()


def _earlier(octets: bytes, request: StoredRequest) -> RequestMessage:
    """As the version before this one kept it: in SOAP, with a CorrelationID where the sender had sent none."""
    try:
        message = envelope.parse_request(soap.unwrap(octets, Limits(octets=len(octets), nodes=len(octets)))).message
    except CimError as problem:
        raise Altered(f"it can't be read: {problem.reason}") from None
    header = message.header
    as_it_came = replace(message, header=replace(header, correlation_id=None))
    if request.digest not in (digest(message), digest(as_it_came)) or header.message_id != request.request_id:
        raise Altered("its digest is another one")
    return message
