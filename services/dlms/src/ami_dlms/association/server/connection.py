"""The server's side of one transport connection, without I/O: any number of associations, one per pair of wrapper ports.

What is offered is looked up when the first APDU comes and with every AARQ, so keys that were changed count from the next
association on, on the same connection too.

`receive_data` takes octets, `next_event` says what a client wants, `send` gives the octets of the answer, `data_to_send`
holds what the protocol itself answers. Nothing that a client sends raises: it ends in Discarded, and a stream that can't be
read any more ends the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ami_dlms import apdu
from ami_dlms.apdu.acse import Aare, Aarq, Rlre
from ami_dlms.apdu.faults import ConfirmedServiceError, ExceptionResponse
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association.connection import Connection
from ami_dlms.association.events import Answer, AssociationRefused, Discarded, Requested, ServerOutput, Unsolicited
from ami_dlms.association.server.association import ServerAssociation
from ami_dlms.association.server.opening import AarqRefused, refusing_aare
from ami_dlms.association.server.services import Reply, fault
from ami_dlms.association.settings import AssociationProfile
from ami_dlms.association.states import ServerState
from ami_dlms.enums import AcseServiceUserDiagnostic, ServiceError, StateError
from ami_dlms.errors import DecodeError, DlmsError, LocalError
from ami_dlms.framing.framing import Framing, LinkLost, WrapperPdu

NEVER_ANSWERED = (Aare, Rlre, ExceptionResponse, ConfirmedServiceError, DataNotification)


ProfileLookup = Callable[[int, int], AssociationProfile | None]
"""Gets the wrapper ports of a client and a server; the association that they may open, None when there is none."""


def lookup_among(*profiles: AssociationProfile) -> ProfileLookup:
    """A lookup among a few profiles."""
    by_wports = {(profile.client_wport, profile.server_wport): profile for profile in profiles}
    return lambda client_wport, server_wport: by_wports.get((client_wport, server_wport))


@dataclass(slots=True)
class ApduCounts:
    """APDUs of any number of connections that count here: those that came whole, and those that were given to leave."""

    received: int = 0
    sent: int = 0


class ServerConnection(Connection):
    """All associations of one connection; each is made when its first APDU comes, whatever else is behind the address."""

    def __init__(
        self,
        profile_of: ProfileLookup,
        *,
        random_bytes: Callable[[int], bytes],
        framing: Framing | None = None,
        counts: ApduCounts | None = None,
    ) -> None:
        super().__init__(framing)
        self.counts = ApduCounts() if counts is None else counts
        self._closed = False
        self._profile_of = profile_of
        self._random_bytes = random_bytes
        self._associations: dict[tuple[int, int], ServerAssociation] = {}

    @property
    def closed(self) -> bool:
        return self._closed

    def state(self, server_wport: int, client_wport: int) -> ServerState:
        """The state of an association."""
        association = self._association(server_wport, client_wport)
        return ServerState.UNASSOCIATED if association is None else association.state

    def send(self, answer: Answer) -> bytes:
        """Framed octets of an answer; LocalError when its request is not open."""
        server_wport, client_wport, _ = answer.key
        association = self._associations.get((server_wport, client_wport))
        if association is None:
            raise LocalError("no such association")
        return self._framed(server_wport, client_wport, association.answer(answer))

    def notify(self, server_wport: int, client_wport: int, notification: Unsolicited) -> bytes:
        """Framed octets of a notification inside an open association; LocalError when it was not negotiated."""
        association = self._association(server_wport, client_wport)
        if association is None:
            raise LocalError("no such association")
        return self._framed(server_wport, client_wport, association.notify(notification))

    def renew(self, server_wport: int, client_wport: int) -> None:
        """Let an open association go on under what is offered now: for a server whose new keys count from the next APDU on.

        Its open requests are forgotten, so the answer to the one that has changed the keys has to be sent before.
        """
        association = self._associations.get((server_wport, client_wport))
        profile = self._profile_of(client_wport, server_wport)
        if association is not None and profile is not None and profile is not association.profile:
            association.renew(profile)

    def timeout(self, server_wport: int, client_wport: int) -> bytes:
        """Framed octets to send when nothing came from a client for too long: what a general block transfer repeats."""
        association = self._associations.get((server_wport, client_wport))
        return b"" if association is None else self._framed(server_wport, client_wport, association.timeout())

    def abort(self, server_wport: int, client_wport: int) -> bytes:
        """Give up the general block transfer with a client; framed octets that tell it so, none when there is none."""
        association = self._associations.get((server_wport, client_wport))
        return b"" if association is None else self._framed(server_wport, client_wport, association.abort())

    def _framed(self, server_wport: int, client_wport: int, apdus: tuple[bytes, ...]) -> bytes:
        self.counts.sent += len(apdus)
        return self._framing.encode(server_wport, client_wport, *apdus)

    def next_event(self) -> ServerOutput | None:
        """What the octets so far mean; None: more octets are needed."""
        while not self._closed:
            try:
                pdu = self._framing.next_pdu()
            except DecodeError as error:
                self._closed = True
                return Discarded(f"not the framing of DLMS: {error}")
            if pdu is None:
                return None
            reply = self._receive(pdu)
            if isinstance(reply, Requested):
                return reply
            octets, event, blocks = reply
            if octets or blocks:
                answers = (octets, *blocks) if octets else blocks
                self.counts.sent += len(answers)
                self._post(pdu.destination, pdu.source, *answers)
            elif event is None or isinstance(event, Discarded):
                self._framing.pass_turn(pdu.source, pdu.destination)
            if event is not None:
                return event
        return None

    def _receive(self, pdu: WrapperPdu | LinkLost) -> Reply | Requested:
        if isinstance(pdu, LinkLost):
            lost = self._associations.get((pdu.destination, pdu.source))
            return Reply() if lost is None else lost.lost()
        self.counts.received += 1
        association = self._associations.get((pdu.destination, pdu.source))
        known = association is not None
        if association is None:
            association = self._association(pdu.destination, pdu.source)
        try:
            reply = None if association is None else association.receive_fast(pdu.apdu)
            return self._receive_generally(pdu, association, known) if reply is None else reply
        except DlmsError as error:
            self._closed = True
            return Reply(event=Discarded(f"we can't go on: {error}"))

    def _association(self, server_wport: int, client_wport: int) -> ServerAssociation | None:
        wports = (server_wport, client_wport)
        association = self._associations.get(wports)
        if association is not None:
            return association
        profile = self._profile_of(client_wport, server_wport)
        if profile is None:
            return None
        association = self._associations[wports] = ServerAssociation(profile, self._random_bytes)
        return association

    def _receive_generally(self, pdu: WrapperPdu, association: ServerAssociation | None, known: bool) -> Reply:
        """React to a frame; `known` when its association is older than the frame."""
        try:
            message = apdu.decode(pdu.apdu)
        except DecodeError as error:
            return fault(f"unreadable: {error}", ServiceError.OTHER_REASON, StateError.SERVICE_UNKNOWN)
        if isinstance(message, NEVER_ANSWERED):
            return Reply(event=Discarded(f"a client does not send {type(message).__name__}"))
        if association is not None and known and isinstance(message, Aarq):
            association = self._offered_now(pdu, association)
        if association is None:
            return _unknown(message, pdu)
        return association.receive(message, len(pdu.apdu))

    def _offered_now(self, pdu: WrapperPdu, association: ServerAssociation) -> ServerAssociation | None:
        """The association that is offered by now, in place of the one that another profile made."""
        profile = self._profile_of(pdu.source, pdu.destination)
        if profile is association.profile:
            return association
        del self._associations[pdu.destination, pdu.source]
        return self._association(pdu.destination, pdu.source)


def _unknown(message: apdu.Apdu, pdu: WrapperPdu) -> Reply:
    reason = f"no association between server {pdu.destination} and client {pdu.source}"
    if not isinstance(message, Aarq):
        return fault(reason, ServiceError.OPERATION_NOT_POSSIBLE)
    refusal = AarqRefused(reason, AcseServiceUserDiagnostic.NO_REASON_GIVEN)
    refused = AssociationRefused(pdu.destination, pdu.source, reason)
    return Reply(refusing_aare(message.application_context, refusal), refused)
